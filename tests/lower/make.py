"""Short constructors of expressions and programs, for the tests of `lower/`."""

from __future__ import annotations

import numpy as np

from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Program
from graphnn.simplify.expr import Axis, Const, DType, Expr, Load, Op, Range, Reduce, Size
from graphnn.simplify.formula import Array, Formula, FormulaProgram

ExprLike = Expr | int | float | str


def e(value: ExprLike) -> Expr:
    """3 -> an int64, 1.5 -> a float32, "N" -> a size (upper case), "i0" -> an axis."""
    if isinstance(value, str):
        return Size(value) if value[0].isupper() else Axis(value)
    if isinstance(value, bool):
        return Const(value, "bool")
    if isinstance(value, int):
        return Const(value, "int64")
    return Const(value, "float32") if isinstance(value, float) else value


def op(fn: str, *args: ExprLike, dtype: DType | None = None) -> Op:
    given = tuple(map(e, args))
    if dtype is None:
        dtype = "bool" if fn in ("lt", "le", "eq", "ne") else given[-1].dtype
    return Op(fn, given, dtype)


def at(buffer: str, *index: ExprLike, dtype: DType = "float32") -> Load:
    return Load(buffer, tuple(map(e, index)), dtype)


def span(axis: str, hi: ExprLike, lo: ExprLike = 0) -> Range:
    return Range(axis, e(lo), e(hi))


def total(reducer: str, ranges: list[Range], body: Expr, guard: Expr | None = None) -> Reduce:
    return Reduce(reducer, tuple(ranges), guard, body)


def array(role: str, name: str, *shape: ExprLike, dtype: DType = "float32") -> Array:
    return Array(name, dtype, tuple(map(e, shape)), role)  # type: ignore[arg-type]


def formulas(
    arrays: list[Array],
    *each: tuple[str, list[Range], Expr],
    sizes: str = "",
    updates: tuple[tuple[str, str], ...] = (),
) -> FormulaProgram:
    made = tuple(Formula(target, tuple(axes), body) for target, axes, body in each)
    return FormulaProgram("p", tuple(sizes.split()), tuple(arrays), made, updates)


def run(program: Program, arrays: dict[str, np.ndarray], **sizes: int) -> None:
    interpret(program, arrays, sizes)


def poison(*shape: int, dtype: str = "float32") -> np.ndarray:
    """An array whose elements are all wrong, so that an element that is not written shows."""
    return np.full(shape, -777, dtype)

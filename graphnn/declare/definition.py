"""Definition: one formula bound to shapes. Everything later is read off it.

    out[i0 < N, i1 < 10] = sum over r0 < 64 of t0*t1   with t0 = operand0[i0, r0], t1 = operand1[r0, i1]

Axis symbols are canonical (i0, i1, ... for the output, r0, r1, ... reduced) and accesses are t0, t1, ..., so equal
formulas are equal objects and no name given by a person is ever part of a formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphnn.declare.extents import TensorType
from graphnn.declare.sizes import as_dims
from graphnn.late import sympy

if TYPE_CHECKING:
    from sympy.logic.boolalg import Boolean

FLOATS = ("float32", "float64")
DTYPES = (*FLOATS, "int64", "bool")


@dataclass(frozen=True, slots=True)
class Extent:
    """An axis and its extent: axis = 0, ..., size-1. The size is an int or an expression of symbolic sizes."""

    axis: sympy.Symbol
    size: sympy.Expr


@dataclass(frozen=True, slots=True)
class Access:
    """The scalar `symbol` stands for operand `operand` at `index`.

    An index may hold the symbol of another access, whose operand then is an integer array (gather).
    """

    symbol: sympy.Symbol
    operand: int
    index: tuple[sympy.Expr, ...]


@dataclass(frozen=True, slots=True)
class OperandType:
    shape: tuple[sympy.Expr, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Definition:
    """out[axes] = reducer over `reduced` of `body` (terms where `guard` is false are skipped).

    Without a reducer, out[axes] = body and `guard` is true. `op` is a label for people and counts in no comparison.

    """

    operands: tuple[OperandType, ...]
    axes: tuple[Extent, ...]
    reducer: str | None
    reduced: tuple[Extent, ...]
    guard: Boolean
    accesses: tuple[Access, ...]
    body: sympy.Expr
    dtype: str
    op: str = field(default="", compare=False)

    @property
    def shape(self) -> tuple[sympy.Expr, ...]:
        return tuple(extent.size for extent in self.axes)

    def extent(self, axis: sympy.Symbol) -> sympy.Expr:
        return next(e.size for e in (*self.axes, *self.reduced) if e.axis == axis)

    def access(self, symbol: sympy.Symbol) -> Access:
        return next(a for a in self.accesses if a.symbol == symbol)

    def is_map(self) -> bool:
        """Without a reducer: one output element from one body."""
        return self.reducer is None


def access_symbol(number: int, dtype: str) -> sympy.Symbol:
    """t0, t1, ...: real for floats, integer for int64 and bool (as 0 and 1)."""
    return sympy.Symbol(f"t{number}", real=True) if dtype in FLOATS else sympy.Symbol(f"t{number}", integer=True)


def formula_text(definition: Definition, names: tuple[str, ...], out: str = "out") -> str:
    """One line: out[i0, i1] = sum[r0 < 64](x[i0, r0]*W[r0, i1]). `names` are labels and are only printed."""
    shown: dict[sympy.Symbol, sympy.Symbol] = {}
    for access in definition.accesses:  # integer accesses come first, so that indices can hold them
        index = ", ".join(str(i.xreplace(shown)) for i in access.index)
        shown[access.symbol] = sympy.Symbol(f"{names[access.operand]}[{index}]" if index else names[access.operand])
    body = str(definition.body.xreplace(shown))
    if definition.reducer:
        ranges = ", ".join(f"{e.axis} < {e.size}" for e in definition.reduced)
        condition = "" if definition.guard == sympy.true else f" if {definition.guard.xreplace(shown)}"
        body = f"{definition.reducer}[{ranges}{condition}]({body})"
    axes = ", ".join(str(e.axis) for e in definition.axes)
    return f"{out}[{axes}] = {body}" if axes else f"{out} = {body}"


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a recipe: its definition, and for each operand where it comes from.

    A source is the number of an operand of the recipe, or -1 for the first step's result, -2 for the second's, ...
    """

    definition: Definition
    sources: tuple[int, ...]

    @property
    def type(self) -> TensorType:
        return TensorType(as_dims(self.definition.shape), self.definition.dtype)


Recipe = tuple[Step, ...]  # the last step is the result

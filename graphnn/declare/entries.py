"""What index notation is made of, as sympy's expressions: accesses, reductions and guards of a formula as written."""

from __future__ import annotations

from collections.abc import Iterable
from types import EllipsisType
from typing import Any

import sympy
from sympy.core.assumptions import _assume_defined
from sympy.logic.boolalg import Boolean

from graphnn.errors import GraphError

ELLIPSIS = sympy.Symbol("...")  # stands for the broadcast dimensions in front of the explicit ones


def as_formula(value: Any) -> Any:
    """A number, condition or expression as sympy's, floats as exact rationals. Text is refused: sympy would run it."""
    try:
        formula = sympy.sympify(value, strict=True)
    except sympy.SympifyError as error:
        raise GraphError(f"a formula is made of sympy expressions and numbers, not {type(value).__name__}") from error
    if formula.has(sympy.I):
        raise GraphError(f"a formula is real; {formula} holds the imaginary unit")
    if formula.has(*_BY_OTHERS):
        formula = formula.replace(lambda e: isinstance(e, _BY_OTHERS), _written_out)
    return formula.replace(lambda e: e.is_Float, _exact) if formula.has(sympy.Float) else formula


_BY_OTHERS = (sympy.sinh, sympy.cosh, sympy.coth, sympy.sech, sympy.csch, sympy.tan, sympy.cot)


def _written_out(call: sympy.Function) -> sympy.Expr:
    """cosh(x) -> (exp(x) + exp(-x))/2, tan(x) -> sin(x)/cos(x): functions that are others, and have no native form."""
    (x,) = call.args
    if isinstance(call, sympy.tan | sympy.cot):
        quotient = sympy.sin(x) / sympy.cos(x)
        return quotient if isinstance(call, sympy.tan) else 1 / quotient
    return call.rewrite(sympy.exp)


def _exact(number: sympy.Float) -> sympy.Expr:
    """0.1 -> 1/10, which rounds back to the same double, so that algebra stays exact."""
    if not number.is_finite:
        raise GraphError(f"a formula's constants are finite, not {number}")
    return sympy.Rational(repr(float(number)))


_ELEMENT = sympy.Symbol("element")


class Entry(sympy.Expr):  # type: ignore[misc]
    """An element access as written: args are (operand's symbol, operand's serial number, index expressions...)."""

    is_commutative = True
    is_real = True

    @property
    def free_symbols(self) -> set[sympy.Symbol]:
        """The symbols in it, and one more: sympy solves conditions in one symbol, and an element is not that symbol."""
        return {*super().free_symbols, _ELEMENT}

    @property
    def operand(self) -> str:
        return str(self.args[0].name)

    @property
    def serial(self) -> int:
        """Operands are ordered as they were made."""
        return int(self.args[1])

    @property
    def index(self) -> tuple[sympy.Expr, ...]:
        return tuple(self.args[2:])

    def with_index(self, index: Iterable[sympy.Expr]) -> Entry:
        entry: Entry = self.func(self.args[0], self.args[1], *index)
        return entry

    def _sympystr(self, printer: Any) -> str:
        return f"{self.operand}[{', '.join(map(printer.doprint, self.index))}]" if self.index else self.operand

    def _eval_derivative(self, symbol: sympy.Symbol) -> sympy.Expr:
        raise GraphError("entries are differentiated by derive/, access by access")


class IntegerEntry(Entry):
    """An element of an integer operand, usable as an index."""

    is_integer = True


# Nothing else is ever known of an element. sympy would find that out for each one, 30 us for each question.
for _kind in (Entry, IntegerEntry):
    for _fact in _assume_defined:
        _kind.default_assumptions.setdefault(_fact, None)


def index_expression(item: Any) -> sympy.Expr:
    """An item of an index as sympy's."""
    if isinstance(item, EllipsisType):
        return ELLIPSIS
    if isinstance(item, int):
        return sympy.Integer(item)
    if isinstance(item, sympy.Expr):
        return item
    raise GraphError(f"an index is an int, an axis or an expression of axes, not {type(item).__name__}")


class Reduction(sympy.Expr):  # type: ignore[misc]
    """A reduction as written: args are (name of the reducer, body, guard, axes...)."""

    is_commutative = True
    is_real = True

    @property
    def reducer(self) -> str:
        return str(self.args[0].name)

    @property
    def body(self) -> sympy.Expr:
        return self.args[1]

    @property
    def guard(self) -> Boolean:
        return self.args[2]

    @property
    def axes(self) -> tuple[sympy.Symbol, ...]:
        return tuple(self.args[3:])

    def _sympystr(self, printer: Any) -> str:
        where = "" if self.guard == sympy.true else f" if {printer.doprint(self.guard)}"
        return f"{self.reducer}[{', '.join(map(str, self.axes))}{where}]({printer.doprint(self.body)})"


def reduction(reducer: str, body: Any, axes: tuple[Any, ...], where: Any) -> Reduction:
    """`reducer` of `body` over `axes`, given one by one or in lists. GraphError where there are none."""
    flat = [axis for item in axes for axis in (item if isinstance(item, tuple | list) else (item,))]
    if not flat or not all(isinstance(axis, sympy.Symbol) for axis in flat):
        raise GraphError(f"{reducer} needs the axes it reduces, made by indices()")
    return Reduction(sympy.Symbol(reducer), as_formula(body), as_formula(where), *flat)


class Guarded(sympy.Expr):  # type: ignore[misc]
    """An access with a condition outside of which it reads 0. A condition of True means: inside the operand."""

    is_commutative = True
    is_real = True

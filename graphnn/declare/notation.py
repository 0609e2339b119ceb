"""Index notation as a person writes it: indices, operands, reducers and guards.

i, j, k = indices("i j k")
A, B = operands("A B")
Sum(A[i, k] * B[k, j], k)          an element of a matrix product
guard(X[i + k - 1])                reads 0 outside of X
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from types import EllipsisType
from typing import Any

import sympy
from sympy.core.assumptions import _assume_defined
from sympy.logic.boolalg import Boolean

from graphnn.declare.extents import IDENTIFIER, check_size
from graphnn.errors import GraphError

ELLIPSIS = sympy.Symbol("...")  # stands for the broadcast dimensions in front of the explicit ones


def _names(text: str) -> list[str]:
    names = text.replace(",", " ").split()
    for name in names:
        if not IDENTIFIER.fullmatch(name):
            raise GraphError(f"'{name}' is not an identifier; name indices and operands by letters, digits and _")
    return names


def axis_symbol(name: str) -> sympy.Symbol:
    """An axis of a formula: a nonnegative integer symbol."""
    return sympy.Symbol(name, integer=True, nonnegative=True)


def size_symbol(name: str) -> sympy.Symbol:
    """A symbolic size of a network, such as the batch size N."""
    return sympy.Symbol(check_size(name), integer=True, nonnegative=True)


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


def indices(names: str) -> Any:
    """Axis symbols for index notation: `i, j = indices("i j")`; one name gives one symbol."""
    symbols = tuple(axis_symbol(name) for name in _names(names))
    return symbols[0] if len(symbols) == 1 else symbols


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


def dimension(operand: str, number: int) -> sympy.Symbol:
    """The extent of one dimension of an operand, as in `extents={i: X.shape[0] - W.shape[0] + 1}`."""
    return sympy.Symbol(f"{operand}.shape[{number}]", integer=True, nonnegative=True)


class _Shape:
    def __init__(self, operand: str) -> None:
        self._operand = operand

    def __getitem__(self, number: int) -> sympy.Symbol:
        return dimension(self._operand, number)


class Operand:
    """A formal operand of an op; indexing it gives an element access."""

    _serials = itertools.count()

    def __init__(self, name: str, integer: bool = False) -> None:
        self.name, self.integer, self.serial = name, integer, next(Operand._serials)
        self.shape = _Shape(name)

    def __getitem__(self, index: Any) -> Entry:
        items = index if isinstance(index, tuple) else (index,)
        kind = IntegerEntry if self.integer else Entry
        return kind(sympy.Symbol(self.name), sympy.Integer(self.serial), *(_index_expression(item) for item in items))


def _index_expression(item: Any) -> sympy.Expr:
    if isinstance(item, EllipsisType):
        return ELLIPSIS
    if isinstance(item, int):
        return sympy.Integer(item)
    if isinstance(item, sympy.Expr):
        return item
    raise GraphError(f"an index is an int, an axis or an expression of axes, not {type(item).__name__}")


def operands(names: str, integer: Iterable[str] = ()) -> Any:
    """Formal operands for index notation: `A, B = operands("A B")`; those named in `integer` may be indices."""
    whole = set(integer)
    made = tuple(Operand(name, name in whole) for name in _names(names))
    return made[0] if len(made) == 1 else made


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


def _reduction(reducer: str, body: Any, axes: tuple[Any, ...], where: Any) -> Reduction:
    flat = [axis for item in axes for axis in (item if isinstance(item, tuple | list) else (item,))]
    if not flat or not all(isinstance(axis, sympy.Symbol) for axis in flat):
        raise GraphError(f"{reducer} needs the axes it reduces, made by indices()")
    return Reduction(sympy.Symbol(reducer), as_formula(body), as_formula(where), *flat)


def Sum(body: Any, *axes: Any, where: Any = True) -> Reduction:
    """The sum of `body` over `axes`; terms where the condition `where` is false are skipped."""
    return _reduction("sum", body, axes, where)


def Prod(body: Any, *axes: Any, where: Any = True) -> Reduction:
    """The product of `body` over `axes`; 1 over nothing."""
    return _reduction("prod", body, axes, where)


def Max(body: Any, *axes: Any, where: Any = True) -> Reduction:
    """The largest `body` over `axes`; its gradient goes to the first of equal terms unless ties="split"."""
    return _reduction("max", body, axes, where)


def Min(body: Any, *axes: Any, where: Any = True) -> Reduction:
    """The smallest `body` over `axes`."""
    return _reduction("min", body, axes, where)


class Guarded(sympy.Expr):  # type: ignore[misc]
    """An access with a condition outside of which it reads 0. A condition of True means: inside the operand."""

    is_commutative = True
    is_real = True


def guard(entry: Entry, condition: Any = True) -> Guarded:
    """`entry` where `condition` holds and its index is inside the operand, else 0; Max and Min skip it there."""
    return Guarded(entry, as_formula(condition))

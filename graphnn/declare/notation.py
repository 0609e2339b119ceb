"""Index notation as a person writes it: indices, operands, reducers and guards.

i, j, k = indices("i j k")
A, B = operands("A B")
Sum(A[i, k] * B[k, j], k)          an element of a matrix product
guard(X[i + k - 1])                reads 0 outside of X
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graphnn.declare.extents import IDENTIFIER, check_size
from graphnn.errors import GraphError
from graphnn.late import sympy

if TYPE_CHECKING:
    from graphnn.declare.entries import Entry, Guarded, Reduction


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


def indices(names: str) -> Any:
    """Axis symbols for index notation: `i, j = indices("i j")`; one name gives one symbol."""
    symbols = tuple(axis_symbol(name) for name in _names(names))
    return symbols[0] if len(symbols) == 1 else symbols


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
        from graphnn.declare.entries import Entry, IntegerEntry, index_expression  # naming operands needs no sympy

        kind = IntegerEntry if self.integer else Entry
        return kind(sympy.Symbol(self.name), sympy.Integer(self.serial), *(index_expression(item) for item in items))


def operands(names: str, integer: Iterable[str] = ()) -> Any:
    """Formal operands for index notation: `A, B = operands("A B")`; those named in `integer` may be indices."""
    whole = set(integer)
    made = tuple(Operand(name, name in whole) for name in _names(names))
    return made[0] if len(made) == 1 else made


def _reduction(reducer: str, body: Any, axes: tuple[Any, ...], where: Any) -> Reduction:
    from graphnn.declare.entries import reduction

    return reduction(reducer, body, axes, where)


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


def guard(entry: Entry, condition: Any = True) -> Guarded:
    """`entry` where `condition` holds and its index is inside the operand, else 0; Max and Min skip it there."""
    from graphnn.declare.entries import Guarded, as_formula

    return Guarded(entry, as_formula(condition))

"""Proof that an access stays inside its array: no load is emitted without one.

x[i0, r0]                       the axes' extents are the array's
x[2*i0 + r0]                    2*(I - 1) + R - 1 <= X - 1
x[i0 - r0] if i0 - r0 >= 0      the condition under which it is read says so
table[labels[i0]]               the call has checked the labels
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.affine import extremes, never_negative
from graphnn.errors import GraphError


def is_inside(
    index: sympy.Expr, extent: sympy.Expr, sizes: Mapping[sympy.Symbol, sympy.Expr], conditions: tuple[Boolean, ...]
) -> bool:
    """Whether 0 <= index < extent for all values of the axes (their extents in `sizes`) where the conditions hold."""
    if sizes.get(index) == extent:
        return True
    return all(_follows(quantity, sizes, conditions) for quantity in (index, extent - 1 - index))


def _follows(quantity: sympy.Expr, sizes: Mapping[sympy.Symbol, sympy.Expr], conditions: tuple[Boolean, ...]) -> bool:
    """Whether a quantity is not negative where the conditions hold."""
    if is_nonnegative(quantity, sizes):
        return True
    return any(is_nonnegative(quantity - known, sizes) for c in conditions for known in _nonnegative_parts(c))


def is_nonnegative(quantity: sympy.Expr, sizes: Mapping[sympy.Symbol, sympy.Expr]) -> bool:
    """Whether the smallest value of a quantity is known not to be negative."""
    try:
        bounds = extremes(quantity, sizes)
    except GraphError:  # a product of axes: nothing is known
        return False
    return bounds is not None and never_negative(bounds[0])


def _nonnegative_parts(condition: Boolean) -> Iterator[sympy.Expr]:
    """Integer expressions that a condition says are not negative."""
    for part in sympy.And.make_args(condition):
        if not isinstance(part, sympy.core.relational.Relational) or not (part.lhs - part.rhs).is_integer:
            continue
        if isinstance(part, sympy.Ge | sympy.Eq):
            yield part.lhs - part.rhs
        if isinstance(part, sympy.Le | sympy.Eq):
            yield part.rhs - part.lhs
        if isinstance(part, sympy.Gt):
            yield part.lhs - part.rhs - 1
        if isinstance(part, sympy.Lt):
            yield part.rhs - part.lhs - 1

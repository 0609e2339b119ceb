"""Checks that layers and training share."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

import sympy

from graphnn.declare.op import as_number
from graphnn.errors import GraphError

NONNEGATIVE = sympy.Interval(0, sympy.oo)
POSITIVE = sympy.Interval.open(0, sympy.oo)
FRACTION = sympy.Interval.Ropen(0, 1)  # [0, 1): what decays a mean, and does not keep it


def check_count(what: str, value: Any, least: int) -> int:
    """The int; GraphError unless `value` is one of at least `least`."""
    try:
        count = operator.index(value)  # an array has __index__, too, and refuses here
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < least:
        raise GraphError(f"{what} is an int of at least {least}, not {' '.join(repr(value).split()):.40}")
    return count


def check_number(what: str, value: Any, domain: sympy.Set = sympy.S.Reals) -> float:
    """The number; GraphError unless `value` is a finite one in `domain`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise GraphError(f"{what} is a number, not {' '.join(repr(value).split()):.40}")
    if not _lies_in(as_number(value, what), domain):
        raise GraphError(f"{what} is {value}; it lies in {domain_text(domain)}")
    scalar: Any = value
    number: float = scalar.item() if hasattr(scalar, "item") else scalar  # NumPy scalars have a repr of their own
    return number


def _lies_in(number: sympy.Expr, domain: sympy.Set) -> bool:
    """Whether a rational number lies in a set; of intervals, which are nearly all, the ends alone are compared."""
    if not isinstance(domain, sympy.Interval) or not number.is_Rational:
        return number in domain
    above = number > domain.start if domain.left_open else number >= domain.start
    below = number < domain.end if domain.right_open else number <= domain.end
    return bool(above and below)


def domain_text(domain: sympy.Set) -> str:
    """A set in the usual notation: [0, 1)."""
    if not isinstance(domain, sympy.Interval):
        return str(domain)
    left, right = "(" if domain.left_open else "[", ")" if domain.right_open else "]"
    return f"{left}{domain.start}, {domain.end}{right}".replace("oo", "infinity")

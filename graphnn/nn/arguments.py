"""Checks that layers and training share."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from numbers import Real
from typing import Any, Union

from graphnn.declare.op import as_number, is_finite
from graphnn.errors import GraphError
from graphnn.late import sympy


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `start` to `end`; an end that is open, or infinite, is none of them."""

    start: float
    end: float
    left_open: bool = False
    right_open: bool = False

    def __contains__(self, number: Any) -> bool:
        above = number > self.start if self.left_open else number >= self.start
        return bool(above and (number < self.end if self.right_open else number <= self.end))

    def __str__(self) -> str:
        """The usual notation: [0, 1)."""
        left, right = "(" if self.left_open else "[", ")" if self.right_open else "]"
        return f"{left}{self.start}, {self.end}{right}".replace("inf", "infinity")


Domain = Union[Range, "sympy.Set"]  # a user's may be any set
REALS = Range(-math.inf, math.inf, True, True)
NONNEGATIVE = Range(0, math.inf, right_open=True)
POSITIVE = Range(0, math.inf, True, True)
FRACTION = Range(0, 1, right_open=True)  # [0, 1): what decays a mean, and does not keep it


def check_count(what: str, value: Any, least: int) -> int:
    """The int; GraphError unless `value` is one of at least `least`."""
    try:
        count = operator.index(value)  # an array has __index__, too, and refuses here
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < least:
        raise GraphError(f"{what} is an int of at least {least}, not {' '.join(repr(value).split()):.40}")
    return count


def check_number(what: str, value: Any, domain: Domain = REALS) -> float:
    """The number; GraphError unless `value` is a finite one in `domain`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise GraphError(f"{what} is a number, not {' '.join(repr(value).split()):.40}")
    if not is_finite(value):
        raise GraphError(f"{what} is {value}; a formula's constants are finite")
    if not (value in domain if isinstance(domain, Range) else as_number(value, what) in domain):
        raise GraphError(f"{what} is {value}; it lies in {_as_range(domain)}")
    scalar: Any = value
    number: float = scalar.item() if hasattr(scalar, "item") else scalar  # NumPy scalars have a repr of their own
    return number


def _as_range(domain: Domain) -> Domain:
    """A set as a Range where it is one, whose text is the usual one."""
    if isinstance(domain, Range) or not isinstance(domain, sympy.Interval):
        return domain
    start, end = (float(e) if e.is_infinite else e for e in (domain.start, domain.end))
    return Range(start, end, bool(domain.left_open), bool(domain.right_open))

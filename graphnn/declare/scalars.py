"""Scalar functions that sympy has no name for.

Those in PRIMITIVES have a definition by functions that sympy can differentiate. `threefry` is a function of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from graphnn.declare.threefry import threefry_2x32


class log1p(sympy.Function):  # type: ignore[misc]
    """log(1 + x), accurate near 0."""

    nargs = 1
    is_real = True


class expm1(sympy.Function):  # type: ignore[misc]
    """exp(x) - 1, accurate near 0."""

    nargs = 1
    is_real = True


class threefry(sympy.Function):  # type: ignore[misc]
    """The int64 block that Threefry-2x32 gives for an int64 key and counter: a random number that is a pure function.

    A function of whole numbers: it has no derivative, and needs none.
    """

    nargs = 2
    is_integer = True

    @classmethod
    def eval(cls, key: Any, counter: Any) -> sympy.Integer | None:
        """The number where both are numbers."""
        whole = key.is_Integer and counter.is_Integer and max(abs(key), abs(counter)) < 2**63
        return sympy.Integer(int(threefry_2x32(int(key), int(counter)))) if whole else None


PRIMITIVES: dict[type, Callable[[sympy.Expr], sympy.Expr]] = {
    log1p: lambda x: sympy.log(1 + x),
    expm1: lambda x: sympy.exp(x) - 1,
}

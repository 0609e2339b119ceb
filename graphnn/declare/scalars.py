"""Scalar functions that sympy has no name for, each with its definition by functions that it can differentiate."""

from __future__ import annotations

from collections.abc import Callable

import sympy


class log1p(sympy.Function):  # type: ignore[misc]
    """log(1 + x), accurate near 0."""

    nargs = 1
    is_real = True


class expm1(sympy.Function):  # type: ignore[misc]
    """exp(x) - 1, accurate near 0."""

    nargs = 1
    is_real = True


PRIMITIVES: dict[type, Callable[[sympy.Expr], sympy.Expr]] = {
    log1p: lambda x: sympy.log(1 + x),
    expm1: lambda x: sympy.exp(x) - 1,
}

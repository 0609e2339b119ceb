"""Functions that a stabilised formula may use beside sympy's own: they are evaluated, never differentiated."""

from __future__ import annotations

from collections.abc import Callable

import sympy

from graphnn.declare.scalars import PRIMITIVES


class Sigmoid(sympy.Function):  # type: ignore[misc]
    """1/(1 + exp(-x)), accurate relative to its value for every x."""

    nargs = 1
    is_real = True
    is_positive = True


class Erfc(sympy.Function):  # type: ignore[misc]
    """1 - erf(x), accurate relative to its value for every x. sympy's own turns erfc(-x) into 2 - erfc(x)."""

    nargs = 1
    is_real = True
    is_positive = True


HEADS: dict[type, Callable[[sympy.Expr], sympy.Expr]] = PRIMITIVES | {
    Sigmoid: lambda x: 1 / (1 + sympy.exp(-x)),
    Erfc: sympy.erfc,
}

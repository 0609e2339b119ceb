"""Functions that a stabilised formula may use beside sympy's own: they are evaluated, never differentiated."""

from __future__ import annotations

import sympy


class Sigmoid(sympy.Function):  # type: ignore[misc]
    """1/(1 + exp(-x)), accurate relative to its value for every x."""

    nargs = 1
    is_real = True
    is_positive = True

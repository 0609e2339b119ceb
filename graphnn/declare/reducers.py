"""What reduces: commutative monoids, of which nothing is said but how two terms combine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy


@dataclass(frozen=True, slots=True)
class Reducer:
    """A commutative monoid. Its adjoint is derived from `combine`; nothing else is said about it."""

    name: str
    identity: sympy.Expr
    combine: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]


REDUCERS: dict[str, Reducer] = {
    "sum": Reducer("sum", sympy.S.Zero, lambda a, b: a + b),
    "prod": Reducer("prod", sympy.S.One, lambda a, b: a * b),
    "max": Reducer("max", -sympy.oo, sympy.Max),
    "min": Reducer("min", sympy.oo, sympy.Min),
}

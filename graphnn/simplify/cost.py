"""What a formula costs to evaluate, in additions: how equal forms are compared, and what is inlined."""

from __future__ import annotations

import sympy

from graphnn.declare.entries import Entry
from graphnn.declare.scalars import threefry
from graphnn.simplify.heads import Erfc

# Rough costs, from the instruction counts of the vector functions.
_DIVISION, _ROOT, _POWER = 4, 6, 60
_COSTS = {
    threefry: 80,
    sympy.exp: 15,
    sympy.log: 20,
    sympy.tanh: 25,
    sympy.erf: 50,
    sympy.erfc: 50,
    Erfc: 50,
    sympy.sin: 60,
    sympy.cos: 60,
    sympy.Piecewise: 2,
}


def cost(expr: sympy.Basic) -> int:
    """What an expression costs to evaluate, in additions. Index arithmetic and quotients of sizes are free."""
    if isinstance(expr, Entry) or not expr.args:
        return 0
    total = sum(map(cost, expr.args))
    if expr.is_Pow:
        return total + _power(expr.base, expr.exp)
    weight = _COSTS.get(expr.func)
    if weight is not None:
        return total + weight
    return total + (len(expr.args) - 1 if isinstance(expr, sympy.Add | sympy.Mul) else 1)


def _power(base: sympy.Expr, exponent: sympy.Expr) -> int:
    if not base.free_symbols and not exponent.free_symbols:
        return 0
    varies = base.has(sympy.exp) or not all(s.is_integer for s in base.free_symbols)
    division = _DIVISION if exponent.is_negative and varies else 0
    if exponent.is_Integer:
        return abs(int(exponent)) - 1 + division
    return (_ROOT if (2 * exponent).is_Integer else _POWER) + division

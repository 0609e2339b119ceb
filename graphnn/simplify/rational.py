"""Quotients of polynomials in lowest terms, as `sympy.cancel` gives them, computed on polynomials from the start.

sympy first brings an expression over one divisor as an expression, asking of each part whether it is zero or real; in
the ring of polynomials nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy
from sympy.polys.rings import PolyElement, sring

Quotient = tuple[PolyElement, PolyElement]
_LARGEST = 64  # a power beyond is left to sympy, which may keep it as it is


def cancel(expr: sympy.Expr) -> sympy.Expr:
    """`sympy.cancel(sympy.together(expr))`: P/Q without a common factor, the leading coefficient of Q positive."""
    if not expr.args:
        return expr
    symbols = expr.free_symbols
    if symbols and _is_rational(expr):
        numerator, denominator = _quotient(expr, _generators(frozenset(symbols)))
        if denominator:
            above, below = numerator.cancel(denominator)
            return above.as_expr() / below.as_expr()
    return sympy.cancel(sympy.together(expr))


@lru_cache(2**8)
def _generators(symbols: frozenset[sympy.Symbol]) -> dict[sympy.Symbol, PolyElement]:
    """Symbols as elements of one ring, in sympy's order of generators."""
    named = sorted(symbols, key=lambda symbol: str(symbol.name))
    return dict(zip(named, sring(named)[1], strict=True))


def _is_rational(expr: sympy.Expr) -> bool:
    """Whether an expression is made of symbols and rational numbers by sums, products and whole powers."""
    if expr.is_Symbol or expr.is_Rational:
        return True
    if expr.is_Pow:
        return bool(expr.exp.is_Integer and abs(expr.exp.p) <= _LARGEST and _is_rational(expr.base))
    return bool((expr.is_Add or expr.is_Mul) and all(map(_is_rational, expr.args)))


def _quotient(expr: sympy.Expr, elements: Mapping[sympy.Symbol, PolyElement]) -> Quotient:
    """An expression as a quotient of polynomials, not in lowest terms."""
    one = next(iter(elements.values())).ring.one
    if expr.is_Symbol:
        return elements[expr], one
    if expr.is_Rational:
        return one * int(expr.p), one * int(expr.q)
    if expr.is_Pow:
        above, below = _quotient(expr.base, elements)
        power = int(expr.exp)
        return (above**power, below**power) if power > 0 else (below**-power, above**-power)
    parts = [_quotient(part, elements) for part in expr.args]
    above, below = parts[0]
    for over, under in parts[1:]:
        if expr.is_Mul:
            above, below = above * over, below * under
        elif below == under:
            above += over
        else:
            above, below = above * under + over * below, below * under
    return above, below

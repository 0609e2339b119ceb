"""Quotients of sums of exponentials are evaluated with an exponential that cannot overflow.

    exp(x)/(p + exp(x))     ->  select(x <= 0, w/(p + w), 1/(p*w + 1)) with w = exp(-|x|)

A quotient P(E)/Q(E) with E = exp(u) whose numerator has no higher degree is bounded, though P and Q are not. With n the
degree of Q it is P(w)/Q(w) where u <= 0, and w**n P(1/w) / (w**n Q(1/w)) elsewhere.
"""

from __future__ import annotations

import sympy

from graphnn.declare.parts import find_parts

_E = sympy.Symbol("E", positive=True)


def rewrite_bounded(expr: sympy.Expr) -> sympy.Expr:
    """exp(x)/(p + exp(x)) -> select(x <= 0, w/(p + w), 1/(p*w + 1)) with w = exp(-|x|)."""
    if not (expr.is_Mul or expr.is_Pow):
        return expr
    hot = [f for f in sympy.Mul.make_args(expr) if f.has(sympy.exp)]
    if not any(f.is_Pow and f.exp.is_negative and f.base.is_Add for f in hot):
        return expr
    quotient, hidden = hide_functions(sympy.Mul(*hot))
    argument = _common_argument(quotient)
    if argument is None:
        return expr
    above, below = (sympy.expand(part) for part in sympy.fraction(sympy.together(_in_one(quotient, argument))))
    if not (above.is_polynomial(_E) and below.is_polynomial(_E)):
        return expr
    top, bottom = sympy.Poly(above, _E), sympy.Poly(below, _E)
    degree = bottom.degree()
    if degree < 1 or top.degree() > degree:
        return expr
    small = sympy.exp(-sympy.Abs(argument))

    def form(power: int) -> sympy.Expr:
        """The quotient in w: k stays k for power 1, and becomes degree - k for power -1."""
        start = 0 if power == 1 else degree
        parts = [[c * small ** (start + power * k) for (k,), c in p.terms()] for p in (top, bottom)]
        return sympy.Add(*parts[0]) / sympy.Add(*parts[1])

    branches = sympy.Piecewise((form(1), sympy.Le(argument, 0)), (form(-1), True))
    return sympy.Mul(*(f for f in sympy.Mul.make_args(expr) if f not in hot)) * branches.xreplace(hidden)


def hide_functions(expr: sympy.Expr) -> tuple[sympy.Expr, dict[sympy.Expr, sympy.Expr]]:
    """What is rational in exponentials, other functions of them being symbols.

    log(1 + exp(x))*exp(x) -> #0*exp(x), {#0: log(1 + exp(x))}
    """
    hidden: dict[sympy.Expr, sympy.Expr] = {}

    def visit(part: sympy.Expr) -> sympy.Expr:
        if isinstance(part, sympy.exp) or not part.has(sympy.exp):
            return part
        if part.is_Add or part.is_Mul or (part.is_Pow and part.exp.is_Integer):
            return part.func(*map(visit, part.args))
        symbol = sympy.Symbol(f"#{len(hidden)}", real=True)
        hidden[symbol] = part
        return symbol

    return visit(expr), hidden


def as_product(expr: sympy.Expr) -> sympy.Expr:
    """1 - ((E - 1/E)/(E + 1/E))**2 -> 4*E**2/(E**2 + 1)**2: over one divisor, and factored.

    E = exp(u) is one unknown where all exponents are whole multiples of u: with u = 7*x/3 + y, sympy by itself would
    factor a polynomial in exp(x/3) and exp(y), whose degree grows with the numbers in u.
    """
    argument = _common_argument(expr)
    in_one = expr if argument is None else _in_one(expr, argument)
    product = sympy.factor(sympy.cancel(sympy.together(in_one)))
    return product if argument is None else product.xreplace({_E: sympy.exp(argument)})


def _in_one(expr: sympy.Expr, argument: sympy.Expr) -> sympy.Expr:
    """exp(2*u) + exp(-u) -> E**2 + 1/E, for the argument u."""
    return expr.replace(sympy.exp, lambda u: _E ** sympy.cancel(u / argument))


def _common_argument(quotient: sympy.Expr) -> sympy.Expr | None:
    """The u of which every exponent in the quotient is a whole multiple; None where there is none."""
    exponents = sorted({e.args[0] for e in find_parts(quotient, sympy.exp)}, key=sympy.default_sort_key)
    if any(u.has(sympy.Abs, sympy.Max, sympy.exp) for u in exponents):
        return None
    for candidate in exponents:
        if all(sympy.cancel(u / candidate).is_Integer for u in exponents):
            return candidate
    return None

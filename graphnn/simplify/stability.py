"""Scalar rewrites that keep a formula finite and accurate. Their results are evaluated and never differentiated.

exp(x)/(1 + exp(x))**2      -> sigmoid(x)*sigmoid(-x)
(exp(x)-exp(-x))/(exp(x)+exp(-x)) -> tanh(x)
log(1 + exp(x))             -> max(x, 0) + log1p(exp(-|x|))
log(sigmoid(x))             -> -(max(-x, 0) + log1p(exp(-|x|)))
log(p*exp(x))               -> x + log(p)
log(1 + x), c*exp(x) - c    -> log1p(x), c*expm1(x)
1 + erf(x), 1 + tanh(x)     -> erfc(-x), 2*sigmoid(2*x)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sympy

from graphnn.declare.entries import Entry
from graphnn.declare.parts import find_parts
from graphnn.declare.scalars import expm1, log1p
from graphnn.declare.substitute import substitute
from graphnn.simplify.algebra import map_bottom_up, map_top_down
from graphnn.simplify.bounded import hide_functions, rewrite_bounded
from graphnn.simplify.elements import take_out
from graphnn.simplify.heads import Erfc, Sigmoid
from graphnn.simplify.rules import Trace


def softplus(argument: sympy.Expr) -> sympy.Expr:
    """log(1 + exp(x)) without overflow and without losing small values."""
    return sympy.Max(argument, 0) + log1p(sympy.exp(-sympy.Abs(argument)))


def rewrite_logistic(expr: sympy.Expr) -> sympy.Expr:
    """exp(j*u)/(1 + A*exp(u))**k, 0 <= j <= k -> sigmoid(v)**j * sigmoid(-v)**(k-j) / A**j with v = u + log A."""
    if not _has_divisor(expr):
        return expr
    number, quotient = _apart(expr)
    for factor in sympy.Mul.make_args(quotient):
        base, power = factor.as_base_exp()
        logistic = _one_plus_exponential(base)
        if logistic is None or not (power.is_Integer and power.is_negative):
            continue
        argument, scale = logistic
        rest = quotient / factor
        exponent = _exponent_of(rest, argument)
        if exponent is None or not 0 <= exponent <= -power:
            continue
        rest = sympy.powsimp(rest * sympy.exp(-exponent * argument))
        if _grows_with(rest, argument):
            continue  # the quotient as a whole is bounded, and its parts are not
        shift = argument + sympy.log(scale)
        product = Sigmoid(shift) ** exponent * Sigmoid(-shift) ** (-power - exponent)
        return number * rewrite_logistic(rest * scale ** (-exponent) * product)
    return expr


def _has_divisor(expr: sympy.Expr) -> bool:
    """Whether a product is divided by a sum of two terms, as sigmoid and tanh are."""
    return any(
        f.is_Pow and f.exp.is_Integer and f.exp.is_negative and f.base.is_Add and len(f.base.args) == 2
        for f in sympy.Mul.make_args(expr)
    )


def _apart(expr: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """(E - 1)/(4*E + 4) -> 1/4, (E - 1)/(E + 1): the mean of four tanh is cancelled into that."""
    number, product = expr.as_coeff_Mul()
    contents, factors = sympy.S.One, []
    for factor in sympy.Mul.make_args(product):
        base, power = factor.as_base_exp()
        content, primitive = base.primitive() if base.is_Add and power.is_Integer else (sympy.S.One, base)
        contents *= content**power
        factors.append(factor if content == 1 else primitive**power)
    return number * contents, product if contents == 1 else sympy.Mul(*factors)


def _one_plus_exponential(base: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """1 + A*exp(u) -> (u, A) with a number A > 0."""
    if not (base.is_Add and len(base.args) == 2 and base.args[0] == 1):
        return None
    coefficient, exponential = base.args[1].as_coeff_Mul()
    if isinstance(exponential, sympy.exp) and coefficient.is_positive:
        return exponential.args[0], coefficient
    return None


def _grows_with(rest: sympy.Expr, argument: sympy.Expr) -> bool:
    """Whether other factors hold the same exponential."""
    exponents = {e.args[0] for e in find_parts(hide_functions(rest)[0], sympy.exp)}
    return any(sympy.cancel(exponent / argument).is_Integer for exponent in exponents)


def _exponent_of(product: sympy.Expr, argument: sympy.Expr) -> int | None:
    """The whole number j for which exp(j*argument) divides the exponentials of a product; 0 where there is none."""
    exponents = [f.args[0] for f in sympy.Mul.make_args(product) if isinstance(f, sympy.exp)]
    if not exponents:
        return 0
    ratio = sympy.cancel(sympy.Add(*exponents) / argument)
    return int(ratio) if ratio.is_Integer else 0


def rewrite_tanh(expr: sympy.Expr) -> sympy.Expr:
    """(E - 1/E)/(E + 1/E) -> tanh(u), 4/(E + 1/E)**2 -> 4*sigmoid(2u)*sigmoid(-2u), for E = exp(u).

    (E**2 - 1)/(E**2 + 1) -> tanh(u): the same after cancellation.
    """
    if not _has_divisor(expr) or not expr.has(sympy.exp):
        return expr
    number, quotient = _apart(expr)
    for factor in sympy.Mul.make_args(quotient):
        base, power = factor.as_base_exp()
        argument = _half_width(base, 1)
        if argument is None or not (power.is_Integer and power.is_negative):
            continue
        rest = quotient / factor
        for other in sympy.Mul.make_args(rest):
            below, count = other.as_base_exp()
            if not (count.is_Integer and 0 < count <= -power):
                continue
            for sign in (1, -1):
                if _half_width(sign * below, -1) == argument and below.is_Add:
                    left = rest / other * base ** (power + count)
                    return number * rewrite_tanh(left) * (sign * sympy.tanh(argument)) ** count
        if power % 2 == 0 and _hyperbolic(base, 1) is not None and not _grows_with(rest, argument):
            square = Sigmoid(2 * argument) * Sigmoid(-2 * argument)
            return number * rest * square ** (-power // 2)
    return expr


def _half_width(base: sympy.Expr, sign: int) -> sympy.Expr | None:
    """exp(u) + sign*exp(-u) -> u, and exp(2*u) + sign -> u: with sign 1 and -1 the two parts of a tanh(u)."""
    if base.is_Add and len(base.args) == 2 and base.args[0] == sign and isinstance(base.args[1], sympy.exp):
        return base.args[1].args[0] / 2
    return _hyperbolic(base, sign)


def _hyperbolic(base: sympy.Expr, sign: int) -> sympy.Expr | None:
    """exp(u) + sign*exp(-u) -> u."""
    if not (base.is_Add and len(base.args) == 2):
        return None
    for first, second in (base.args, base.args[::-1]):
        if isinstance(first, sympy.exp) and second == sign * sympy.exp(-first.args[0]):
            return first.args[0]
    return None


def rewrite_complement(expr: sympy.Expr) -> sympy.Expr:
    """1 - sigmoid(x) -> sigmoid(-x), also where logistics of both signs were combined."""
    if expr.is_Add and len(expr.args) == 2 and expr.args[0] == 1:
        coefficient, head = expr.args[1].as_coeff_Mul()
        if coefficient == -1 and isinstance(head, Sigmoid):
            return Sigmoid(-head.args[0])
    return expr


def rewrite_erf_complement(expr: sympy.Expr) -> sympy.Expr:
    """1 + erf(x) -> erfc(-x), and c - c*erf(x) -> c*erfc(x)."""
    return _complement(expr, sympy.erf, lambda u: Erfc(-u))


def rewrite_tanh_complement(expr: sympy.Expr) -> sympy.Expr:
    """1 + tanh(x) -> 2*sigmoid(2*x), c - c*tanh(x) -> 2*c*sigmoid(-2*x), 1 - tanh(x)**2 -> the product of both."""
    if expr.is_Add and len(expr.args) == 2:
        one, (scale, square) = expr.args[0], expr.args[1].as_coeff_Mul()
        base, power = square.as_base_exp()
        if one.is_Number and scale == -one and power == 2 and isinstance(base, sympy.tanh):
            u = 2 * base.args[0]
            return 4 * one * Sigmoid(u) * Sigmoid(-u)
    return _complement(expr, sympy.tanh, lambda u: 2 * Sigmoid(2 * u))


def _complement(expr: sympy.Expr, odd: Any, one_plus: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """c + c*f(u) -> c*one_plus(u) in a sum, for an odd function f; c - c*f(u) -> c*one_plus(-u)."""
    if not expr.is_Add:
        return expr
    for term in expr.args:
        for head in (f for f in sympy.Mul.make_args(term) if isinstance(f, odd)):
            scale = term / head
            for sign in (1, -1):
                if sign * scale in expr.args:
                    rest = expr - term - sign * scale
                    return _complement(rest + sign * scale * one_plus(sign * head.args[0]), odd, one_plus)
    return expr


def rewrite_log_product(expr: sympy.Expr) -> sympy.Expr:
    """log(p*exp(x)) -> x + log(p): exponentials and logistics leave a logarithm."""
    if not isinstance(expr, sympy.log):
        return expr
    outside, inside = sympy.S.Zero, sympy.S.One
    for factor in sympy.Mul.make_args(_joined(expr.args[0])):
        base, power = factor.as_base_exp()
        if isinstance(factor, sympy.exp):
            outside += factor.args[0]
        elif power.is_Integer and (isinstance(base, Sigmoid) or (base.is_positive and power != 1)):
            outside += power * sympy.log(base)
        else:
            inside *= factor
    base, power = inside.as_base_exp()
    if power.is_Integer and power % 2 == 1 and power != 1:  # log(1/s) and -log(s) agree, NaN for s < 0 included
        outside, inside = outside + power * sympy.log(base), sympy.S.One
    return expr if outside == 0 else outside + (sympy.log(inside) if inside != 1 else 0)


def _joined(product: sympy.Expr) -> sympy.Expr:
    """exp(a)*exp(b)/x -> exp(a + b)/x. One exponential has nothing to be joined to."""
    powers = [
        f for f in sympy.Mul.make_args(product) if not (f.is_Rational or isinstance(f, Entry) or _is_reciprocal(f))
    ]
    return product if len(powers) == 1 and isinstance(powers[0], sympy.exp) else sympy.powsimp(product)


def _is_reciprocal(factor: sympy.Expr) -> bool:
    return bool(factor.is_Pow and factor.exp == -1 and isinstance(factor.base, Entry))


def rewrite_softplus(expr: sympy.Expr) -> sympy.Expr:
    """log(1 + A*exp(x)) -> softplus(x + log A)."""
    if isinstance(expr, sympy.log):
        logistic = _one_plus_exponential(expr.args[0])
        if logistic is not None:
            return softplus(logistic[0] + sympy.log(logistic[1]))
    return expr


def rewrite_log_logistic(expr: sympy.Expr) -> sympy.Expr:
    """log(sigmoid(x)) -> -softplus(-x)."""
    if isinstance(expr, sympy.log) and isinstance(expr.args[0], Sigmoid):
        return -softplus(-expr.args[0].args[0])
    return expr


def rewrite_log1p(expr: sympy.Expr) -> sympy.Expr:
    """log(1 + x) -> log1p(x)."""
    if isinstance(expr, sympy.log) and expr.args[0].is_Add and expr.args[0].args[0] == 1:
        return log1p(expr.args[0] - 1)
    return expr


def rewrite_expm1(expr: sympy.Expr) -> sympy.Expr:
    """exp(x) - 1 -> expm1(x), and c*exp(x) - c -> c*expm1(x) for a number c; b**x is exp(x*log(b)) for a number b > 0.

    Only where that is all of the sum: what is left of a longer one may overflow beside it, and has a bounded form.
    """
    if expr.is_Add and len(expr.args) == 2:
        number, term = expr.args
        coefficient, head = term.as_coeff_Mul()
        if isinstance(head, sympy.exp) and coefficient == -number:
            return coefficient * expm1(head.args[0])
        if is_exponential(head) and coefficient == -number:
            return coefficient * expm1(head.exp * sympy.log(head.base))
    return expr


def is_exponential(expr: sympy.Expr) -> bool:
    """Whether an expression is a power of a positive number, as the decay of a moment is."""
    return bool(expr.is_Pow and expr.base.is_Rational and expr.base.is_positive)


_ORDER: tuple[tuple[str, Callable[[sympy.Expr], sympy.Expr]], ...] = (
    ("hyperbolic tangent", rewrite_tanh),
    ("logistic", rewrite_logistic),
    ("complement of the logistic", rewrite_complement),
    ("complement of the hyperbolic tangent", rewrite_tanh_complement),
    ("complement of the error function", rewrite_erf_complement),
    ("log of a product", rewrite_log_product),
    ("log of the logistic", rewrite_log_logistic),
    ("softplus", rewrite_softplus),
    ("log1p", rewrite_log1p),
    ("expm1", rewrite_expm1),
    ("bounded exponential", rewrite_bounded),
)


def _is_rewritten(expr: sympy.Expr) -> bool:
    """Whether an expression holds what a rewrite is about."""
    heads = sympy.exp, sympy.log, sympy.erf, sympy.tanh, Sigmoid
    return expr.has(*heads) or any(map(is_exponential, find_parts(expr, sympy.Pow)))


def stabilise(node: str, expr: sympy.Expr, trace: Trace) -> sympy.Expr:
    """All scalar rewrites, in order, each wherever it matches."""
    if not _is_rewritten(expr):
        return expr
    plain, elements = take_out(expr)
    for rule, after in stable_forms(plain):
        expr = trace.record(node, rule, expr, substitute(after, elements))
    return expr


@lru_cache(2**10)
def stable_forms(expr: sympy.Expr) -> tuple[tuple[str, sympy.Expr], ...]:
    """(rule, formula after it) of each scalar rewrite that changes a formula of numbered elements, in order."""
    forms = []
    for rule, rewrite in _ORDER:
        if not _is_rewritten(expr):
            break
        visit = map_top_down if rewrite in (rewrite_tanh, rewrite_logistic, rewrite_bounded) else map_bottom_up
        after = visit(expr, rewrite)
        if after != expr:
            forms.append((rule, after))
        expr = after
    return tuple(forms)

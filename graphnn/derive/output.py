"""Derivatives through the output: sigma' = sigma(1 - sigma) is found, not known.

    f = 1/(1 + exp(-t))     write f in one exponential:    f = 1/(1 + E),  E = exp(-t)
                            solve y = f for it:            E = (1 - y)/y
                            put that into f':              f' = E/(1 + E)**2 = y*(1 - y)

The same elimination gives tanh' = 1 - y**2, exp' = y, sqrt' = 1/(2y), softplus' = 1 - exp(-y). Where the output does
not determine the exponential, a quotient in it may: silu = t*s with s = 1/(1 + exp(-t)) has silu' = s*(1 + t*(1 - s)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import sympy

from graphnn.declare.parts import find_parts
from graphnn.simplify.cost import cost
from graphnn.simplify.rational import cancel

OUTPUT = sympy.Symbol("y", real=True)
QUOTIENT = sympy.Symbol("s", real=True)
_EXPONENTIAL = sympy.Symbol("E", positive=True)


Lines = tuple[tuple[str, sympy.Expr], ...]  # (rule, expression)


@dataclass(frozen=True, slots=True)
class ThroughOutput:
    """f' in terms of what `means` defines: the output `OUTPUT`, or a quotient in it. `tell` gives the way there."""

    result: sympy.Expr
    tell: Callable[[], Lines]
    means: tuple[sympy.Symbol, sympy.Expr]

    @property
    def steps(self) -> Lines:
        """The way to the result, as people read it: its lines are factored, which no compile waits for."""
        return self.tell()


@cache
def through_output(body: sympy.Expr, symbol: sympy.Symbol, derivative: sympy.Expr) -> ThroughOutput | None:
    """The derivative written in the output alone, where that is possible and cheaper; else None."""
    if body.free_symbols != {symbol} or body == symbol or not derivative.has(symbol):
        return None
    for find in (_by_exponential, _by_substitution):
        candidate = find(OUTPUT, body, symbol, derivative)
        if candidate and not candidate.result.has(symbol) and cost(candidate.result) < cost(derivative):
            return candidate
    return None


@cache
def through_quotient(body: sympy.Expr, symbol: sympy.Symbol, derivative: sympy.Expr) -> ThroughOutput | None:
    """The derivative written in a quotient 1/(... + exp(...)) of the body and in `symbol`, where that is cheaper."""
    if body.free_symbols != {symbol}:
        return None
    quotients = [p for p in find_parts(body, sympy.Pow) if p.exp == -1 and p.base.is_Add and p.base.has(sympy.exp)]
    for quotient in sorted(quotients, key=sympy.default_sort_key):
        found = _by_exponential(QUOTIENT, quotient, symbol, derivative)
        if found and cost(found.result) < cost(derivative):
            named = ("name a quotient", sympy.Eq(QUOTIENT, quotient, evaluate=False))
            return replace(found, tell=partial(_after, named, found.tell))
    return None


def _after(line: tuple[str, sympy.Expr], tell: Callable[[], Lines]) -> Lines:
    return (line, *tell())


def _by_substitution(
    name: sympy.Symbol, body: sympy.Expr, symbol: sympy.Symbol, derivative: sympy.Expr
) -> ThroughOutput:
    """sqrt: f' = 1/(2*sqrt(t)) holds f itself."""
    result = derivative.subs(body, name)
    return ThroughOutput(result, lambda: (("substitute the output", result),), (name, body))


def _by_exponential(
    name: sympy.Symbol, body: sympy.Expr, symbol: sympy.Symbol, derivative: sympy.Expr
) -> ThroughOutput | None:
    """The derivative in `name`, which stands for `body`. Outside of exponentials it may hold `symbol`."""
    arguments = sorted({e.args[0] for e in find_parts(body, sympy.exp) if e.has(symbol)}, key=sympy.default_sort_key)
    if not arguments:
        return None
    base = min(arguments, key=lambda a: (abs(sympy.expand(a).coeff(symbol, 1)), sympy.default_sort_key(a)))

    def in_one_exponential(expr: sympy.Expr) -> sympy.Expr:
        def power(argument: sympy.Expr) -> sympy.Expr:
            ratio = cancel(argument / base)
            return _EXPONENTIAL**ratio if ratio.is_Integer else sympy.exp(argument)

        return expr.replace(sympy.exp, power)

    function, slope = in_one_exponential(body), in_one_exponential(derivative)
    if function.has(symbol) or slope.has(sympy.exp):
        return None
    value, inner = name, function
    if isinstance(function, sympy.log):
        value, inner = sympy.exp(name), function.args[0]
    solved = _solve(inner, value)
    if solved is None:
        return None
    exponent, solution = solved
    slope = cancel(slope)
    reduced = cancel(_put_in(slope, exponent, solution))
    factored = tidy(sympy.factor(reduced))
    grouped = sympy.Mul(*(sympy.collect(f, symbol, tidy) for f in sympy.Mul.make_args(factored)))
    result = min((grouped, factored, sympy.expand(reduced)), key=cost)
    if result.has(_EXPONENTIAL):
        return None

    def tell() -> Lines:
        return (
            ("write with one exponential", sympy.Eq(name, function, evaluate=False)),
            ("solve for it", sympy.Eq(_EXPONENTIAL**exponent, tidy(sympy.factor(solution)), evaluate=False)),
            ("the derivative with one exponential", sympy.factor(slope)),
            ("put the solution in", result),
        )

    return ThroughOutput(result, tell, (name, body))


def _solve(function: sympy.Expr, value: sympy.Expr) -> tuple[int, sympy.Expr] | None:
    """Solve function(E) = value for E**k, where only multiples of k occur as exponents and the equation is linear."""
    numerator, _ = sympy.fraction(sympy.together(function - value))
    numerator = sympy.expand(numerator)
    if not numerator.is_polynomial(_EXPONENTIAL):
        return None
    polynomial = sympy.Poly(numerator, _EXPONENTIAL)
    exponents = [m[0] for m in polynomial.monoms() if m[0]]
    step = sympy.igcd(*exponents) if len(exponents) > 1 else (exponents[0] if exponents else 0)
    if not step or max(exponents) != step:
        return None
    slope, constant = polynomial.coeff_monomial(_EXPONENTIAL**step), polynomial.coeff_monomial(1)
    return int(step), cancel(-constant / slope)


def _put_in(expr: sympy.Expr, exponent: int, solution: sympy.Expr) -> sympy.Expr:
    """An expression in E = solution**(1/exponent): E**2 is the solution itself where the exponent is 2."""
    base, power = expr.as_base_exp()
    if base == _EXPONENTIAL:
        return solution ** (power / exponent)
    return expr.func(*(_put_in(part, exponent, solution) for part in expr.args)) if expr.args else expr


def tidy(expr: sympy.Expr) -> sympy.Expr:
    """-y*(y - 1) -> y*(1 - y): the minus sign moves into a factor that it makes easier to read."""
    coefficient, factors = expr.as_coeff_mul()
    if coefficient.is_negative:
        for n, factor in enumerate(factors):
            if factor.is_Add and sum(t.could_extract_minus_sign() for t in factor.args) * 2 >= len(factor.args):
                flipped = (*factors[:n], sympy.Add(*(-t for t in factor.args)), *factors[n + 1 :])
                return sympy.Mul(-coefficient, *flipped)
    return expr

"""Cancellation by rational algebra over accesses, exponentials and indicators.

    (-y/a + (1 - y)/(1 - a)) * a*(1 - a) / n                    -> (a - y)/n
    e*(select(c, -s/e, 0)/s + 1/s)/n                            -> (e/s - [c])/n

A conditional `select(c, f, 0)` takes part as an indicator times f, and leaves as a conditional again, so that a branch
that is not taken is never multiplied in. Candidates are made, and the cheapest is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.declare.parts import find_parts
from graphnn.declare.substitute import substitute
from graphnn.declare.whole import choose
from graphnn.simplify.cost import cost
from graphnn.simplify.elements import take_out
from graphnn.simplify.rational import cancel

_LARGEST = 400  # terms of the expanded polynomial; cancellation writes them out, and there is no short form beyond


def use_conditions(expr: sympy.Expr) -> sympy.Expr:
    """select(i == t, f(t), 0) -> select(i == t, f(i), 0), so that f can cancel against terms at i."""

    def branch(value: sympy.Expr, condition: Boolean) -> sympy.Expr:
        for equation in sympy.And.make_args(condition):
            if isinstance(equation, sympy.Eq):
                for side, other in ((equation.lhs, equation.rhs), (equation.rhs, equation.lhs)):
                    if isinstance(side, IntegerEntry) and isinstance(other, sympy.Symbol):
                        value = value.xreplace({side: other})
        return value

    def visit(*args: sympy.Expr) -> sympy.Expr:
        return choose(*((branch(v, c), c) for v, c in args))

    return expr.replace(sympy.Piecewise, visit) if expr.has(sympy.Piecewise) else expr


def reduce_rational(expr: sympy.Expr, exposed: Callable[[sympy.Expr], int] = lambda form: 0) -> sympy.Expr:
    """The best of the equal forms that rational algebra finds; `expr` itself where none is better.

    Best is what has the fewest exponentials that `exposed` counts, and then what is cheapest: (exp(z) + z + 1)*exp(z)/
    (exp(z) + 1)**2 is cheaper than sigmoid(z) + z*sigmoid(z)*sigmoid(-z), and overflows.
    """
    if not _may_cancel(expr):
        return expr
    plain, elements = take_out(expr)
    reduced = _reduce(plain, exposed)
    return expr if reduced == plain else substitute(reduced, elements)


@lru_cache(2**10)
def _reduce(expr: sympy.Expr, exposed: Callable[[sympy.Expr], int]) -> sympy.Expr:
    """`reduce_rational` of numbered elements."""
    indicators: dict[sympy.Symbol, Boolean] = {}
    encoded = _encode(expr, indicators)
    atoms: dict[sympy.Expr, sympy.Symbol] = {}
    plain = _hide(encoded, atoms, _exponent_units(encoded))
    if _terms(plain) > _LARGEST:
        return expr
    restore = {symbol: atom for atom, symbol in atoms.items()}
    candidates = _forms(plain)
    written = {_ray(sympy.expand(e.args[0]))[1]: e.args[0] for e in find_parts(expr, sympy.exp)}
    shown = [_decode(_rewrite(join_exponentials(c.xreplace(restore)), written), indicators) for c in candidates]
    return _best([expr, *shown], exposed)


def _best(forms: Iterable[sympy.Expr], exposed: Callable[[sympy.Expr], int]) -> sympy.Expr:
    """The form with the fewest exposed exponentials, then the cheapest; `exposed`, which is dear, is asked last.

    Of equals the first: g*(1 - exp(-s)) has digits that g - g*exp(-s) loses.
    """
    costs = {form: cost(form) for form in forms}
    best, fewest = None, 0
    for form in sorted(costs, key=lambda form: costs[form]):  # which keeps the order of equals
        count = exposed(form)
        if best is None or count < fewest:
            best, fewest = form, count
        if not fewest:
            break
    return best


@lru_cache(2**10)
def _forms(plain: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """The candidates of a rational function of generated symbols: layers and time steps of one kind share them."""
    together = cancel(plain)
    return together, *_spread(together)


def _may_cancel(expr: sympy.Expr) -> bool:
    powers = [q for q in find_parts(expr, sympy.Pow) if q.exp.is_negative and q.base.has(Entry)]
    return bool(powers) or len(find_parts(expr, sympy.exp)) > 1


def _terms(expr: sympy.Expr) -> int:
    """How many terms an expression has when its sums are multiplied out and put over one divisor."""
    if expr.is_Add:
        divisors = [
            sympy.Mul(*(f for f in sympy.Mul.make_args(t) if f.is_Pow and f.exp.is_negative)) for t in expr.args
        ]
        over = math.prod(_terms(1 / d) for d in set(divisors))
        return sum(map(_terms, expr.args)) * over
    if expr.is_Mul:
        return math.prod(map(_terms, expr.args))
    if expr.is_Pow and expr.exp.is_Integer:
        return int(_terms(expr.base) ** min(abs(int(expr.exp)), 64))
    return 1


def _encode(expr: sympy.Expr, indicators: dict[sympy.Symbol, Boolean]) -> sympy.Expr:
    """select(c, f, 0) -> d*f with an indicator symbol d for c."""

    def visit(*args: sympy.Expr) -> sympy.Expr:
        if len(args) != 2 or args[1] != (0, True):
            return sympy.Piecewise(*args)
        value, condition = args[0]
        known = next((d for d, c in indicators.items() if c == condition), None)
        if known is None:
            known = sympy.Symbol(f"d{len(indicators)}", positive=True)
            indicators[known] = condition
        return known * value

    return expr.replace(sympy.Piecewise, visit)


def _decode(expr: sympy.Expr, indicators: dict[sympy.Symbol, Boolean]) -> sympy.Expr:
    """d*f -> select(c, f, 0). A product with an indicator is conditional as a whole."""
    for symbol, condition in indicators.items():
        expr = _make_conditional(expr, symbol, condition)
    return expr


def _make_conditional(expr: sympy.Expr, symbol: sympy.Symbol, condition: Boolean) -> sympy.Expr:
    if not expr.has(symbol):
        return expr
    if expr == symbol or (expr.is_Pow and expr.base == symbol):
        return choose((sympy.S.One, condition))
    if expr.is_Mul:
        inside = [f for f in expr.args if f == symbol or (f.is_Pow and f.base == symbol)]
        if inside:
            rest = sympy.Mul(*(f.xreplace({symbol: sympy.S.One}) for f in expr.args if f not in inside))
            return choose((rest, condition))
    return expr.func(*(_make_conditional(f, symbol, condition) for f in expr.args))


def _exponents(exponential: sympy.Expr) -> list[tuple[sympy.Expr, sympy.Expr]]:
    """(coefficient, what it multiplies) of each term of an exponent."""
    return [t.as_coeff_Mul() for t in sympy.Add.make_args(sympy.expand(exponential.args[0]))]


def _exponent_units(expr: sympy.Expr) -> dict[sympy.Expr, sympy.Rational]:
    """The largest number of which all coefficients of a term in exponents are multiples: 2/3 in exp(2*z/3)/exp(4*z/3).

    exp(2*z/3) as the second power of exp(z/3) would do, but 1.7159 would make a power of 17159.
    """
    units: dict[sympy.Expr, sympy.Rational] = {}
    for exponential in find_parts(expr, sympy.exp):
        for c, t in _exponents(exponential):
            if c.is_Rational:
                unit = units.get(t, sympy.S.Zero)
                units[t] = sympy.Rational(math.gcd(unit.p * c.q, c.p * unit.q), unit.q * c.q)
    return units


def _hide(
    expr: sympy.Expr, atoms: dict[sympy.Expr, sympy.Symbol], units: Mapping[sympy.Expr, sympy.Rational]
) -> sympy.Expr:
    """What is not rational becomes a symbol; exp(k*u + v) a product of powers of those for exp(u), exp(v)."""
    if isinstance(expr, sympy.exp):
        known = [(units[t] * t, c / units[t]) for c, t in _exponents(expr) if c.is_Rational and c != 0]
        return sympy.Mul(*(_symbol(sympy.exp(t), atoms) ** power for t, power in known))
    if isinstance(expr, Entry) or not (expr.is_Add or expr.is_Mul or expr.is_Pow or expr.is_Number or expr.is_Symbol):
        return _symbol(expr, atoms)
    if expr.is_Pow and not expr.exp.is_Integer:
        return _symbol(expr, atoms)
    return expr.func(*(_hide(f, atoms, units) for f in expr.args)) if expr.args else expr


def _rewrite(expr: sympy.Expr, written: Mapping[sympy.Expr, sympy.Expr]) -> sympy.Expr:
    """exp(2*f*c + 2*f*d) -> exp(2*f*(c + d)) where exp(f*(c + d)) was written: exponents were multiplied out."""

    def visit(argument: sympy.Expr) -> sympy.Expr:
        factor, ray = _ray(argument)
        given = written.get(ray)
        return sympy.exp(argument if given is None else factor / _ray(sympy.expand(given))[0] * given)

    return expr.replace(sympy.exp, visit) if any(w.has(sympy.Add) for w in written.values()) else expr


def _ray(exponent: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """(number, exponent over it), alike for u, -u and 2*u."""
    number, rest = exponent.as_content_primitive()
    if rest.could_extract_minus_sign():
        number, rest = -number, -rest
    return number, sympy.expand(rest)


def _symbol(atom: sympy.Expr, atoms: dict[sympy.Expr, sympy.Symbol]) -> sympy.Symbol:
    return atoms.setdefault(atom, sympy.Symbol(f"u{len(atoms)}", positive=isinstance(atom, sympy.exp) or None))


def _spread(fraction: sympy.Expr) -> list[sympy.Expr]:
    """(e - d*s)/(n*s) -> e/(n*s) - d/n -> (e/s - d)/n: term by term, then with the common factor in front."""
    numerator, denominator = sympy.fraction(fraction)
    if not (numerator.has(sympy.Add) or denominator.has(sympy.Add)):
        return []  # one term over one term
    terms = sympy.Add.make_args(sympy.expand(numerator))
    if len(terms) > 12:
        return []
    spread = sympy.Add(*(cancel(t / denominator) for t in terms))
    return [spread, sympy.factor_terms(spread), sympy.factor(fraction)]


def join_exponentials(expr: sympy.Expr) -> sympy.Expr:
    """exp(a)*exp(-b) -> exp(a - b) in every product."""

    def join(product: sympy.Expr) -> sympy.Expr:
        if not product.is_Mul:
            return product
        exponents = [f.args[0] for f in product.args if isinstance(f, sympy.exp)]
        if len(exponents) < 2:
            return product
        others = [f for f in product.args if not isinstance(f, sympy.exp)]
        return sympy.Mul(*others, sympy.exp(sympy.expand(sympy.Add(*exponents))))

    return map_bottom_up(expr, join)


def map_bottom_up(expr: sympy.Expr, rule: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """Apply `rule` to every node, children first; accesses and their indices are left alone."""
    if isinstance(expr, Entry) or not expr.args:
        return rule(expr)
    arguments = [map_bottom_up(a, rule) for a in expr.args]
    changed = any(new is not old for new, old in zip(arguments, expr.args, strict=True))
    return rule(expr.func(*arguments) if changed else expr)


def map_top_down(expr: sympy.Expr, rule: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """Apply `rule` to every node, parents first; accesses and their indices are left alone.

    It is for rules about products: a power in a product is not visited again by itself.
    """
    expr = rule(expr)
    if isinstance(expr, Entry) or not expr.args:
        return expr

    def visit(part: sympy.Expr) -> sympy.Expr:
        if expr.is_Mul and part.is_Pow:
            base = map_top_down(part.base, rule)
            return part if base is part.base else base**part.exp
        return map_top_down(part, rule)

    arguments = [visit(a) for a in expr.args]
    changed = any(new is not old for new, old in zip(arguments, expr.args, strict=True))
    return expr.func(*arguments) if changed else expr

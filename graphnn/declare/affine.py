"""Quasi-affine index expressions: sums of axes with integer or size coefficients, floor division and mod.

extremes(2*i + k - 1)                    -> (-1, 2*(I-1) + K-1 - 1)
simplify_index(floor((M*i + j)/M))       -> i       where 0 <= j < M
simplify_index(Mod(M*i + j, M))          -> j
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy

from graphnn.declare.parts import find_parts
from graphnn.declare.whole import floor_of, remainder_of
from graphnn.errors import GraphError

Sizes = Mapping[sympy.Symbol, sympy.Expr]  # the extent of each axis
_KEPT = 2**13  # indices of which a fact is remembered: those of a network of some hundred layers


@lru_cache(_KEPT)
def expanded(expr: sympy.Expr) -> sympy.Expr:
    """sympy's expansion of an index, which layers and passes ask for again."""
    return expr if _is_expanded(expr) else sympy.expand(expr)


def _is_expanded(expr: sympy.Expr) -> bool:
    """Whether an index is seen to be a sum of products of numbers and symbols: 2*i0 + N*i1 - 1."""
    for term in sympy.Add.make_args(expr):
        if not all(f.is_Symbol or f.is_Rational for f in (term.args if term.is_Mul else (term,))):
            return False
    return True


@lru_cache(_KEPT)
def quotient(expr: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """floor(a/d) -> (a, d) with integer coefficients; None for anything else."""
    if not isinstance(expr, sympy.floor):
        return None
    numerator, denominator = sympy.fraction(sympy.together(expr.args[0]))
    return expanded(numerator), denominator


@lru_cache(_KEPT)
def linear_terms(expr: sympy.Expr) -> tuple[tuple[sympy.Expr, sympy.Expr], ...]:
    """An affine expression as (coefficient, atom) pairs; the constant part has atom 1.

    Atoms are axes, integer accesses, quotients and remainders; coefficients hold integers and sizes only.
    """
    pairs = []
    for term in sympy.Add.make_args(expanded(expr)):
        atoms = [f for f in sympy.Mul.make_args(term) if _is_atom(f)]
        if len(atoms) > 1:
            raise GraphError(f"the index {expr} is not quasi-affine: it multiplies {atoms[0]} by {atoms[1]}")
        atom = atoms[0] if atoms else sympy.S.One
        pairs.append((term / atom, atom))
    return tuple(pairs)


def _is_atom(factor: sympy.Expr) -> bool:
    if isinstance(factor, sympy.floor | sympy.Mod):
        return True
    return isinstance(factor, sympy.Symbol) and is_axis(factor)


def is_axis(symbol: sympy.Symbol) -> bool:
    """Canonical axes and integer accesses are i0, r0, t0, ...; every other symbol of an index is a size."""
    return symbol.name[:1] in "irtp" and symbol.name[1:].isdigit()


def check_quasi_affine(expr: sympy.Expr, symbols: set[sympy.Symbol]) -> None:
    """Raise GraphError unless `expr` is quasi-affine in `symbols` with integer or size coefficients."""
    bad = find_parts(expr, sympy.Float) or [
        r for r in find_parts(expr, sympy.Rational) if r.q != 1 and not _inside_floor(expr)
    ]
    if bad or not _quasi_affine(expr, symbols):
        raise GraphError(
            f"the index {expr} is not quasi-affine: use sums of axes with integer or size coefficients, "
            "floor division and mod by a positive size"
        )


def _inside_floor(expr: sympy.Expr) -> bool:
    return bool(expr.has(sympy.floor))


def _quasi_affine(expr: sympy.Expr, symbols: set[sympy.Symbol]) -> bool:
    if not expr.free_symbols & symbols:
        return bool(expr.is_integer)
    if isinstance(expr, sympy.Symbol):
        return bool(expr.is_integer)
    if isinstance(expr, sympy.Add):
        return all(_quasi_affine(a, symbols) for a in expr.args)
    if isinstance(expr, sympy.Mul):
        held = [f for f in expr.args if f.free_symbols & symbols]
        rest = expr / held[0]
        return len(held) == 1 and bool(rest.is_integer) and _quasi_affine(held[0], symbols)
    if isinstance(expr, sympy.Mod):
        return _quasi_affine(expr.args[0], symbols) and not expr.args[1].free_symbols & symbols
    pair = quotient(expr)
    if pair is not None:
        return _quasi_affine(pair[0], symbols) and not pair[1].free_symbols & symbols
    return False


def extremes(expr: sympy.Expr, sizes: Sizes) -> tuple[sympy.Expr, sympy.Expr] | None:
    """The smallest and the largest value over nonempty axes; None where it cannot be told."""
    low: list[sympy.Expr] = []
    high: list[sympy.Expr] = []
    for coefficient, atom in linear_terms(expr):
        bounds = _atom_extremes(atom, sizes)
        if bounds is None:
            return None
        if coefficient.is_nonnegative:
            least, most = bounds
        elif coefficient.is_nonpositive:
            most, least = bounds
        else:
            return None
        low.append(coefficient * least)
        high.append(coefficient * most)
    return expanded(sympy.Add(*low)), expanded(sympy.Add(*high))


def _atom_extremes(atom: sympy.Expr, sizes: Sizes) -> tuple[sympy.Expr, sympy.Expr] | None:
    if atom == 1:
        return atom, atom
    if isinstance(atom, sympy.Mod):
        inner = extremes(atom.args[0], sizes)
        if inner is not None and inner[0].is_nonnegative and (atom.args[1] - 1 - inner[1]).is_nonnegative:
            return inner
        return sympy.S.Zero, atom.args[1] - 1
    pair = quotient(atom)
    if pair is not None:
        inner = extremes(pair[0], sizes)
        if inner is None:
            return None
        return _divide(inner[0], pair[1]), _divide(inner[1], pair[1])
    if atom in sizes:
        return sympy.S.Zero, sizes[atom] - 1
    return None


def _divide(bound: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr:
    """floor(bound / divisor), where (N*d - 1)/d is known to be N - 1."""
    if bound.is_Integer and divisor.is_Integer and divisor > 0:
        return sympy.Integer(int(bound) // int(divisor))
    whole, rest = sympy.S.Zero, sympy.S.Zero
    for term in sympy.Add.make_args(expanded(bound)):
        ratio = sympy.cancel(term / divisor)
        if ratio.is_integer:
            whole += ratio
        else:
            rest += term
    if rest.is_nonnegative and (divisor - 1 - rest).is_nonnegative:
        return whole
    if rest.is_negative and _where_positive(divisor + rest, divisor).is_nonnegative:
        return whole - 1
    return whole + floor_of(rest / divisor)


def never_negative(expr: sympy.Expr) -> bool:
    """Whether an expression of sizes is at least 0 whatever they are: H - 2*floor(H/2) is H mod 2."""
    if expr.is_nonnegative:
        return True
    if not expr.has(sympy.floor):
        return bool(expanded(expr).is_nonnegative)
    exact = sympy.Add(*map(_by_remainder, sympy.Add.make_args(expanded(expr))))
    return bool(expanded(exact).is_nonnegative)


def _by_remainder(term: sympy.Expr) -> sympy.Expr:
    """c*k*floor(a/k) -> c*(a - a mod k)."""
    quotients = [f for f in sympy.Mul.make_args(term) if isinstance(f, sympy.floor)]
    whole = quotient(quotients[0]) if len(quotients) == 1 else None
    if whole is None:
        return term
    factor = sympy.cancel(term / quotients[0] / whole[1])
    return factor * (whole[0] - sympy.Mod(*whole)) if factor.is_Integer else term


def _where_positive(expr: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr:
    """`expr` with the sizes of a divisor, which are at least 1, written as 1 more than something nonnegative."""
    return sympy.expand(expr.xreplace({size: size + 1 for size in divisor.free_symbols}))


def simplify_index(expr: sympy.Expr, sizes: Sizes) -> sympy.Expr:
    """The same index without the quotients and remainders that the axes' ranges decide."""
    if not expr.has(sympy.floor, sympy.Mod):
        return expanded(expr)
    return _simplify(expr, frozenset((s, sizes[s]) for s in expr.free_symbols if s in sizes))


@lru_cache(_KEPT)
def _simplify(expr: sympy.Expr, extents: frozenset[tuple[sympy.Symbol, sympy.Expr]]) -> sympy.Expr:
    sizes = dict(extents)
    if isinstance(expr, sympy.Mod):
        inner, divisor = simplify_index(expr.args[0], sizes), expr.args[1]
        _, rest = _split(inner, divisor)
        if _within(rest, divisor, sizes):
            return rest
        return remainder_of(rest, divisor)
    pair = quotient(expr)
    if pair is not None:
        inner, divisor = simplify_index(pair[0], sizes), pair[1]
        whole, rest = _split(inner, divisor)
        if rest == 0 or _within(rest, divisor, sizes):
            return whole
        return whole + _coarsen(rest, divisor, sizes)
    return _rejoin(expanded(expr.func(*(simplify_index(a, sizes) for a in expr.args))))


def _rejoin(expr: sympy.Expr) -> sympy.Expr:
    """d*floor(x/d) + Mod(x, d) -> x."""
    for remainder in sorted(find_parts(expr, sympy.Mod), key=sympy.default_sort_key):
        number, divisor = remainder.args
        whole = expanded(divisor * floor_of(number / divisor))
        terms = sympy.Add.make_args(expr)
        if remainder in terms and all(t in terms for t in sympy.Add.make_args(whole)):
            return _rejoin(expanded(expr - remainder - whole + number))
    return expr


def _split(expr: sympy.Expr, divisor: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """expr = divisor*whole + rest, where `rest` collects the terms that `divisor` does not divide."""
    whole: list[sympy.Expr] = []
    rest: list[sympy.Expr] = []
    for term in sympy.Add.make_args(expanded(expr)):
        ratio = _whole_ratio(term, divisor)
        if ratio is None:
            rest.append(term)
        else:
            whole.append(ratio)
    return sympy.Add(*whole), sympy.Add(*rest)


def _whole_ratio(term: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr | None:
    """term/divisor where it is a product of integers and sizes."""
    if divisor.is_Integer:
        number, factor = term.as_coeff_Mul()
        if number.is_Integer and factor.is_integer:
            return None if number % divisor else number / divisor * factor
    ratio = sympy.cancel(term / divisor)
    return ratio if ratio.is_integer and sympy.fraction(ratio)[1] == 1 else None


def _within(rest: sympy.Expr, divisor: sympy.Expr, sizes: Sizes) -> bool:
    bounds = extremes(rest, sizes)
    return bounds is not None and bool(bounds[0].is_nonnegative) and bool((divisor - 1 - bounds[1]).is_nonnegative)


def _coarsen(rest: sympy.Expr, divisor: sympy.Expr, sizes: Sizes) -> sympy.Expr:
    """floor((V*r + v)/(T*V)) -> floor(r/T) where 0 <= v < V: a finer index that cannot carry is dropped."""
    for coefficient, _ in linear_terms(rest):
        ratio = sympy.cancel(divisor / coefficient)
        if coefficient != 1 and ratio.is_integer and ratio != 1 and sympy.fraction(ratio)[1] == 1:
            coarse, fine = _split(rest, coefficient)
            if _within(fine, coefficient, sizes):
                return simplify_index(floor_of(coarse / ratio), sizes)
    return floor_of(rest / divisor)

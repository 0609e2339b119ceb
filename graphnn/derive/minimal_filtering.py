"""Minimal filtering: m outputs of a filter with r taps from m + r - 1 products, found by interpolation (Cook, Toom).

    y[i] = sum[j < r] g[j]*d[i + j]  for i < m     ->     y = A^T ((G g) * (B^T d)),  * element by element

The product of two polynomials of r and m coefficients has n = m + r - 1 of them: its values at n points determine it.
That is an algorithm with n products for s = g convolved with h; the filter is its transpose in h.

    s = C ((E_r g) * (E_m h))    E_k[p, i] = a_p^i, values at the points;    C: values -> coefficients
    y = E_m^T ((E_r g) * (C^T d))

A. L. Toom, S. A. Cook; S. Winograd, "Arithmetic Complexity of Computations" (1980), for the transpose and the bound n;
A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), for the names of the matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from numbers import Rational
from typing import Any

import sympy as sp

from graphnn.errors import DeriveError

# Pairs +a and -a, whose rows share what is even and what is odd in the data; values around 1, so that no power of one
# is far larger than the others. For 5 and 4 points F(4, 3) has half the rounding error of 0, 1, -1, 2, -2, and F(3, 3)
# half that of 0, 1, -1, 2 (python -m tests.schedule.measure_filtering).
PAIRS = {1: ((1, 1),), 2: ((3, 8), (5, 4))}
PAIRS_BESIDE_ZERO = {1: ((1, 1),), 2: ((2, 3), (3, 2))}
FURTHER_PAIRS = ((1, 3), (4, 5), (3, 2))


@dataclass(frozen=True, slots=True)
class Filtering:
    """F(m, r): y = A^T ((G g) * (B^T d)), with A (n, m), G (n, r) and B (n, n), all rational, n = m + r - 1.

    `points` are the n - 1 finite ones; the last is infinity. `interpolation` is C of the product of polynomials, and
    `denominators` what was moved from the columns of C to G, so that B has integer entries where the points are
    integers.
    """

    m: int
    r: int
    points: tuple[sp.Rational, ...]
    A: sp.ImmutableMatrix
    G: sp.ImmutableMatrix
    B: sp.ImmutableMatrix
    interpolation: sp.ImmutableMatrix
    denominators: tuple[sp.Rational, ...]


def derive_filtering(m: int, r: int, points: Iterable[Any] | None = None) -> Filtering:
    """The matrices of F(m, r), derived by interpolation at `points` and infinity.

    `points` are m + r - 2 different rational numbers, by default opposite ones, and 0 where their number is odd.
    Raises DeriveError for counts below 1 and for any other points.
    """
    for name, value in (("m", m), ("r", r)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DeriveError(f"minimal filtering F(m, r): {name} is a positive int, not {value!r:.40}")
    n = m + r - 1
    chosen = _default_points(n - 1) if points is None else _checked_points(points, m, r)
    x = sp.Dummy("x")
    linear = [sp.Poly(x - a, x) for a in chosen]
    denominators = [
        sp.prod([a - b for position, b in enumerate(chosen) if position != own]) for own, a in enumerate(chosen)
    ]
    # Lagrange: s(x) = sum of s(a_p)*prod[q != p](x - a_q)/(a_p - a_q) + s(infinity)*prod[q](x - a_q)
    basis = [
        sp.prod([f for position, f in enumerate(linear) if position != own], start=sp.Poly(1, x)) for own in range(n)
    ]
    B = sp.ImmutableMatrix(n, n, lambda i, p: basis[p].coeff_monomial(x**i))
    weights = (*denominators, sp.S.One)
    taps = _values(chosen, r)
    G = sp.ImmutableMatrix(n, r, lambda p, j: taps[p, j] / weights[p])
    C = sp.ImmutableMatrix(n, n, lambda i, p: B[i, p] / weights[p])
    return Filtering(m, r, chosen, _values(chosen, m), G, B, C, weights)


def _values(points: Sequence[sp.Rational], size: int) -> sp.ImmutableMatrix:
    """What gives a polynomial's values at the points from its `size` coefficients; at infinity it is the last one."""

    def entry(p: int, i: int) -> sp.Rational:
        return points[p] ** i if p < len(points) else sp.Integer(i == size - 1)

    return sp.ImmutableMatrix(len(points) + 1, size, entry)


def _default_points(number: int) -> tuple[sp.Rational, ...]:
    """As many points: pairs of opposite ones, and 0 where the number is odd."""
    half, odd = divmod(number, 2)
    integers = ((k, 1) for k in count(2))
    pairs = (PAIRS_BESIDE_ZERO if odd else PAIRS).get(half) or tuple(islice(chain(FURTHER_PAIRS, integers), half))
    values = [sp.Rational(*pair) for pair in pairs]
    return (*[sp.S.Zero] * odd, *(sign * a for a in values for sign in (1, -1)))


def _checked_points(points: Iterable[Any], m: int, r: int) -> tuple[sp.Rational, ...]:
    needed = f"F({m}, {r}) needs {m + r - 2} different rational points beside infinity"
    if not isinstance(points, Iterable) or isinstance(points, str):
        raise DeriveError(f"{needed}, not {points!r:.40}")
    given = tuple(points)
    for point in given:
        # Text would be run by sympy; a float is seldom the number that was meant.
        if isinstance(point, bool) or not isinstance(point, sp.Rational | Rational):
            raise DeriveError(f"{needed}; {point!r:.40} is none: give an int, a Fraction or a sympy Rational")
    chosen = tuple(sp.Rational(p.numerator, p.denominator) for p in given)
    if len(chosen) != m + r - 2 or len(set(chosen)) != len(chosen):
        raise DeriveError(f"{needed}, not ({', '.join(map(str, chosen))})")
    return chosen

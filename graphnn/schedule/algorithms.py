"""The minimal filtering algorithms F(m, r) that a correlation may run by, and how inaccurate they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

from graphnn.lower.ir import CHAIN
from graphnn.lower.transforms import Matrix

# Root mean square error of F(m, r) over that of a direct sum in float32, of 16 terms a tap or more, as measured by
# python -m tests.schedule.measure_filtering. In two dimensions they multiply.
GROWTH = {(2, 2): 1.1, (3, 2): 1.1, (4, 2): 1.5, (2, 3): 1.0, (3, 3): 1.3, (4, 3): 1.7, (2, 4): 1.2, (2, 5): 1.4}
MOST_GROWTH = 4.0
FEWEST_TERMS = 16  # with fewer, a direct sum is more accurate yet, and there is too little to save
CHAINS_HELP = 1 / 3  # a direct sum of several chains is more accurate by this power of their number (same measurement)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """F(m, r) at its default points. It is derived when a matrix of it is asked for."""

    m: int
    r: int

    @property
    def products(self) -> int:
        return self.m + self.r - 1

    @property
    def outputs(self) -> Matrix:
        """A^T, as rows of numbers that are rounded from exact ones."""
        return _matrices(self.m, self.r)[0]

    @property
    def kernel(self) -> Matrix:
        """G."""
        return _matrices(self.m, self.r)[1]

    @property
    def data(self) -> Matrix:
        """B^T."""
        return _matrices(self.m, self.r)[2]


@lru_cache(64)
def _matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    from graphnn.derive.minimal_filtering import derive_filtering  # brings sympy, which loaded programs do without

    found = derive_filtering(m, r)
    return _rounded(found.A.T), _rounded(found.G), _rounded(found.B.T)


def _rounded(matrix: Any) -> Matrix:
    return tuple(tuple(float(x) for x in row) for row in matrix.tolist())


def accurate(terms: float, *sizes: int) -> Iterator[tuple[int, ...]]:
    """The outputs m of an algorithm for each window size, the whole within MOST_GROWTH for `terms` products a tap.

    A window of one tap needs no algorithm: F(1, 1). Algorithms sum `terms` products, a direct sum those of all taps.
    """
    chains = max(1.0, terms * prod(sizes) / CHAIN)
    ways = [[(1, 1.0)] if r == 1 else [(m, grown) for (m, taps), grown in GROWTH.items() if taps == r] for r in sizes]
    for found in product(*ways):
        if prod(grown for _, grown in found) * chains**CHAINS_HELP <= MOST_GROWTH:
            yield tuple(m for m, _ in found)

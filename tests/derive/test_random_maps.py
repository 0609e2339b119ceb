"""Random quasi-affine accesses: the gather that solving their index equations gives is the scatter done by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import sympy

import graphnn as gn
from tests.three_way.runner import Chain

AXES = gn.indices("i j k")
X = gn.operands("X")
Extents = tuple[int, ...]
SEEDS = range(25)


def affine(rng: np.random.Generator, extents: Extents) -> list[sympy.Expr]:
    """One or two sums of axes with coefficients from -3 to 3, each shifted to start at 0."""
    found = []
    for _ in range(rng.integers(1, 3)):
        coefficients = [int(c) for c in rng.integers(-3, 4, 3) * (rng.random(3) < 0.7)]
        low = sum(min(0, c * (n - 1)) for c, n in zip(coefficients, extents, strict=True))
        found.append(sum(c * a for c, a in zip(coefficients, AXES, strict=True)) - low)
    return found


def radix(rng: np.random.Generator, extents: Extents) -> list[sympy.Expr]:
    """The row-major number of all axes in random order, taken apart into digits again, the highest one open."""
    order = rng.permutation(3)
    number, weight = sympy.S.Zero, 1
    for n in order:
        number, weight = number + weight * AXES[n], weight * extents[n]
    divisors = [d for d in range(1, weight + 1) if weight % d == 0]
    low = int(rng.choice(divisors))
    if rng.random() < 0.5:
        return [sympy.floor(number / low), sympy.Mod(number, low)]
    middle = int(rng.choice([d for d in divisors if (weight // low) % d == 0]))
    return [sympy.floor(number / (low * middle)), sympy.Mod(sympy.floor(number / low), middle), sympy.Mod(number, low)]


def folded(rng: np.random.Generator, extents: Extents) -> list[sympy.Expr]:
    """A quotient, a remainder, or both of one axis: repeats and cycles; another axis beside it."""
    axis, other = (AXES[n] for n in rng.permutation(3)[:2])
    divisor = int(rng.integers(2, 4))
    parts = [sympy.floor(axis / divisor), sympy.Mod(axis, divisor), other]
    return [parts[n] for n in rng.permutation(3)[: rng.integers(1, 4)]]


def positions(index: list[sympy.Expr], point: Extents) -> tuple[int, ...]:
    """Where a point of the axes reads, in Python's integers."""
    return tuple(_at(expr, dict(zip(AXES, point, strict=True))) for expr in index)


def _at(expr: Any, point: dict[Any, int]) -> int:
    if expr in point:
        return point[expr]
    if isinstance(expr, sympy.floor):
        above, below = sympy.fraction(sympy.together(expr.args[0]))
        return _at(above, point) // int(below)
    if isinstance(expr, sympy.Mod):
        return _at(expr.args[0], point) % int(expr.args[1])
    if isinstance(expr, sympy.Add):
        return sum(_at(a, point) for a in expr.args)
    if isinstance(expr, sympy.Mul):
        return math.prod(_at(a, point) for a in expr.args)
    return int(expr)


@pytest.mark.parametrize("family", [affine, radix, folded], ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", SEEDS)
def test_gather_is_scatter(family: Any, seed: int) -> None:
    rng = np.random.default_rng([seed, len(family.__name__)])
    extents = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 6], 3))
    index = [sympy.sympify(e) for e in family(rng, extents)]
    points = list(itertools.product(*map(range, extents)))
    slack = int(rng.integers(0, 3))  # the operand may be longer than what is read
    shape = tuple(
        1 + slack + max(p[d] for p in (positions(index, point) for point in points)) for d in range(len(index))
    )
    read = gn.op("read", AXES, X[tuple(index)], dict(zip(AXES, extents, strict=True)))
    net = gn.Network("map")
    x, w = net.input("x", shape, "float64"), net.input("w", extents, "float64")
    tensors = [read(x), *gn.gradients(gn.sum(read(x) * w), [x])]
    values = {"x": rng.normal(size=shape), "w": rng.integers(-8, 9, extents).astype(np.float64)}
    out, scattered = np.zeros(extents), np.zeros(shape)
    for point in points:
        out[point] = values["x"][positions(index, point)]
        scattered[positions(index, point)] += values["w"][point]
    chain = Chain(tensors)
    for found in (gn.evaluate(tensors, values), chain.interpreted(values), chain.native(values)):
        np.testing.assert_array_equal(found[0], out)
        np.testing.assert_array_equal(found[1], scattered)

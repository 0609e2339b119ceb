"""Index equations: the gather that is derived adds up what the scatter by hand does."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import sympy

import graphnn as gn

i, j, k = gn.indices("i j k")
X = gn.operands("X")
Map = tuple[sympy.Expr, ...]

# fmt: off
# name, extents of X, extents of (i, j), index of X, the same index in Python
CASES: list[tuple[str, tuple[int, ...], tuple[int, int], Map, Callable[[int, int], tuple[int, ...]]]] = [
    ("stride 1",            (9,),      (7, 3), (i + j,),                 lambda a, b: (a + b,)),
    ("stride 2",            (16,),     (7, 3), (2*i + j,),               lambda a, b: (2*a + b,)),
    ("stride 3, dilation 2", (25,),    (7, 3), (3*i + 2*j,),             lambda a, b: (3*a + 2*b,)),
    ("stride 2, dilation 2", (17,),    (7, 3), (2*i + 2*j,),             lambda a, b: (2*a + 2*b,)),
    ("flipped",             (9,),      (7, 3), (i - j + 2,),             lambda a, b: (a - b + 2,)),
    ("reversed",            (7,),      (7, 1), (6 - i,),                 lambda a, b: (6 - a,)),
    ("diagonal",            (7, 7),    (7, 1), (i, i),                   lambda a, b: (a, a)),
    ("broadcast",           (3,),      (7, 3), (j,),                     lambda a, b: (b,)),
    ("constant",            (4, 3),    (7, 3), (sympy.Integer(2), j),    lambda a, b: (2, b)),
    ("flatten",             (21,),     (7, 3), (3*i + j,),               lambda a, b: (3*a + b,)),
    ("gap between rows",    (35,),     (7, 3), (5*i + j,),               lambda a, b: (5*a + b,)),
    ("unflatten",           (4, 6),    (8, 3), ((3*i + j)//6, (3*i + j) % 6), lambda a, b: divmod(3*a + b, 6)),
    ("repeat",              (4,),      (8, 1), (i//2,),                  lambda a, b: (a//2,)),
    ("repeat with an offset", (4,),    (8, 1), ((i + 3)//3,),            lambda a, b: ((a + 3)//3,)),
    ("repeat and slide",    (6,),      (8, 3), (i//2 + j,),              lambda a, b: (a//2 + b,)),
    ("unequal repeats",     (3,),      (7, 2), (i//3,),                  lambda a, b: (a//3,)),
    ("cycle",               (3,),      (8, 1), (i % 3,),                 lambda a, b: (a % 3,)),
    ("wraps around",        (2, 3),    (7, 1), ((i//3) % 2, i % 3),      lambda a, b: (a//3 % 2, a % 3)),
    ("three digits",        (2, 2, 3), (12, 1), (i//6, (i//3) % 2, i % 3), lambda a, b: (a//6, (a//3) % 2, a % 3)),
]
# fmt: on


@pytest.mark.parametrize(("name", "shape", "extents", "index", "by_hand"), CASES, ids=[c[0] for c in CASES])
def test_the_adjoint_of_an_access_is_its_scatter(
    name: str,
    shape: tuple[int, ...],
    extents: tuple[int, int],
    index: Map,
    by_hand: Callable[[int, int], tuple[int, ...]],
) -> None:
    read = gn.op("read", out=(i, j), body=X[index], extents=dict(zip((i, j), extents, strict=True)))
    net = gn.Network("scatter")
    x, weight = net.input("x", shape, "float64"), net.input("w", extents, "float64")
    (gradient,) = gn.gradients(gn.sum(read(x) * weight), [x])
    rng = np.random.default_rng(0)
    w = rng.integers(-8, 9, extents).astype(np.float64)  # small integers: every order of summation is exact
    expected = np.zeros(shape)
    for a, b in itertools.product(*map(range, extents)):
        expected[by_hand(a, b)] += w[a, b]
    np.testing.assert_array_equal(gn.evaluate([gradient], {"x": rng.normal(size=shape), "w": w})[0], expected)
    np.testing.assert_array_equal(gn.compile(gradient)(w=w), expected)


SHAPES = [
    ((2, 3, 4), (4, 1, 6)),
    ((6, 4), (2, 3, 4)),
    ((24,), (2, 3, 4)),
    ((2, 2, 2, 3), (3, 2, 4)),
    ((1, 5, 1), (5,)),
    ((0, 3), (3, 0)),
]


@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_the_adjoint_of_a_reshape_is_the_inverse_reshape(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    net = gn.Network("reshape")
    x, weight = net.input("x", before, "float64"), net.input("w", after, "float64")
    (gradient,) = gn.gradients(gn.sum(gn.reshape(x, after) * weight), [x])
    w = np.random.default_rng(0).normal(size=after)
    found = gn.evaluate([gradient], {"x": np.zeros(before), "w": w})[0]
    np.testing.assert_array_equal(found, w.reshape(before))


def test_a_repetition_is_solved_for_its_copies_and_tests_nothing() -> None:
    """floor(i/3) = p  ->  i = 3*p + b with b < 3."""
    net = gn.Network("repeat")
    x = net.input("x", ("N",))
    y = gn.op("repeat", out=(i,), body=X[sympy.floor(i / 3)], extents={i: 3 * X.shape[0]})(x)
    (gradient,) = gn.gradients(y, [x])
    assert gradient.definition is not None
    assert [e.size for e in gradient.definition.reduced] == [3]
    assert gradient.definition.guard == sympy.true


def test_a_bare_reindex_is_solved_without_a_sum() -> None:
    net = gn.Network("reshape")
    x = net.input("x", ("N", 6))
    y = gn.reshape(x, ("N", 2, 3))
    (gradient,) = gn.gradients(gn.sum(y * net.input("w", ("N", 2, 3))), [x])
    assert gradient.definition is not None
    assert gradient.definition.is_map()

"""Index expressions against their values at every point of small ranges."""

import itertools

import pytest
import sympy

from graphnn.declare.affine import check_quasi_affine, extremes, linear_terms, never_negative, simplify_index
from graphnn.declare.notation import axis_symbol, size_symbol
from graphnn.errors import GraphError

i, j = axis_symbol("i0"), axis_symbol("i1")
N, M = size_symbol("N"), size_symbol("M")
floor, Mod = sympy.floor, sympy.Mod
EXPRESSIONS = [
    2 * i + j - 1,
    floor((5 * i + j) / 5),
    Mod(5 * i + j, 5),
    floor((10 * i + 3 * j + 7) / 4),
    Mod(7 * i + 2 * j, 6),
    floor(i / 2) * 2 + Mod(i, 2),
    floor((6 * i + j) / 12),
    Mod(floor((6 * i + j) / 3), 2),
    4 - i,
]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_simplified_and_bounded_at_every_point(expr):
    sizes = {i: sympy.Integer(4), j: sympy.Integer(5)}
    simplified = simplify_index(expr, sizes)
    low, high = extremes(expr, sizes)
    for point in itertools.product(range(4), range(5)):
        at = dict(zip((i, j), point, strict=True))
        assert expr.subs(at) == simplified.subs(at)
        assert low <= expr.subs(at) <= high


def test_quotients_and_remainders_that_the_ranges_decide():
    sizes = {i: N, j: M}
    assert simplify_index(floor((M * i + j) / M), sizes) == i
    assert simplify_index(Mod(M * i + j, M), sizes) == j
    assert extremes(2 * i + j - 1, sizes) == (-1, 2 * N + M - 4)
    assert extremes(floor((M * i + j) / M), sizes) == (0, N - 1)


def test_linear_terms():
    assert set(linear_terms(2 * i + N * j + 3)) == {(2, i), (N, j), (3, 1)}
    with pytest.raises(GraphError, match="multiplies"):
        linear_terms(i * j)


@pytest.mark.parametrize("expr", [i * j, i**2, i / 2, 1.5 * i, floor(i * j / 2), Mod(N, i), sympy.exp(i)])
def test_what_is_not_quasi_affine(expr):
    with pytest.raises(GraphError, match="is not quasi-affine"):
        check_quasi_affine(expr, {i, j})


@pytest.mark.parametrize("expr", [i, N * i + M, floor((2 * i + j) / N), Mod(i - 3, N), sympy.Integer(4), N * M])
def test_what_is_quasi_affine(expr):
    check_quasi_affine(expr, {i, j})


@pytest.mark.parametrize(
    ("expr", "known"),
    [
        (N - 2 * floor(N / 2), True),
        (N - 2 * floor((N - 3) / 2) - 3, True),
        (2 * N - 3 * floor(N / 3), True),
        (N - 1 - 2 * floor(N / 2), False),
        (2 * floor(N / 2) - N, False),
        (N - 2 * floor(N / 3) * M, False),
    ],
)
def test_a_multiple_of_a_quotient_is_at_most_its_numerator(expr, known):
    """So that the last of floor((N - 3)/2) + 1 windows is known to end inside."""
    assert never_negative(expr) is known
    values = [expr.subs({N: n, M: m}) for n in range(12) for m in range(3)]
    assert not known or min(values) >= 0

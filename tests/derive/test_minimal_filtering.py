"""F(m, r) against the definition of a filter, in rational arithmetic: symbolic, with numbers, nested and transposed."""

import random
from fractions import Fraction

import pytest
import sympy as sp

from graphnn.derive.minimal_filtering import derive_filtering
from graphnn.errors import DeriveError

CASES = [(m, r) for m in range(1, 5) for r in range(1, 6)] + [(6, 3), (2, 7)]


def filtered(f, g, d):
    return f.A.T * (f.G * g).multiply_elementwise(f.B.T * d)


@pytest.mark.parametrize(("m", "r"), CASES)
def test_the_bilinear_form_is_the_filter(m, r):
    g, d = (sp.Matrix(sp.symbols(f"{name}:{size}")) for name, size in (("g", r), ("d", m + r - 1)))
    found = filtered(derive_filtering(m, r), g, d)
    assert [sp.expand(y) for y in found] == [sum(g[j] * d[i + j] for j in range(r)) for i in range(m)]


@pytest.mark.parametrize("points", [(0, 1, -1, 2, -2), (5, Fraction(-1, 3), sp.Rational(7, 2), -4, 1)])
def test_any_different_points_will_do(points):
    f = derive_filtering(4, 3, points)
    assert f.points == tuple(map(sp.Rational, map(str, points)))
    generator = random.Random(0)
    g, d = ([Fraction(generator.randint(-99, 99), generator.randint(1, 9)) for _ in range(size)] for size in (3, 6))
    A, G, B = ([[Fraction(str(x)) for x in row] for row in matrix.tolist()] for matrix in (f.A, f.G, f.B))
    products = [sum(G[p][j] * g[j] for j in range(3)) * sum(B[k][p] * d[k] for k in range(6)) for p in range(6)]
    outputs = [sum(A[p][i] * products[p] for p in range(6)) for i in range(4)]
    assert outputs == [sum(g[j] * d[i + j] for j in range(3)) for i in range(4)]


def test_nested_it_filters_images():
    rows, columns = derive_filtering(2, 3), derive_filtering(3, 2)
    g = sp.Matrix(3, 2, sp.symbols("g:6"))
    d = sp.Matrix(4, 4, sp.symbols("d:16"))
    products = (rows.G * g * columns.G.T).multiply_elementwise(rows.B.T * d * columns.B)
    found = (rows.A.T * products * columns.A).applyfunc(sp.expand)
    for i in range(2):
        for j in range(3):
            assert found[i, j] == sum(g[u, v] * d[i + u, j + v] for u in range(3) for v in range(2))


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (3, 5)])
def test_transposed_it_is_the_gradient_of_the_kernel(m, r):
    f = derive_filtering(m, r)
    y, d = (sp.Matrix(sp.symbols(f"{name}:{size}")) for name, size in (("y", m), ("d", m + r - 1)))
    found = f.G.T * (f.A * y).multiply_elementwise(f.B.T * d)
    assert [sp.expand(g) for g in found] == [sum(y[i] * d[i + j] for i in range(m)) for j in range(r)]


def test_the_matrices_of_f23_are_those_of_the_literature():
    f = derive_filtering(2, 3)  # Lavin and Gray (2016), where the first and third products have the other signs
    half = sp.Rational(1, 2)
    assert sp.Matrix([[1, 1, 1, 0], [0, 1, -1, 1]]) == f.A.T
    assert sp.Matrix([[-1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]]) == f.G
    assert sp.Matrix([[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]) == f.B.T


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "m is a positive int, not 0"),
        ((True, 3), "m is a positive int, not True"),
        ((2, 2.0), r"r is a positive int, not 2\.0"),
        ((2, "3"), "r is a positive int, not '3'"),
        ((2, 3, 5), r"F\(2, 3\) needs 3 different rational points beside infinity, not 5"),
        ((2, 3, "012"), "needs 3 different rational points"),
        ((2, 3, (0, 1)), r"needs 3 different rational points beside infinity, not \(0, 1\)"),
        ((2, 3, (0, 1, Fraction(2, 2))), r"not \(0, 1, 1\)"),
        ((2, 3, (0, 1, 0.5)), r"0\.5 is none: give an int, a Fraction or a sympy Rational"),
        ((2, 3, (0, 1, True)), "True is none"),
        ((2, 3, (0, 1, "2")), "'2' is none"),
        ((2, 3, (0, 1, sp.oo)), "oo is none"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(DeriveError, match=message):
        derive_filtering(*arguments)


@pytest.mark.parametrize("number", range(12))
def test_default_points_are_different_and_come_in_pairs(number):
    points = derive_filtering(1, number + 1).points
    assert len(points) == len(set(points)) == number
    assert set(points) == {-p for p in points}

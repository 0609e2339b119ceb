"""Products with constant matrices: the right sums, and what two rows or columns share computed once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from graphnn.lower.transforms import Arithmetic, Element, Result, operations, transform_steps
from graphnn.schedule.algorithms import Algorithm

FUNCTIONS = {
    "add": lambda c, a, b: a + b,
    "sub": lambda c, a, b: a - b,
    "mul": lambda c, a, b: c * a,
    "fma": lambda c, a, b: c * a + b,
}


def rows(*values):
    return tuple(tuple(map(float, row)) for row in values)


def run(first, second, x):
    """What the steps give for an array of exact numbers, by element, in their order."""
    values, found = [], {}
    for step in transform_steps(first, second):
        match step:
            case Element(i, j):
                values.append(x[i, j])
            case Arithmetic(fn=fn, a=a, b=b, coefficient=c):
                values.append(FUNCTIONS[fn](Fraction(c), values[a], values[b]))
            case Result(p, q, value):
                found[p, q] = values[value]
    return found


def exact(matrix):
    return np.array([[Fraction(c) for c in row] for row in matrix], dtype=object)


@pytest.mark.parametrize(
    ("matrix", "most"),
    [
        (rows((1, 0, -1), (0, 1, 1)), 2),
        (rows((0, 0, 1), (0, 0, -2)), 1),
        (rows((1, 2, 3, 4), (1, -2, 3, -4)), 6),  # even and odd parts
        (rows((1, 1, 1, 0), (0, 1, -1, 0), (0, 4, 4, 1)), 6),  # the sum and the difference of two values
    ],
)
def test_a_product_with_one_matrix(matrix, most):
    x = np.array([Fraction(n) for n in (3, -5, 7, 11)[: len(matrix[0])]], dtype=object)[:, None]
    expected = exact(matrix) @ x
    assert run(matrix, rows((1,)), x) == {(p, 0): value for p, (value,) in enumerate(expected)}
    assert operations(matrix, rows((1,))) <= most


@pytest.mark.parametrize("matrix", ["outputs", "kernel", "data"])
def test_on_both_sides(matrix):
    first, second = (getattr(Algorithm(*sizes), matrix) for sizes in ((2, 3), (4, 3)))
    rng = np.random.default_rng(0)
    x = np.array([[Fraction(int(n)) for n in row] for row in rng.integers(-9, 9, (len(first[0]), len(second[0])))])
    found = run(first, second, x)
    expected = exact(first) @ x @ exact(second).T
    assert list(found) == list(np.ndindex(expected.shape))  # row by row
    for place, value in found.items():  # halves of sums of rounded coefficients are rounded again
        assert abs(float(value) - float(expected[place])) < 1e-12


def test_each_element_is_asked_for_once():
    steps = transform_steps(Algorithm(4, 3).data, Algorithm(2, 3).data)
    assert sorted(s for s in steps if isinstance(s, Element)) == list(np.ndindex(6, 4))

"""Products with constant matrices: the right sums, and what two rows or columns share computed once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from graphnn.lower.ir import Let
from graphnn.schedule.algorithms import Algorithm
from graphnn.schedule.linear_maps import Lets, nested
from graphnn.simplify.expr import Const, Local, Op

SCALARS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
}


def value(expr, known):
    match expr:
        case Const(value=number):
            return Fraction(number)
        case Local(name=name):
            return known[name]
        case Op(fn=fn, args=args):
            return SCALARS[fn](*(value(a, known) for a in args))


def run(lets, known):
    for statement in lets.statements:
        assert isinstance(statement, Let)
        known[statement.name] = value(statement.value, known)


def rows(*values):
    return tuple(tuple(map(float, row)) for row in values)


@pytest.mark.parametrize(
    ("matrix", "most"),
    [
        (rows((1, 0, -1), (0, 1, 1)), 2),
        (rows((0, 0, 1), (0, 0, -2)), 1),
        (rows((1, 2, 3, 4), (1, -2, 3, -4)), 6),  # even and odd parts
        (rows((1, 1, 1, 0), (0, 1, -1, 0), (0, 4, 4, 1)), 5),  # the sum and the difference of two values
    ],
)
def test_a_product_with_a_matrix(matrix, most):
    lets = Lets("v", None, [])
    x = [Local(f"x{k}", "float32") for k in range(len(matrix[0]))]
    found = lets.apply(matrix, x)
    numbers = [Fraction(3), Fraction(-5), Fraction(7), Fraction(11)][: len(x)]
    known = {local.name: number for local, number in zip(x, numbers, strict=True)}
    run(lets, known)
    assert [value(e, known) for e in found] == [sum(c * n for c, n in zip(row, numbers, strict=True)) for row in matrix]
    assert len(lets.statements) <= most


@pytest.mark.parametrize("matrix", ["outputs", "kernel", "data"])
def test_the_same_on_both_sides(matrix):
    first, second = (np.array(getattr(Algorithm(*sizes), matrix)) for sizes in ((2, 3), (4, 3)))
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (first.shape[1], second.shape[1])).astype(object)
    lets = Lets("v", None, [])
    known = {f"x{i}.{j}": Fraction(int(x[i, j])) for i, j in np.ndindex(x.shape)}
    elements = list(
        nested(lets, *(tuple(map(tuple, m)) for m in (first, second)), lambda i, j: Local(f"x{i}.{j}", "float64"))
    )
    run(lets, known)
    expected = first @ x @ second.T
    assert [(i, j) for i, j, _ in elements] == list(np.ndindex(expected.shape))
    for i, j, element in elements:
        assert abs(float(value(element, known)) - float(expected[i, j])) < 1e-12  # coefficients are rounded to float

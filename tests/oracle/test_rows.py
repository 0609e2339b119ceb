"""Every registered op, natively, against its oracle row: value and gradient at 200 random points or more."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.declare.registry import OPS
from tests.oracle.apply import Applied, as_dtype, kinds_of
from tests.oracles import ORACLES

BARS = {"float64": 1e-12, "float32": 32 * float(np.finfo(np.float32).eps)}
POINTS = 200


def test_every_op_has_a_row() -> None:
    assert sorted(set(OPS) - set(ORACLES)) == []


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(ORACLES))
def test_value_and_gradient(name: str, dtype: str) -> None:
    """The error is judged against the largest element of a result: what its terms are made of."""
    row, rng = ORACLES[name], np.random.default_rng(3)
    programs: dict[int, Applied] = {}
    seen = 0
    for _ in range(40):
        if seen >= POINTS:
            break
        for number, (operands, attributes) in enumerate(row.sample(rng)):
            args = as_dtype(operands, dtype)
            if number not in programs:
                kinds = kinds_of(args, dtype)
                programs[number] = Applied(name, kinds, attributes, "tight", differentiable=row.pullback is not None)
            right = np.asarray(row.forward(*args, **attributes))
            adjoint = rng.uniform(0.5, 2, right.shape).astype(dtype).astype(np.float64)
            value, gradients = programs[number](args, adjoint)
            seen += max(value.size, 1)
            check(value, right, dtype, 1.0)
            if row.pullback is None:
                continue
            expected = row.gradient(args, attributes, adjoint)
            for place, gradient in gradients.items():
                part = expected[place]
                assert part is not None
                check(gradient, np.broadcast_to(part, gradient.shape), dtype, 2.0)


def check(result: np.ndarray, right: np.ndarray, dtype: str, scale: float) -> None:
    assert result.shape == right.shape
    if result.dtype.kind in "ib":
        assert (result == right).all()
        return
    error = np.abs(result - right).max(initial=0)
    assert error <= 4 * BARS[dtype] * max(scale, np.abs(right).max(initial=0)), error


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["sum", "mean", "matmul"])
def test_each_element_of_a_sum_is_right_relative_to_its_own_terms(name: str, dtype: str) -> None:
    """The sum of |terms| of an element is what the row gives for |operands|, and for its gradient with |adjoint|."""
    row, rng = ORACLES[name], np.random.default_rng(4)
    programs: dict[int, Applied] = {}
    seen = 0
    while seen < POINTS:
        for number, (operands, attributes) in enumerate(row.sample(rng)):
            args = as_dtype(operands, dtype)
            if number not in programs:
                programs[number] = Applied(name, kinds_of(args, dtype), attributes, "tight", differentiable=True)
            sizes = [np.abs(a) for a in args]
            right = np.asarray(row.forward(*args, **attributes))
            adjoint = rng.uniform(-2, 2, right.shape).astype(dtype).astype(np.float64)
            value, gradients = programs[number](args, adjoint)
            seen += max(value.size, 1)
            within(value, right, np.asarray(row.forward(*sizes, **attributes)), dtype)
            expected = row.gradient(args, attributes, adjoint)
            terms = row.gradient(sizes, attributes, np.abs(adjoint))
            for place, gradient in gradients.items():
                exact, bound = expected[place], terms[place]
                assert exact is not None
                assert bound is not None
                within(gradient, np.broadcast_to(exact, gradient.shape), np.broadcast_to(bound, gradient.shape), dtype)


def within(result: np.ndarray, right: np.ndarray, terms: np.ndarray, dtype: str) -> None:
    assert (np.abs(result - right) <= BARS[dtype] * terms).all(), np.abs(result - right).max()

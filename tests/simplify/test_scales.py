"""Factors of numbers and sizes, however large the whole numbers of an exact coefficient are."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

import graphnn as gn


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [1e-19, 3.7e-18, 1.1e-12, 1e-3, 1e12, 1e19])
def test_a_mean_is_scaled_by_numbers_that_leave_int64(factor: float, dtype: Literal["float32", "float64"]) -> None:
    net = gn.Network("scaled")
    x = net.input("x", ("N", 3), dtype=dtype)
    y = gn.compile(gn.mean(x, axis=0) * factor)(x=np.ones((7, 3), dtype))
    np.testing.assert_allclose(y, np.full(3, factor), rtol=1e-6)


def test_a_moderate_whole_number_stays_with_the_sizes() -> None:
    net = gn.Network("rows")
    text = gn.compile(gn.mean(net.input("x", ("N", 12))), until="simplify").stage("simplify")
    assert "float64(12*N)" in text or "float32(12*N)" in text

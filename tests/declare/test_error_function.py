"""erf and erfc of numbers with a small imaginary part, against mpmath: each part relative to itself."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import graphnn as gn
from graphnn.declare.error_function import complex_erf, complex_erfc

STEP = 1e-20


@pytest.mark.parametrize(("function", "name", "sign"), [(complex_erf, "erf", 1), (complex_erfc, "erfc", -1)])
def test_value_and_slope_of_a_complex_step(function, name: str, sign: int) -> None:
    x = np.concatenate([np.linspace(-6, 6, 241), [1.9999999, 2.0, -2.0, 1e-8, 20.0]])
    found = function(x + 1j * STEP)
    with mpmath.workdps(30):
        for point, value in zip(x.tolist(), found, strict=True):
            exact = getattr(mpmath, name)(mpmath.mpf(point))
            slope = sign * 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(mpmath.mpf(point) ** 2))
            assert abs(value.real - exact) <= 1e-14 * max(abs(exact), 1e-300 if name == "erf" or point > 2 else 1)
            assert abs(value.imag / STEP - slope) <= 1e-13 * abs(slope)


@pytest.mark.parametrize("op", [gn.erf, gn.sin, gn.cos, gn.gelu, gn.mish, gn.silu, gn.rsqrt])
def test_compare_takes_a_complex_step_through_them(op) -> None:
    net = gn.Network("net")
    w = net.parameter("w", (9,), init=0.5, dtype="float64")
    net.initialize(seed=0)
    net.state["w"] = np.linspace(0.1, 3, 9)
    report = gn.compare(gn.sum(op(w) ** 2), {})
    assert report.agrees
    assert report.max_relative_error < 1e-12

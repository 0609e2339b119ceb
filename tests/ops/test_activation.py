"""What the derivation finds for each activation, and how far out the compiled ones are right."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp

import graphnn as gn

# fmt: off
EMITTED = [
    (gn.elu,          "(1 if t > 0 else exp(t))"),
    (gn.softsign,     "(Abs(t) + 1)**(-2)"),
    (gn.relu6,        "(0 if (t >= 6) | (t <= 0) else 1)"),
    (gn.hard_sigmoid, "(0 if (t >= 3) | (t <= -3) else 1/6)"),
    (gn.rsqrt,        "-y**3/2"),
    (gn.sin,          "cos(t)"),
    (gn.cos,          "-sin(t)"),
    (gn.erf,          "2*exp(-t**2)/sqrt(pi)"),
]
# fmt: on


@pytest.mark.parametrize(("op", "emitted"), EMITTED)
def test_derivative(op, emitted: str) -> None:
    assert f"`{emitted}`" in gn.derivation(op).markdown().splitlines()[-1]


@pytest.mark.parametrize(("approximate", "found"), [(False, "erfc("), (True, "Sigmoid(")])
def test_the_slope_of_gelu_has_no_difference_that_cancels(approximate: bool, found: str) -> None:
    net = gn.Network("net")
    x = net.input("x", (4,))
    text = str(gn.derivation(gn.sum(gn.gelu(x, approximate=approximate)), x).emitted)
    assert found.lower() in text.lower()
    assert "tanh" not in text
    assert "erf(" not in text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_is_right_relative_to_itself_far_below_zero(dtype: str) -> None:
    net = gn.Network("net")
    x = net.input("x", ("N",), dtype=dtype)
    y = gn.gelu(x)
    run = gn.compile([y, *gn.gradients(gn.sum(y), [x])], accuracy="tight")
    points = np.array([-12.0, -9.0, -5.0, -1.0, 3.0], dtype)
    value, slope = run(x=points)
    with mp.workdps(40):
        for point, a, b in zip(map(mp.mpf, points.tolist()), value.tolist(), slope.tolist(), strict=True):
            # The exponent x^2/2 is rounded once: an error of x^2/2 half units in the last place.
            bound = (4 + point**2) * float(np.finfo(dtype).eps)
            for got, exact in ((a, point * mp.ncdf(point)), (b, mp.ncdf(point) + point * mp.npdf(point))):
                assert abs(got - exact) <= bound * abs(exact)


def test_a_branch_that_is_not_taken_does_not_overflow_into_the_result() -> None:
    net = gn.Network("net")
    x = net.input("x", (4,))
    y = gn.elu(x, alpha=2)
    run = gn.compile([y, *gn.gradients(gn.sum(y), [x])])
    value, slope = run(x=np.array([1e30, 100, -200, -1e30], "f4"))
    np.testing.assert_array_equal(value, np.array([1e30, 100, -2, -2], "f4"))
    np.testing.assert_allclose(slope, [1, 1, 0, 0], atol=1e-38)


def test_aliases_are_the_same_ops() -> None:
    assert gn.swish is gn.silu
    assert gn.linear is gn.identity


@pytest.mark.parametrize("wrong", [1, "tanh", None])
def test_gelu_refuses_what_is_no_bool(wrong) -> None:
    net = gn.Network("net")
    x = net.input("x", (3,))
    with pytest.raises(gn.GraphError, match="gelu: approximate is True"):
        gn.gelu(x, approximate=wrong)
    assert list(net.graph) == ["x"]


def test_an_activation_of_no_tensor_is_refused() -> None:
    with pytest.raises(gn.GraphError, match="needs Tensors"):
        gn.elu(3.0)


def test_integers_become_floats() -> None:
    net = gn.Network("net")
    assert gn.silu(net.input("n", (3,), dtype="int64")).dtype == "float32"


def test_a_network_with_activations_survives_a_file() -> None:
    net = gn.Network("net")
    x = net.input("x", (5,))
    y = gn.gelu(gn.mish(gn.elu(gn.sin(x), alpha=0.5)), name="y")
    again = gn.Network.from_json(net.to_json())
    points = {"x": np.linspace(-2, 2, 5).astype("f4")}
    np.testing.assert_array_equal(gn.evaluate([again["y"]], points)[0], gn.evaluate([y], points)[0])

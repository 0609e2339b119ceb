"""Training: the update itself, learning rates, batches and epochs, first values, vanishing errors, saturation."""

from __future__ import annotations

import runpy

import numpy as np
import pytest
import sympy
from scipy import stats

import graphnn as gn
from tests.docs.pages import ROOT


@pytest.mark.parametrize("rate", [0.06, 0.7, 2.05], ids=["too small", "right", "too large"])
def test_gradient_descent_on_a_parabola(rate: float) -> None:
    """theta <- theta - eta dJ/dtheta with J = theta^2/2: each update multiplies theta by 1 - eta."""
    net = gn.Network()
    theta = net.parameter("theta", (), init=2.0, dtype="float64")
    trainer = gn.Trainer(0.5 * gn.square(theta), gn.SGD(rate), batch_size=None)
    for _ in range(12):
        trainer.step()
    left = abs(float(net.state["theta"]))
    assert left == pytest.approx(2 * abs(1 - rate) ** 12, rel=1e-12)
    assert (left < 1e-5) == (rate == 0.7)
    assert (left > 2) == (rate == 2.05)


def regression(rows: int = 12):
    net = gn.Network()
    x, y = net.input("x", ("N", 2), dtype="float64"), net.input("y", ("N", 1), dtype="float64")
    loss = gn.mean_squared_error(gn.dense(x, 1, name="out"), y)
    rng = np.random.default_rng(6)
    return net, loss, {"x": rng.normal(size=(rows, 2)), "y": rng.normal(size=(rows, 1))}


@pytest.mark.parametrize(("size", "updates"), [(None, 1), (5, 3), (1, 12)], ids=["batch", "mini-batch", "stochastic"])
def test_an_epoch_shows_each_row_once(size: int | None, updates: int) -> None:
    net, loss, data = regression()
    gn.Trainer(loss, gn.Adam(), batch_size=size).fit(data, epochs=4, progress=False)
    assert net.state["adam.t"] == 4 * updates


def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_rows() -> None:
    net, loss, data = regression()
    by_weights = gn.compile(gn.gradients(loss, net["out.W"])[0])
    rows = [by_weights(x=data["x"][n : n + 1], y=data["y"][n : n + 1]) for n in range(12)]
    np.testing.assert_allclose(by_weights(**data), np.mean(rows, axis=0), rtol=1e-12)


def test_first_weights_are_normal() -> None:
    net = gn.Network()
    gn.dense(net.input("x", ("N", 200)), 300, init=gn.Normal(0.3), name="layer")
    net.initialize(seed=1)
    assert stats.kstest(np.ravel(net.state["layer.W"]), stats.norm(0, 0.3).cdf).pvalue > 0.01


def test_the_slope_of_the_sigmoid_is_a_quarter_at_most() -> None:
    slope = gn.derivation(gn.sigmoid).result
    (y,) = slope.free_symbols
    assert sympy.maximum(slope, y, sympy.Interval(0, 1)) == sympy.Rational(1, 4)


def errors_by_layer(activation, scale: float, depth: int = 10, units: int = 32):
    """The size of dC/dz in each layer; the weights are `scale` times a rotation, which keeps lengths."""
    rng = np.random.default_rng(7)
    net = gn.Network()
    a, y = net.input("x", ("N", units), dtype="float64"), net.input("y", ("N", units), dtype="float64")
    for layer in range(depth):
        rotation = np.linalg.qr(rng.normal(size=(units, units)))[0]
        a = gn.dense(a, units, activation, init=scale * rotation, name=f"a{layer}")
    errors = gn.gradients(gn.quadratic(a, y), [net[f"a{layer}.z"] for layer in range(depth)])
    found = gn.compile(errors)(x=rng.normal(size=(64, units)), y=rng.normal(size=(64, units)))
    return np.array([np.linalg.norm(error) for error in found])


def test_errors_vanish_through_sigmoids() -> None:
    size = errors_by_layer(gn.sigmoid, 1.0)
    assert (size[:-1] <= size[1:] / 4).all()
    assert size[0] < 4.0**-9 * size[-1]


def test_errors_do_not_vanish_through_relus() -> None:
    size = errors_by_layer(gn.relu, np.sqrt(2))  # half of the units are active
    assert 0.1 < size[0] / size[-1] < 10


@pytest.mark.parametrize(("deviation", "saturated"), [(1.0, True), (1 / 8, False)], ids=["N(0, 1)", "N(0, 1/n)"])
def test_wide_weights_saturate_neurons(deviation: float, saturated: bool) -> None:
    """64 inputs of N(0, 1) give z the deviation 8, and s'(z) < 0.01, which is |z| > 4.6, the probability 0.57."""
    net = gn.Network()
    a = gn.dense(net.input("x", ("N", 64)), 200, gn.sigmoid, init=gn.Normal(deviation), name="a")
    slope = gn.compile(gn.gradients(a, net["a.z"])[0])
    flat = np.mean(slope(x=np.random.default_rng(8).normal(size=(200, 64)).astype(np.float32)) < 0.01)
    probability = 2 * stats.norm.sf(np.arctanh(np.sqrt(0.96)) * 2 / (8 * deviation))
    assert flat == pytest.approx(probability, abs=0.03)
    assert (flat > 0.5) == saturated


def test_directions_of_a_landscape_are_filter_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights into each unit are as long in the random direction as in the net; biases stay."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    example = runpy.run_path(str(ROOT / "examples" / "loss_landscape.py"))
    net, _ = example["declare"](False, 3)
    drawn = example["direction"](net, 1)
    assert sorted(drawn) == sorted(name for name, p in net.parameters.items() if p.ndim == 2)
    for name, direction in drawn.items():
        weights = net.state[name]
        np.testing.assert_allclose(np.linalg.norm(direction, axis=0), np.linalg.norm(weights, axis=0), rtol=1e-5)
        assert abs(np.corrcoef(direction.ravel(), np.ravel(weights))[0, 1]) < 0.3
    assert (example["direction"](net, 2)["a0.W"] != drawn["a0.W"]).all()


def test_gradients_of_any_tensors_by_any_tensors() -> None:
    """gradients(ys, xs) is that of the sum of the ys, by inputs or by what lies between; asking again adds no node."""
    net = gn.Network()
    x = net.input("x", (3,), dtype="float64")
    h = gn.square(x)
    first, second = gn.sin(h), gn.exp(x)
    by_x, by_h = gn.gradients([first, second], [x, h])
    v = np.array([0.5, -1.0, 2.0])
    found = gn.compile([by_x, by_h])(x=v)
    np.testing.assert_allclose(found[0], 2 * v * np.cos(v**2) + np.exp(v), rtol=1e-12)
    np.testing.assert_allclose(found[1], np.cos(v**2), rtol=1e-12)
    nodes = len(net.graph)
    assert gn.gradients([first, second], x)[0] == by_x
    assert len(net.graph) == nodes

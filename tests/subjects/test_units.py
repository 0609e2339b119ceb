"""Units and activations: weighted sums, a neuron at one point, textbook activations with their slopes, collapse."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import graphnn as gn
from tests import course

T = np.array([-6.0, -2.5, -1.0, -0.25, 0.0, 0.25, 1.0, 2.5, 6.0])


def test_a_neuron_at_one_point() -> None:
    """y = g(1 + 3 x1 - 2 x2) with a logistic g, at x = (-1, 2)."""
    net = gn.Network()
    x = net.input("x", ("N", 2), dtype="float64")
    z = gn.dense(x, 1, init=np.array([course.NEURON_WEIGHTS]).T, name="z")
    net.state["z.b"] = np.array([course.NEURON_BIAS])
    weighted, y = gn.compile([z, gn.sigmoid(z)])(x=np.array([course.NEURON_INPUT]))
    assert weighted.item() == course.NEURON_SUM == -6
    assert f"{y.item():.3f}" == "0.002"
    assert f"{y.item():.5f}" == "0.00247"


def test_the_weighted_sums_of_two_layers() -> None:
    """z_i = theta_0i + sum_j x_j theta_ji; of a deep layer, z_ki = theta_0i + sum_j g(z_(k-1)j) theta_ji."""
    net = gn.Network()
    x = net.input("x", ("N", 3), dtype="float64")
    first = gn.dense(x, 4, gn.sigmoid, name="first")
    gn.dense(first, 2, gn.sigmoid, name="second")
    near, deep = net["first.z"], net["second.z"]
    assert str(gn.formula(near, down_to=[x])) == "first.b[i1] + sum[r0](first.W[r0, i1]*x[i0, r0])"
    shown = str(gn.formula(deep, down_to=[near]))
    assert shown == "second.b[i1] + sum[r0](second.W[r0, i1]/(1 + exp(-first.z[i0, r0])))"
    rng = np.random.default_rng(0)
    for name in ("first.b", "second.b"):
        net.state[name] = rng.normal(size=net.state[name].shape)
    rows = rng.normal(size=(5, 3))
    theta = {name: net.state[name] for name in net.parameters}
    found = gn.compile([near, deep])(x=rows)
    for n in range(5):
        by_hand = [theta["first.b"][i] + sum(rows[n, j] * theta["first.W"][j, i] for j in range(3)) for i in range(4)]
        deeper = [
            theta["second.b"][i] + sum(course.logistic(by_hand[j]) * theta["second.W"][j, i] for j in range(4))
            for i in range(2)
        ]
        np.testing.assert_allclose(found[0][n], by_hand, rtol=1e-13)
        np.testing.assert_allclose(found[1][n], deeper, rtol=1e-13)


A, B = 0.5, -2.0
S = 1 / (1 + np.exp(-T))
TANH = (np.exp(T) - np.exp(-T)) / (np.exp(T) + np.exp(-T))
GENERAL = 1 / (1 + A * np.exp(B * T))
ACTIVATIONS = {  # the op, its values at T, its slopes there
    "sigmoid": (gn.sigmoid, S, S * (1 - S)),
    "tanh": (gn.tanh, TANH, 1 - TANH**2),
    "relu": (gn.relu, np.maximum(0, T), 1.0 * (T > 0)),
    "leaky relu": (partial(gn.leaky_relu, alpha=0.1), np.where(T > 0, T, 0.1 * T), np.where(T > 0, 1, 0.1)),
    "generalised logistic": (partial(gn.generalised_logistic, A=A, B=B), GENERAL, -B * GENERAL * (1 - GENERAL)),
    "linear": (gn.linear, T, np.ones_like(T)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derived_slopes(name: str) -> None:
    op, values, slopes = ACTIVATIONS[name]
    t = gn.Network().input("t", ("N",), dtype="float64")
    y = op(t)
    found, by_t = gn.compile([y, *gn.gradients(y, t)], accuracy="tight")(t=T)
    np.testing.assert_allclose(found, values, rtol=1e-14)
    np.testing.assert_allclose(by_t, slopes, rtol=1e-10)


@pytest.mark.parametrize(
    ("op", "form"),
    [
        (gn.sigmoid, "y*(1 - y)"),
        (gn.tanh, "1 - y**2"),
        (gn.relu, "Piecewise((1, t > 0), (0, True))"),
        (gn.leaky_relu, "Piecewise((1, t > 0), (1/100, True))"),
    ],
)
def test_slopes_are_found_in_the_form_of_the_textbook(op, form) -> None:
    assert str(gn.derivation(op).result) == form


def test_the_softmax_of_a_row() -> None:
    net = gn.Network()
    x = net.input("x", (1, 3), dtype="float64")
    found = gn.compile(gn.softmax(x))(x=np.array([[1.0, 2.0, 3.0]]))
    expected = np.exp([1, 2, 3]) / (np.exp(1) + np.exp(2) + np.exp(3))
    np.testing.assert_allclose(found[0], expected, rtol=1e-14)
    assert found.sum() == pytest.approx(1, rel=1e-15)


def test_a_step_is_1_above_0_and_has_no_derivation() -> None:
    t = gn.Network().input("t", ("N",), dtype="float64")
    assert gn.compile(gn.step(t))(t=np.array([-1.0, 0.0, 1e-300, 2.0])).tolist() == [0, 0, 1, 1]
    with pytest.raises(gn.DeriveError, match=r"^step: .*a step is not differentiable"):
        gn.derivation(gn.step)


def test_layers_without_a_non_linearity_are_one() -> None:
    """W(U(Vx)) = (WUV)x, and with a tanh between them they are not."""
    rng = np.random.default_rng(1)
    V, U, W = rng.normal(size=(5, 3)), rng.normal(size=(4, 5)), rng.normal(size=(2, 4))
    net = gn.Network()
    x = net.input("x", (3, "N"), dtype="float64")
    v, u, w = (net.input(name, m.shape, dtype="float64") for name, m in (("V", V), ("U", U), ("W", W)))
    deep, flat = w @ (u @ (v @ x)), (w @ u @ v) @ x
    bent = w @ gn.tanh(u @ gn.tanh(v @ x))
    columns = rng.normal(size=(3, 6))
    one, other, third = gn.compile([deep, flat, bent])(x=columns, V=V, U=U, W=W)
    np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(other, W @ U @ V @ columns, rtol=1e-12)
    assert np.abs(third - other).max() > 0.1


def ring_in_ring() -> dict[str, np.ndarray]:
    """Points inside of a ring, and around it."""
    rng = np.random.default_rng(2)
    radius, angle = np.concatenate([rng.uniform(0, 1, 150), rng.uniform(1.5, 2.5, 150)]), rng.uniform(0, 7, 300)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return {"x": points.astype(np.float32), "y": (radius < 1).astype(np.float32)[:, None]}


@pytest.mark.parametrize(("activation", "separated"), [(None, False), (gn.tanh, True)], ids=["linear", "tanh"])
def test_two_linear_maps_separate_rings_with_an_activation_between_them_only(activation, separated) -> None:
    net = gn.Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 1))
    z = gn.dense(gn.dense(x, 8, activation, name="hidden"), 1, name="z")
    data = ring_in_ring()
    trainer = gn.Trainer(gn.sigmoid_cross_entropy(z, y), gn.Adam(0.05), batch_size=50)
    trainer.fit(data, epochs=40, progress=False)
    right = np.mean((gn.compile(z)(x=data["x"]) > 0) == data["y"])
    assert right == 1.0 if separated else right < 0.75

"""Penalties on weights: values, gradients, bad input."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.errors import GraphError

W = np.array([[1.0, -2.0], [0.0, 3.0]])


def network():
    net = gn.Network()
    w, v = net.parameter("w", (2, 2), dtype="float64"), net.parameter("v", (2,), init=-0.5, dtype="float64")
    b = net.parameter("b", (2,), init=7.0, dtype="float64", role="bias")
    net.state["w"] = W
    return net, w, v, b


def test_values_are_the_course_s():
    _, w, v, b = network()
    strength, n = 0.3, 5
    l2, l1 = gn.compile([gn.l2_penalty([w, v, b], strength / n), gn.l1_penalty([w, v, b], strength)])()
    np.testing.assert_allclose(l2, strength / (2 * n) * (np.sum(W**2) + 2 * 0.25), rtol=1e-15)
    np.testing.assert_allclose(l1, strength * (np.sum(np.abs(W)) + 2 * 0.5), rtol=1e-15)


def test_gradients_are_derived_and_zero_where_the_weight_is():
    _, w, v, b = network()
    l2, l1 = (gn.gradients(penalty([w, v, b], 0.5), [w, b]) for penalty in (gn.l2_penalty, gn.l1_penalty))
    of_w2, of_b2, of_w1, of_b1 = gn.compile([*l2, *l1])()
    np.testing.assert_allclose(of_w2, 0.5 * W, rtol=1e-15)
    np.testing.assert_allclose(of_w1, 0.5 * np.sign(W), rtol=1e-15)
    assert not of_b2.any()
    assert not of_b1.any()


def test_the_trainer_adds_them_to_the_loss():
    net, w, v, b = network()
    loss = gn.sum(w) + gn.sum(v) + gn.sum(b)
    first = gn.Trainer(loss, gn.SGD(0.1), weight_decay=0.5, l1=0.25).step()
    np.testing.assert_allclose(first, 2 - 1 + 14 + 0.25 * (14 + 0.5) + 0.25 * (6 + 1), rtol=1e-15)
    np.testing.assert_allclose(net.state["w"], W - 0.1 * (1 + 0.5 * W + 0.25 * np.sign(W)), rtol=1e-14)
    np.testing.assert_allclose(net.state["b"], 7 - 0.1, rtol=1e-15)


@pytest.mark.parametrize("penalty", [gn.l2_penalty, gn.l1_penalty])
def test_bad_input_is_refused(penalty):
    net, w, _, b = network()
    x, other = net.input("x", (2,)), gn.Network().parameter("w", (2,))
    loss = gn.sum(w)
    before = list(net.graph)
    for strength in (-1, float("nan"), "0.1", None, True):
        with pytest.raises(GraphError, match="the strength"):
            penalty([w], strength)
    for parameters, message in (
        (w, "takes a list of parameters"),
        ([], "no weight among the parameters"),
        ([b], "no weight among the parameters"),
        ([w, "b"], "'b' is no parameter"),
        ([w, x], "<input 'x' .* is no parameter"),
        ([w, other], "another network"),
    ):
        with pytest.raises(GraphError, match=message):
            penalty(parameters, 0.1)
    for bad in ({"weight_decay": -1}, {"l1": -1}, {"l1": "a"}, {"weight_decay": None}, {"weight_decay": 1, "l1": -1}):
        with pytest.raises(GraphError, match=r"(weight_decay|l1) is"):
            gn.Trainer(loss, **bad)
    assert list(net.graph) == before

"""Clipping of gradients against NumPy; what it composes with."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.errors import DTypeError, GraphError

A = np.array([[3.0, -4.0], [0.5, 2.0]])
B = np.array([-12.0, 0.0, 1.0])


def network():
    net = gn.Network()
    return net, net.input("a", A.shape, dtype="float64"), net.input("b", B.shape, dtype="float64")


def norm(*arrays):
    return np.linalg.norm(np.concatenate([np.ravel(x) for x in arrays]))


def test_by_value_is_numpys_clip():
    _, a, b = network()
    for found, given in zip(gn.compile(gn.clip_by_value([a, b], 2.5))(a=A, b=B), (A, B), strict=True):
        np.testing.assert_array_equal(found, np.clip(given, -2.5, 2.5))


@pytest.mark.parametrize("limit", [0.1, 1, 13])
def test_by_norm_shortens_all_gradients_together(limit):
    _, a, b = network()
    assert norm(A, B) > limit
    x, y = gn.compile(gn.clip_by_norm([a, b], limit))(a=A, b=B)
    np.testing.assert_allclose(norm(x, y), limit, rtol=1e-14)
    np.testing.assert_allclose(x, A * limit / norm(A, B), rtol=1e-14)
    np.testing.assert_allclose(y, B * limit / norm(A, B), rtol=1e-14)


def test_short_and_zero_gradients_stay_bit_for_bit():
    _, a, b = network()
    run = gn.compile(gn.clip_by_norm([a, b], 15.0))
    for x, y in ((A, B), (0 * A, 0 * B)):
        found = run(a=x, b=y)
        np.testing.assert_array_equal(found[0], x)
        np.testing.assert_array_equal(found[1], y)


def test_nan_and_infinity_are_not_hidden():
    _, a, b = network()
    (x, _), (bounded, _) = (
        gn.compile(f([a, b], 1.0))(a=np.full_like(A, np.nan), b=B) for f in (gn.clip_by_norm, gn.clip_by_value)
    )
    assert np.isnan(x).all()
    assert np.isnan(bounded).all()
    _, y = gn.compile(gn.clip_by_norm([a, b], 1.0))(a=A, b=np.array([np.inf, 0.0, 1.0]))
    assert np.isnan(y[0])


def test_clipped_gradients_feed_any_rule():
    net = gn.Network()
    w = net.parameter("w", (3,), init=2.0, dtype="float64")
    loss = gn.sum(gn.square(w))
    clipped = gn.clip_by_norm(gn.gradients(loss, [w]), 1.0)
    gn.compile(loss, updates=gn.SGD(0.5).updates([w], clipped))()
    np.testing.assert_allclose(net.state["w"], 2 - 0.5 / np.sqrt(3), rtol=1e-14)


def test_only_trained_parameters_count():
    net = gn.Network()
    w, u = (net.parameter(n, (), init=3.0, dtype="float64") for n in "wu")
    gn.Trainer(gn.square(w) + 100 * gn.square(u), gn.SGD(1.0, clip_norm=2), parameters=["w"]).step()
    assert (net.state["w"], net.state["u"]) == (1.0, 3.0)


@pytest.mark.parametrize("clip", [gn.clip_by_value, gn.clip_by_norm])
def test_bad_input_is_refused(clip):
    net, a, b = network()
    other = gn.Network().input("a", (2,), dtype="float64")
    before = list(net.graph)
    for limit in (0, -1, float("nan"), float("inf"), "1", None, True):
        with pytest.raises(GraphError, match="the limit is"):
            clip([a, b], limit)
    for gradients in (a, [], "ab", None):
        with pytest.raises(GraphError, match="takes a list of gradients"):
            clip(gradients, 1)
    with pytest.raises(GraphError, match="a gradient is a Tensor, not 1"):
        clip([a, 1], 1)
    with pytest.raises(GraphError, match="another network"):
        clip([a, other], 1)
    assert list(net.graph) == before


def test_one_norm_has_one_dtype():
    net, a, _ = network()
    with pytest.raises(DTypeError, match="'a' is float64, 'c' is float32"):
        gn.clip_by_norm([a, net.input("c", (2,))], 1)


def test_the_norm_is_computed_once_and_not_for_each_element():
    net, a, b = network()
    text = gn.compile([*gn.clip_by_norm([a, b, net.input("c", ("N",), dtype="float64")], 1.0)], until="simplify").stage(
        "simplify"
    )
    assert text.count("sqrt(") == 1
    sizes = "((clip_by_norm.size[] + clip_by_norm.size_1[]) + clip_by_norm.size_2[])"
    assert f"clip_by_norm[] = 1.0/max(1.0, sqrt({sizes}))" in text

"""Convolutional nets: filters, channels, padding, stride and pooling at numbers; an activation back in the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

import graphnn as gn
from graphnn.nn.models.linear import HORIZONTAL, VERTICAL


def applied(op, x: Any, W: Any, **options: Any):
    x, W = np.asarray(x, float), np.asarray(W, float)
    net = gn.Network()
    tensors = net.input("x", x.shape, dtype="float64"), net.input("W", W.shape, dtype="float64")
    return gn.compile(op(*tensors, **options))(x=x, W=W)


def test_a_convolution_flips_its_kernel_and_a_correlation_does_not() -> None:
    x, kernel = [0, 0, 1, 0, 0], [1, 2, 3]
    assert applied(gn.convolve, x, kernel).tolist() == [1, 2, 3]
    assert applied(gn.correlate, x, kernel).tolist() == [3, 2, 1]
    image, kernel = np.random.default_rng(0).normal(size=(2, 6, 7)), np.arange(6.0).reshape(2, 3)
    for one in image:
        expected = signal.convolve2d(one, kernel, "valid"), signal.correlate2d(one, kernel, "valid")
        np.testing.assert_allclose(applied(gn.convolve, one, kernel), expected[0], rtol=1e-12)
        np.testing.assert_allclose(applied(gn.correlate, one, kernel), expected[1], rtol=1e-12)
        np.testing.assert_allclose(applied(gn.correlate, one, kernel[::-1, ::-1]), expected[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("mode", "padded"),
    [("zero", [0, 1, 2, 3, 0, 0]), ("reflect", [2, 1, 2, 3, 2, 1]), ("symmetric", [1, 1, 2, 3, 3, 2])],
)
def test_one_element_before_and_two_after(mode: str, padded: list[int]) -> None:
    """The kernel (1) shows what is read; a box of three adds it up, with stride 2 at every second place."""
    options: dict[str, Any] = {"padding": ((1, 2),), "padding_mode": mode}
    assert applied(gn.correlate, [1, 2, 3], [1], **options).tolist() == padded
    sums = [sum(padded[n : n + 3]) for n in range(4)]
    assert applied(gn.correlate, [1, 2, 3], [1, 1, 1], **options).tolist() == sums
    assert applied(gn.correlate, [1, 2, 3], [1, 1, 1], stride=2, **options).tolist() == sums[::2]
    assert applied(gn.correlate, [1, 2, 3], [1, 1, 1]).tolist() == [6]  # without padding


def test_feature_maps_of_an_image_of_three_colours() -> None:
    """A filter spans all channels: map o is b_o + sum over c of W_oc correlated with channel c."""
    net = gn.Network()
    maps = gn.conv2d(net.input("image", ("N", 3, 6, 7), dtype="float64"), 4, 3, name="maps")
    assert maps.shape == ("N", 4, 4, 5)
    rng = np.random.default_rng(1)
    net.state["maps.b"] = rng.normal(size=4)
    image, W, b = rng.normal(size=(2, 3, 6, 7)), net.state["maps.W"], net.state["maps.b"]
    assert W.shape == (4, 3, 3, 3)
    found = gn.compile(maps)(image=image)
    for n, o in np.ndindex(2, 4):
        expected = b[o] + sum(signal.correlate2d(image[n, c], W[o, c], "valid") for c in range(3))
        np.testing.assert_allclose(found[n, o], expected, rtol=1e-11, atol=1e-13)


def test_pools_of_2_by_2_with_stride_2() -> None:
    image = [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
    net = gn.Network()
    x = net.input("x", (1, 1, 4, 4), dtype="float64")
    pools = [gn.max_pool(x, 2, stride=2), gn.avg_pool(x, 2, stride=2), gn.global_avg_pool(x)]
    largest, mean, whole = gn.compile(pools)(x=np.array([[image]], float))
    assert largest[0, 0].tolist() == [[6, 8], [3, 4]]
    assert mean[0, 0].tolist() == [[3.25, 5.25], [2, 2]]
    assert whole.ravel().tolist() == [np.mean(image)]


def test_edge_filters_answer_to_edges_of_their_own_direction() -> None:
    assert np.array_equal(HORIZONTAL, [[-1, -1, -1], [1, 1, 1], [0, 0, 0]])
    assert np.array_equal(VERTICAL, [[-1, 1, 0], [-1, 1, 0], [-1, 1, 0]])
    lower = np.repeat([[0], [0], [0], [1], [1], [1]], 5, axis=1)  # bright from row 3 on
    assert applied(gn.correlate, lower, HORIZONTAL).tolist() == [[0] * 3, [0] * 3, [3] * 3, [0] * 3]
    assert not applied(gn.correlate, lower, VERTICAL).any()
    assert applied(gn.correlate, lower.T, VERTICAL).tolist() == [[0, 0, 3, 0]] * 3
    assert not applied(gn.correlate, lower.T, HORIZONTAL).any()


def unpooled(gradient, before):
    """What goes back through a 2 x 2 max-pool: all of it to the largest of each window."""
    found = np.zeros_like(before)
    for i, j in np.ndindex(*gradient.shape):
        window = before[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        row, column = np.unravel_index(window.argmax(), (2, 2))
        found[2 * i + row, 2 * j + column] = gradient[i, j]
    return found


@pytest.mark.parametrize("rectified", ["the way up", "the way down"])
def test_an_activation_is_projected_back_to_the_pixels(rectified: str) -> None:
    """Through transposed filters, and each pool to the place that was largest (Zeiler and Fergus 2013).

    Their ReLU keeps what is positive on the way down; the derivative keeps what was positive on the way up. Both are
    compositions of derived gradients.
    """
    net = gn.Network()
    x = net.input("x", (1, 1, 8, 8), dtype="float64")
    first = gn.conv2d(x, 2, 3, padding=1, activation=gn.relu, name="first")
    pooled = gn.max_pool(first, 2)
    second = gn.conv2d(pooled, 3, 3, padding=1, name="second")
    chosen = net.input("chosen", (1, 3, 4, 4), dtype="float64")
    answer = gn.sum(second * chosen)
    by_first, by_x = gn.gradients(answer, [first, x])
    if rectified == "the way down":
        by_x = gn.correlate_transpose(gn.relu(by_first), net["first.W"], padding=1)
    image, one = np.random.default_rng(2).normal(size=(1, 1, 8, 8)), np.zeros((1, 3, 4, 4))
    one[0, 1, 2, 1] = 1
    project = gn.compile([by_x, first, second])
    pixels, maps, _ = project(x=image, chosen=one)

    W1, W2 = net.state["first.W"], net.state["second.W"]
    expected = np.zeros((8, 8))
    for c in range(2):
        below = signal.convolve2d(one[0, 1], W2[1, c], "same")  # the transpose of a correlation
        back = unpooled(below, maps[0, c])
        back = back * (maps[0, c] > 0) if rectified == "the way up" else np.maximum(0, back)
        expected += signal.convolve2d(back, W1[c, 0], "same")
    np.testing.assert_allclose(pixels[0, 0], expected, rtol=1e-11, atol=1e-14)
    assert np.abs(expected).max() > 0


def test_an_unrolled_recurrent_net_has_one_set_of_weights() -> None:
    """h_t = tanh(x_t W + h_(t-1) U + b): the gradient of the shared weights is the sum over the steps."""
    rng = np.random.default_rng(3)
    net = gn.Network()
    x = net.input("x", ("N", 4, 2), dtype="float64")
    h = gn.rnn(x, 3, name="h", sequences=False)
    assert {name.rpartition(".")[2]: p.shape for name, p in net.parameters.items()} == {
        "W": (2, 3), "U": (3, 3), "b": (3,)
    }  # fmt: skip
    W, U, b = (net.state[f"h.{part}"] for part in "WUb")
    values = rng.normal(size=(5, 4, 2))
    states = [np.zeros((5, 3))]
    for t in range(4):
        states.append(np.tanh(values[:, t] @ W + states[-1] @ U + b))
    by_w, by_u = gn.gradients(gn.sum(h), [net["h.W"], net["h.U"]])
    found, of_w, of_u = gn.compile([h, by_w, by_u])(x=values)
    np.testing.assert_allclose(found, states[-1], rtol=1e-11)
    back, sum_w, sum_u = np.ones((5, 3)), np.zeros_like(W), np.zeros_like(U)
    for t in (3, 2, 1, 0):
        delta = back * (1 - states[t + 1] ** 2)
        sum_w += values[:, t].T @ delta
        sum_u += states[t].T @ delta
        back = delta @ U.T
    np.testing.assert_allclose(of_w, sum_w, rtol=1e-10)
    np.testing.assert_allclose(of_u, sum_u, rtol=1e-10, atol=1e-13)

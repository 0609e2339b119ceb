"""conv1d to conv3d and conv2d_transpose: names, shapes, values, the derived adjoint, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphnn as gn

Array = np.ndarray[Any, Any]


def scattered(
    x: Array, W: Array, stride: int, padding: int, dilation: int, groups: int, extents: tuple[int, int]
) -> Array:
    """The transposed correlation by its textbook picture: each element stamps its kernel onto the output."""
    inputs, per_group = W.shape[:2]
    reach = [
        max(n + 2 * padding, stride * (p - 1) + dilation * (k - 1) + 1)
        for n, p, k in zip(extents, x.shape[2:], W.shape[2:], strict=True)
    ]
    out = np.zeros((len(x), per_group * groups, *reach))
    for n, c, i, j in np.ndindex(*x.shape):
        first = c // (inputs // groups) * per_group
        for o, u, v in np.ndindex(per_group, *W.shape[2:]):
            out[n, first + o, stride * i + dilation * u, stride * j + dilation * v] += x[n, c, i, j] * W[c, o, u, v]
    return out[:, :, padding : padding + extents[0], padding : padding + extents[1]]


def test_conv2d_declares_its_parameters_and_names_its_nodes() -> None:
    net = gn.Network()
    x = net.input("x", ("N", 4, 9, 8))
    y = gn.conv2d(x, 6, (3, 2), stride=2, padding=1, groups=2, activation=gn.relu, name="features")
    assert y.name == "features"
    assert y.shape == ("N", 6, 5, 5)
    assert {n: p.shape for n, p in net.parameters.items()} == {"features.W": (6, 2, 3, 2), "features.b": (6,)}
    assert net["features.z"].shape == y.shape
    assert net.graph.nodes["features.b"]["attributes"]["role"] == "bias"
    linear = gn.conv2d(x, 5, 1, bias=False, name="linear")
    assert linear.shape == ("N", 5, 9, 8)
    assert [n for n in net.parameters if n.startswith("linear")] == ["linear.W"]


def test_every_rank_computes_activation_of_correlation_plus_bias() -> None:
    rng = np.random.default_rng(0)
    for layer, extents in ((gn.conv1d, (7,)), (gn.conv2d, (5, 6)), (gn.conv3d, (3, 4, 5))):
        net = gn.Network()
        x = net.input("x", ("N", 2, *extents), dtype="float64")
        y = layer(x, 3, 3, padding="same", padding_mode="symmetric", dilation=1, activation=gn.tanh, name="c")
        net.initialize(1)
        net.state["c.b"] = bias = rng.standard_normal(3)
        values, W = rng.standard_normal((2, 2, *extents)), net.state["c.W"]
        padded = np.pad(values, [(0, 0), (0, 0)] + [(1, 1)] * len(extents), mode="symmetric")
        axes = tuple(range(2, 2 + len(extents)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (3,) * len(extents), axis=axes)
        summed = (1, *range(2 + len(extents), 2 + 2 * len(extents)))
        z = np.tensordot(patches, W, (summed, tuple(range(1, W.ndim))))
        z = np.moveaxis(z, -1, 1) + bias.reshape(3, *(1,) * len(extents))
        np.testing.assert_allclose(gn.compile(y)(x=values), np.tanh(z), atol=1e-13)


@pytest.mark.parametrize(("init", "variance"), [(gn.He(), 2 / (16 * 25)), (gn.Glorot(), 2 / (16 * 25 + 64 * 25))])
def test_initializers_count_the_receptive_field(init: Any, variance: float) -> None:
    """He et al. 2015: 2/fan_in; Glorot and Bengio 2010: 2/(fan_in + fan_out), a fan being channels times window."""
    net = gn.Network()
    gn.conv2d(net.input("x", ("N", 16, 8, 8)), 64, 5, init=init, name="c")
    net.initialize(0)
    assert np.var(net.state["c.W"]) == pytest.approx(variance, rel=0.05)


def test_a_convolutional_net_learns() -> None:
    """Is the bar horizontal or vertical? Nothing but a filter that sees both neighbours can say."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 64)
    images = 0.1 * rng.standard_normal((64, 1, 6, 6)).astype(np.float32)
    for image, label, place in zip(images, labels, rng.integers(1, 5, 64), strict=True):
        image[0][(slice(None), place) if label else (place, slice(None))] += 1
    net = gn.Network()
    x, y = net.input("x", ("N", 1, 6, 6)), net.input("y", ("N",), dtype="int64")
    h = gn.conv2d(x, 4, 3, padding=1, activation=gn.relu, name="c1")
    h = gn.max_pool(gn.conv2d(h, 4, 3, activation=gn.relu, name="c2"), 2)
    loss = gn.softmax_cross_entropy(gn.dense(gn.global_avg_pool(h), 2, name="logits"), y)
    trainer = gn.Trainer(loss, optimizer=gn.Adam(0.02), batch_size=64, seed=1)
    first = trainer.step(x=images, y=labels)
    for _ in range(150):
        last = trainer.step(x=images, y=labels)
    assert first > 0.5
    assert last < 0.05


@pytest.mark.parametrize(
    ("stride", "padding", "spare", "dilation", "groups"),
    [(1, 0, 0, 1, 1), (2, 1, 1, 1, 1), (2, 0, 0, 2, 2), (3, 1, 2, 2, 1), (2, 2, 0, 1, 4)],
)
def test_a_transposed_convolution_stamps_its_kernel(
    stride: int, padding: int, spare: int, dilation: int, groups: int
) -> None:
    rng = np.random.default_rng(stride)
    net = gn.Network()
    x = net.input("x", ("N", 4, 3, 5), dtype="float64")
    y = gn.conv2d_transpose(x, 8, (3, 4), stride, padding, spare, dilation, groups, bias=False, name="up")
    net.initialize(0)
    extents = tuple((p - 1) * stride - 2 * padding + dilation * (k - 1) + 1 + spare for p, k in ((3, 3), (5, 4)))
    assert y.shape == ("N", 8, *extents)
    assert net.parameters["up.W"].shape == (4, 8 // groups, 3, 4)
    values, W = rng.standard_normal((2, 4, 3, 5)), net.state["up.W"]
    expected = scattered(values, W, stride, padding, dilation, groups, extents)  # type: ignore[arg-type]
    np.testing.assert_allclose(gn.compile(y)(x=values), expected, atol=1e-13)


def test_the_transposed_formula_is_the_one_that_was_derived() -> None:
    """It is the gradient of sum(correlate(v, W) * x) by v."""
    net = gn.Network()
    x, v, W = net.input("x", ("N", 4, 3, 5)), net.input("v", ("N", 2, 6, 10)), net.input("W", (4, 2, 4, 4))
    up = gn.correlate_transpose(x, W, stride=2, padding=1)
    down = gn.correlate(v, W, stride=2, padding=1)
    assert (up.shape, down.shape) == (v.shape, x.shape)
    (gradient,) = gn.gradients(down, [v])
    assert net.operands(up) == (W, x)
    assert up.definition == gradient.definition


def test_a_transposed_convolution_has_gradients_of_its_own() -> None:
    rng = np.random.default_rng(5)
    net = gn.Network()
    x = net.input("x", ("N", 2, "H", "W"), dtype="float64")
    kernel = net.input("kernel", (2, 3, 3, 3), dtype="float64")
    up = gn.correlate_transpose(x, kernel, stride=2, padding="same")
    assert up.shape == ("N", 3, "2*H", "2*W")
    gradients = gn.gradients(gn.sum(up * up), [x, kernel])
    values = {"x": rng.standard_normal((2, 2, 3, 4)), "kernel": rng.standard_normal((2, 3, 3, 3))}
    value, *found = gn.compile([up, *gradients])(**values)
    np.testing.assert_allclose(value, scattered(values["x"], values["kernel"], 2, 0, 1, 1, (6, 8)), atol=1e-13)
    for name, gradient in zip(values, found, strict=True):
        direction = rng.standard_normal(values[name].shape)
        ends = [
            scattered(moved["x"], moved["kernel"], 2, 0, 1, 1, (6, 8))
            for moved in ({**values, name: values[name] + step * direction} for step in (1e-4, -1e-4))
        ]
        difference = ((ends[0] ** 2).sum() - (ends[1] ** 2).sum()) / 2e-4
        assert (gradient * direction).sum() == pytest.approx(difference, rel=1e-8)


REFUSED: list[tuple[Callable[[gn.Tensor], Any], type[Exception], str]] = [
    (lambda x: gn.conv2d(x, 0, 3), gn.GraphError, r"conv2d: channels is an int of at least 1, not 0"),
    (lambda x: gn.conv2d(x, 4, 0), gn.GraphError, r"conv2d: kernel is at least 1, not 0"),
    (lambda x: gn.conv2d(x, 4, (3, 3, 3)), gn.GraphError, r"3 entries, but there are 2 spatial axes"),
    (lambda x: gn.conv2d(x, 4, "3"), gn.GraphError, r"kernel is an int, not '3'"),
    (lambda x: gn.conv2d(x, 4, 9), gn.ShapeError, r"the window covers 9 elements of axis 2 of 'x', which has 8"),
    (
        lambda x: gn.conv2d(x, 5, 3, groups=2),
        gn.ShapeError,
        r"groups=2 does not divide both the 4 channels .* the 5 of",
    ),
    (lambda x: gn.conv2d(x, 6, 3, groups=3), gn.ShapeError, r"groups=3 does not divide both the 4"),
    (lambda x: gn.conv2d(x, 4, 3, groups=-1), gn.GraphError, r"groups is an int of at least 1, not -1"),
    (lambda x: gn.conv2d(x, 4, 3, stride=0), gn.GraphError, r"stride is at least 1, not 0"),
    (
        lambda x: gn.conv2d(x, 4, 3, activation="relu"),
        gn.GraphError,
        r"activation is an op, not its name: activation=gn.relu",
    ),
    (
        lambda x: gn.conv1d(x, 4, 3),
        gn.ShapeError,
        r"conv1d: x is \(N, C, \*spatial\) with 1 spatial axes .* \('N', 4, 8, 8\)",
    ),
    (lambda x: gn.conv2d(x.network.input("l", ("N", 4, 8, 8), dtype="int64"), 4, 3), gn.DTypeError, r"'l'\) is int64"),
    (lambda x: gn.conv2d(x.network.input("c", ("N", "C", 8, 8)), 4, 3), gn.ShapeError, r"an int number of channels"),
    (
        lambda x: gn.conv2d_transpose(x, 4, 3, stride=2, output_padding=2),
        gn.GraphError,
        r"less than the stride, not 2 with",
    ),
    (lambda x: gn.conv2d_transpose(x, 4, 3, output_padding=-1), gn.GraphError, r"output_padding is at least 0, not -1"),
    (
        lambda x: gn.conv2d_transpose(x, 4, 2, padding=9),
        gn.ShapeError,
        r"8 places of a window of 2 leave an extent of -9",
    ),
    (
        lambda x: gn.conv2d_transpose(x, 4, 2, padding=((5, 4), (0, 0))),
        gn.ShapeError,
        r"8 places of a window of 2 leave an extent of 0",
    ),
    (lambda x: gn.conv2d_transpose(x, 4, 3, padding="full"), gn.GraphError, r"'same' or 'valid', not 'full'"),
    (lambda x: gn.conv2d_transpose(x, 4, 3, 2, "same", 1), gn.GraphError, r"takes int windows and no output_padding"),
    (lambda x: gn.conv2d_transpose(x, 5, 3, groups=2), gn.ShapeError, r"groups=2 does not divide both"),
    (lambda x: gn.correlate_transpose(x, x), gn.ShapeError, r"x has 4 channels in axis 1, but W reads N in its axis 0"),
    (
        lambda x: gn.correlate_transpose(x, x[:, 0]),
        gn.ShapeError,
        r"W \(in, out/groups, \*window\), with 1 to 3 spatial",
    ),
    (lambda x: gn.correlate_transpose(x, None), gn.GraphError, r"operand 1 is a Tensor of a network, not NoneType"),
]


@pytest.mark.parametrize(("build", "error", "evidence"), REFUSED, ids=[evidence for *_, evidence in REFUSED])
def test_refused_and_nothing_is_left_behind(
    build: Callable[[gn.Tensor], Any], error: type[Exception], evidence: str
) -> None:
    net = gn.Network()
    x = net.input("x", ("N", 4, 8, 8))
    with pytest.raises(error, match=evidence):
        build(x)
    assert not net.parameters
    assert all(net[name].kind == "input" or name == "slice" for name in net.graph)

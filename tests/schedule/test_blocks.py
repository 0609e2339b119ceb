"""Examples in lanes: the same meaning in blocks, pixels and lanes as one axis where they may be, and when it pays."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.lower.builder import lower
from graphnn.lower.printer import print_program
from graphnn.schedule.blocks import block_examples, in_blocks
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import schedule
from graphnn.simplify.passes import simplify
from tests.schedule.samples import assert_same_meaning

LANES, EXAMPLES = 4, 8
NARROW = Machine(vector_bytes=4 * LANES, vector_registers=16)

n, o, c, y, x, u, v = gn.indices("n o c y x u v")
X, W = gn.operands("X W")


def correlate(h, w, stride=1, padding=0):
    height, width = ((h.shape[d] + 2 * padding - w.shape[d]) // stride + 1 for d in (2, 3))
    entry = X[n, c, stride * y + u - padding, stride * x + v - padding]
    body = gn.Sum((gn.guard(entry) if padding else entry) * W[o, c, u, v], c, u, v)
    return gn.op("correlate", (n, o, y, x), body, {y: height, x: width})(h, w)


def pool(h, reducer, size=2, stride=2):
    extents = {y: (h.shape[2] - size) // stride + 1, x: (h.shape[3] - size) // stride + 1, u: size, v: size}
    return gn.op("pool", (n, c, y, x), reducer(X[n, c, stride * y + u, stride * x + v], u, v), extents)(h)


def image_network(seed):
    """The loss and the updates of a random small network of correlations, pools and a dense layer on top."""
    rng = np.random.default_rng(seed)
    net = gn.Network()
    h = net.input("x", (EXAMPLES, int(rng.integers(1, 3)), 6, int(rng.integers(6, 8))))
    for k in range(2):
        size, stride, padding = int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(0, 2))
        w = net.parameter(f"w{k}", (int(rng.integers(2, 4)), h.shape[1], size, size), init=gn.Normal(0.5))
        b = net.parameter(f"b{k}", (w.shape[0], 1, 1))
        h = (gn.tanh, gn.relu)[rng.integers(2)](correlate(h, w, stride if k else 1, padding) + b)
        if min(h.shape[2:]) > 2 and rng.integers(2):
            h = pool(h, (gn.Max, gn.Sum)[rng.integers(2)], stride=int(rng.integers(1, 3)))
    z = gn.dense(gn.reshape(h, (EXAMPLES, -1)), 3, name="top")
    loss = gn.softmax_cross_entropy(z, net.input("y", (EXAMPLES,), dtype="int64"))
    parameters = list(net.parameters.values())
    slopes = gn.gradients(loss, parameters)
    return loss, {p.name: p - 0.1 * g for p, g in zip(parameters, slopes, strict=True)}


def lowered(loss, updates):
    return lower(simplify(loss.network, [loss], updates).program)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_meaning(seed):
    program = lowered(*image_network(seed))
    blocked = in_blocks(program, LANES)
    assert blocked is not None
    assert_same_meaning(program, blocked, {})
    if seed < 3:  # what the later passes make of it
        assert_same_meaning(program, schedule(blocked, NARROW), {})


def relu_of(padding, examples=EXAMPLES, width=6):
    net = gn.Network()
    h = correlate(net.input("x", (examples, 3, 6, width)), net.input("w", (5, 3, 3, 3)), padding=padding)
    return lower(simplify(net, [gn.sum(gn.relu(h), axis=(1, 2, 3))]).program)


@pytest.mark.parametrize("padding", [0, 1])
def test_pixels_and_lanes_are_one_axis(padding):
    text = print_program(in_blocks(relu_of(padding), LANES))
    width = LANES * (4 + 2 * padding)
    assert f"_row in 0 .. {width}:" in text
    assert f"temp correlate: float32[2, 5, {4 + 2 * padding}, {width}]" in text
    assert "r2)" not in text.replace("4*r2)", "")  # along the row, the window moves by whole vectors


def test_a_stride_keeps_them_apart():
    net = gn.Network()
    h = correlate(net.input("x", (EXAMPLES, 2, 7, 7)), net.input("w", (5, 2, 3, 3)), stride=2)
    text = print_program(in_blocks(lower(simplify(net, [gn.sum(h, axis=(1, 2, 3))]).program), LANES))
    assert "_l in 0 .. 4:" in text


@pytest.mark.parametrize(("examples", "shape"), [("N", (2, 7, 7)), (6, (2, 7, 7)), (8, (49,))])
def test_left_alone(examples, shape):
    """Unknown or ragged numbers of examples, and arrays of two dimensions."""
    net = gn.Network()
    h = gn.square(gn.tanh(net.input("x", (examples, *shape))))
    program = lower(simplify(net, [gn.sum(gn.exp(h) * h, axis=-1)]).program)
    assert in_blocks(program, LANES) is None


def test_a_weight_is_no_batch_of_images():
    """As many output channels as examples: only what is indexed like the inputs is taken."""
    net = gn.Network()
    h, w = net.input("x", (EXAMPLES, 3, 6, 6)), net.parameter("w", (EXAMPLES, 3, 3, 3), init=gn.Normal(1.0))
    loss = gn.sum(gn.square(correlate(h, w)))
    (slope,) = gn.gradients(loss, [w])
    blocked = in_blocks(lowered(loss, {"w": w - slope}), LANES)
    shapes = {b.name: len(b.shape) and b.shape[0].value for b in blocked.buffers if b.role == "temp"}
    assert shapes["correlate"] == EXAMPLES // LANES
    assert all(extent == EXAMPLES for name, extent in shapes.items() if "/dw" in name)


def test_chosen_where_it_is_cheaper():
    """Rows of 4 pixels fill a vector of 16 examples by a quarter; rows of 256 fill vectors by themselves."""
    narrow, wide = relu_of(0, examples=16), relu_of(0, examples=16, width=258)
    assert block_examples(narrow, Machine()) != narrow
    assert block_examples(wide, Machine()) == wide


@pytest.mark.parametrize(("filters", "window", "shape"), [(17, 2, (6, 17)), (16, 3, (8, 8))])
def test_as_many_channels_as_examples(filters: int, window: int, shape: tuple[int, int]) -> None:
    """16 channels look like 16 examples: nests have lanes of two axes, and the pixels join one of them."""
    net = gn.Network("channels")
    x, a = net.input("x", (16, 16, *shape)), net.input("a", (16, 1, 1))
    w = net.input("w", (filters, 16, window, window))
    (gradient,) = gn.gradients(gn.sum(gn.square(gn.tanh(gn.correlate(gn.tanh(x + a), w)))), [a])
    generator = np.random.default_rng(0)
    given = {name: generator.normal(size=t.shape).astype(np.float32) for name, t in net.inputs.items()}
    expected = gn.compile(gradient, accuracy="tight", disable=["blocks"])(**given)
    found = gn.compile(gradient, accuracy="tight")(**given)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())

"""The small convolutional network against its figures and a forward pass in NumPy."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.models import small_cnn
from graphnn.pipeline import compile
from tests.nn.models import by_numpy

# 3 x 3 windows and 10 maps throughout: (3*9 + 1)*10, five times (10*9 + 1)*10, and 4*4*10*10 + 10: the "7,000
# parameters" of CS231n.
LAYERS = {
    "conv1": ((10, 32, 32), 280),
    "conv2": ((10, 32, 32), 910),
    "pool2": ((10, 16, 16), 0),
    "conv3": ((10, 16, 16), 910),
    "conv4": ((10, 16, 16), 910),
    "pool4": ((10, 8, 8), 0),
    "conv5": ((10, 8, 8), 910),
    "conv6": ((10, 8, 8), 910),
    "pool6": ((10, 4, 4), 0),
    "fc": ((10,), 1610),
}


def test_the_shape_table():
    net = Network()
    small_cnn(net.input("x", ("N", 3, 32, 32)))
    summary = net.summary()
    found = {row.name.removeprefix("cnn."): (row.shape[1:], row.trainable) for row in summary.layers}
    assert {name: found[name] for name in LAYERS} == LAYERS
    assert summary.parameters == 6440


def test_the_forward_pass_in_numpy():
    net = Network()
    logits = small_cnn(net.input("x", ("N", 2, 9, 8)), classes=3, channels=(4, 5))
    images = np.random.default_rng(0).normal(size=(3, 2, 9, 8)).astype(np.float32)
    p = {name.removeprefix("cnn."): net.state[name] for name in net.parameters}
    h = images
    for number in range(1, 5):
        h = by_numpy.relu(by_numpy.correlate(h, p[f"conv{number}.W"], p[f"conv{number}.b"], padding=1))
        h = by_numpy.max_pool(h, 2) if number % 2 == 0 else h
    expected = h.reshape(3, -1) @ p["fc.W"] + p["fc.b"]
    np.testing.assert_allclose(compile(logits)(x=images), expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_halved_so_often_is_refused():
    net = Network()
    x = net.input("x", ("N", 3, 7, 32))
    with pytest.raises(ShapeError, match="ints of at least 8"):
        small_cnn(x)
    with pytest.raises(GraphError, match="channels is an int of at least 1"):
        small_cnn(x, channels=(4, 0))
    with pytest.raises(GraphError, match="channels is a sequence of ints, not 10"):
        small_cnn(x, channels=10)
    assert list(net.graph) == ["x"]

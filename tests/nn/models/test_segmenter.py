"""A classifier made fully convolutional: its logits for every window, with the same parameters."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.layers.convolution import conv2d
from graphnn.nn.layers.dense import dense
from graphnn.nn.layers.dropout import dropout
from graphnn.nn.models import fully_convolutional, lenet5, small_cnn
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import multiply, relu, sigmoid, tanh
from graphnn.ops.layout import reshape
from graphnn.ops.losses import softmax_cross_entropy
from graphnn.ops.pooling import avg_pool, max_pool
from graphnn.ops.reduction import softmax
from graphnn.pipeline import compile

RNG = np.random.default_rng(0)


def classifier(x):
    """Windows of 14 x 14 pixels, 4 apart; nothing is padded, so that a window knows nothing of its surroundings."""
    h = max_pool(conv2d(x, 4, 3, activation=relu, name="a"), 2)
    h = avg_pool(conv2d(h, 5, 3, activation=tanh, name="b"), 2)
    h = dense(reshape(h, ("N", 20)), 7, sigmoid, name="c")
    return dense(dropout(multiply(h, 2.0), 0.5), 3, name="d")


def test_scores_are_the_logits_of_each_window():
    net = Network()
    x, images = net.input("x", ("N", 2, 14, 14)), net.input("images", ("M", 2, 30, 25))
    logits = classifier(x)
    parameters = list(net.parameters)
    segmenter = fully_convolutional(images, logits)
    assert list(net.parameters) == parameters
    assert segmenter.shape == ("M", 3, 28, 24)
    classify, segment = compile(logits), compile([net["segmenter.padded"], net["segmenter.scores"], segmenter])

    def check():
        values = RNG.normal(size=(2, 2, 30, 25)).astype(np.float32)
        padded, scores, upsampled = segment(images=values)
        np.testing.assert_array_equal(padded, np.pad(values, ((0, 0), (0, 0), (5, 5), (5, 5)), mode="reflect"))
        assert scores.shape == (2, 3, 7, 6)
        for row, column in np.ndindex(7, 6):
            window = padded[:, :, 4 * row : 4 * row + 14, 4 * column : 4 * column + 14].copy()
            np.testing.assert_allclose(scores[:, :, row, column], classify(x=window), rtol=1e-5, atol=1e-6)
        # Half-way pixels of the bilinear interpolation have the mean of the scores around them as their mean.
        np.testing.assert_allclose(upsampled[:, :, 2:-2, 2:-2].mean(), _inner_mean(scores), rtol=1e-3, atol=1e-5)

    check()
    for name in parameters:
        net.state[name] = RNG.normal(size=net.state[name].shape).astype(np.float32)
    check()


def _inner_mean(scores):
    """The mean of a bilinear surface between the centres of its outermost pixels."""
    weights = [np.array([0.5, *[1.0] * (n - 2), 0.5]) for n in scores.shape[2:]]
    return np.average(scores.mean((0, 1)), weights=np.outer(*weights))


@pytest.mark.parametrize("model", [small_cnn, lenet5])
def test_an_image_of_the_classifiers_size_is_covered(model):
    net = Network()
    shape = (3, 32, 32) if model is small_cnn else (1, 28, 28)
    x = net.input("x", ("N", *shape))
    logits = model(x)
    segmenter = fully_convolutional(x, logits, border="zero")
    stride = 8 if model is small_cnn else 4
    assert segmenter.shape == ("N", 10, *shape[1:])
    middle = net["segmenter.scores"]
    assert middle.shape[2:] == tuple(extent // stride for extent in shape[1:])


def test_training_the_one_trains_the_other():
    net = Network()
    x, y = net.input("x", ("N", 2, 14, 14)), net.input("y", ("N",), dtype="int64")
    logits = classifier(x)
    segmenter = compile(fully_convolutional(net.input("images", ("N", 2, 28, 28)), logits))
    images = RNG.normal(size=(1, 2, 28, 28)).astype(np.float32)
    before = segmenter(images=images)
    Trainer(softmax_cross_entropy(logits, y)).step(x=images[:, :, :14, :14].copy(), y=np.array([1]))
    assert (segmenter(images=images) != before).any()


def test_what_cannot_be_made_convolutional_is_refused():
    net = Network()
    x, images = net.input("x", ("N", 2, 14, 14)), net.input("images", ("M", 2, 28, 28))
    logits = classifier(x)
    before = list(net.graph)
    with pytest.raises(GraphError, match=r"made of one input \(N, C, h, w\); theirs are 'v' \('N', 4\)"):
        fully_convolutional(images, dense(net.input("v", ("N", 4)), 2, name="e"))
    with pytest.raises(GraphError, match=r"'softmax\.1' \(softmax\) is no correlation, pool, pointwise op"):
        fully_convolutional(images, softmax(logits))
    with pytest.raises(GraphError, match="is no correlation"):
        fully_convolutional(images, dense(logits[:, 1:], 2, name="f"))
    with pytest.raises(ShapeError, match=r"images are \(N, 2, H, W\) with ints of at least \(4, 4\)"):
        fully_convolutional(net.input("i3", ("M", 3, 28, 28)), logits)
    with pytest.raises(ShapeError, match="images are"):
        fully_convolutional(net.input("iH", ("M", 2, "H", 28)), logits)
    with pytest.raises(GraphError, match="of the network of the logits"):
        fully_convolutional(Network().input("images", ("M", 2, 28, 28)), logits)
    with pytest.raises(GraphError, match="mode"):
        fully_convolutional(images, logits, mode="cubic")
    assert not any(name.startswith("segmenter") for name in net.graph)
    assert set(before) < set(net.graph)

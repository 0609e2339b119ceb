"""AlexNet against the published figures, a forward pass in NumPy, and one training step."""

import re

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.models import alexnet
from graphnn.nn.optimizers.rules import Momentum
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.losses import softmax_cross_entropy
from graphnn.pipeline import compile
from tests.nn.models import by_numpy

# Krizhevsky et al. 2012, section 3.5: "60 million parameters"; counted from its kernels, 60,965,224, as Caffe's
# reference implementation (bvlc_alexnet) has them.
PUBLISHED = {
    "conv1": ((96, 55, 55), 34_944),
    "norm1": ((96, 55, 55), 0),
    "pool1": ((96, 27, 27), 0),
    "conv2": ((256, 27, 27), 307_456),
    "pool2": ((256, 13, 13), 0),
    "conv3": ((384, 13, 13), 885_120),
    "conv4": ((384, 13, 13), 663_936),
    "conv5": ((256, 13, 13), 442_624),
    "pool5": ((256, 6, 6), 0),
    "fc6": ((4096,), 37_752_832),
    "fc7": ((4096,), 16_781_312),
    "fc8": ((1000,), 4_097_000),
}
# torchvision.models.alexnet, whose documentation gives num_params 61100840.
ONE_TOWER = PUBLISHED | {
    "conv1": ((64, 55, 55), 23_296),
    "pool1": ((64, 27, 27), 0),
    "conv2": ((192, 27, 27), 307_392),
    "pool2": ((192, 13, 13), 0),
    "conv3": ((384, 13, 13), 663_936),
    "conv4": ((256, 13, 13), 884_992),
    "conv5": ((256, 13, 13), 590_080),
}
del ONE_TOWER["norm1"]


def declared(form, side=224, **arguments):
    net = Network("alexnet")
    x = net.input("x", ("N", 3, side, side))
    return net, alexnet(x, form=form, **arguments)


@pytest.mark.parametrize(
    ("form", "layers", "total"), [("2012", PUBLISHED, 60_965_224), ("one-tower", ONE_TOWER, 61_100_840)]
)
@pytest.mark.parametrize("side", [224, 227])
def test_the_shape_table_is_the_published_one(form, layers, total, side):
    net, logits = declared(form, side)
    summary = net.summary()
    found = {row.name.removeprefix("alexnet."): (row.shape[1:], row.trainable) for row in summary.layers}
    assert {name: found[name] for name in layers} == layers
    assert summary.trainable == summary.parameters == total
    assert logits.shape == ("N", 1000)


def forward(p, images, form):
    """Krizhevsky et al. 2012, sections 3.1 to 3.5, for 227 pixels; arXiv:1404.5997 for 224 pixels."""
    two = form == "2012"
    groups = (1, 2, 1, 2, 2) if two else (1,) * 5
    h = images
    for number in range(1, 6):
        W, b = p[f"conv{number}.W"], p[f"conv{number}.b"]
        stride, padding = (4, 0 if two else 2) if number == 1 else (1, W.shape[-1] // 2)
        h = by_numpy.relu(by_numpy.correlate(h, W, b, stride, padding, groups[number - 1]))
        if two and number < 3:
            h = by_numpy.response_norm(h)
        if number in (1, 2, 5):
            h = by_numpy.max_pool(h, 3, 2)
    h = h.reshape(len(h), -1)
    for layer in ("fc6", "fc7"):
        h = by_numpy.relu(h @ p[f"{layer}.W"] + p[f"{layer}.b"])
    return h @ p["fc8.W"] + p["fc8.b"]


def values(net):
    return {name.removeprefix("alexnet."): net.state[name] for name in net.parameters}


def test_the_forward_pass_of_one_tower_in_numpy():
    net, logits = declared("one-tower")
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    found, expected = compile(logits, sizes={"N": 1})(x=image), forward(values(net), image, "one-tower")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_published_form_in_numpy_and_a_training_step():
    net, logits = declared("2012", 227, drop=0.0)
    y = net.input("y", ("N",), dtype="int64")
    biased = ("conv2", "conv4", "conv5", "fc6", "fc7")  # the paper's section 5
    for layer in (name for name in PUBLISHED if name[0] in "cf"):
        assert set(np.unique(net.state[f"alexnet.{layer}.b"])) == {float(layer in biased)}
    images = np.random.default_rng(0).normal(size=(4, 3, 227, 227)).astype(np.float32)
    labels = np.array([1, 10, 100, 999])
    expected = forward(values(net), images, "2012")
    shifted = expected - expected.max(1, keepdims=True)
    loss = (np.log(np.exp(shifted).sum(1)) - shifted[np.arange(4), labels]).mean()

    trainer = Trainer(softmax_cross_entropy(logits, y), Momentum(0.001), batch_size=4)
    before = np.array(net.state["alexnet.fc8.b"])
    assert trainer.step(x=images, y=labels) == pytest.approx(loss, rel=1e-4)
    p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    slope = (p - np.eye(1000)[labels]).mean(0)  # of the last biases, by hand
    np.testing.assert_allclose(net.state["alexnet.fc8.b"], before - 0.001 * slope, rtol=1e-4, atol=1e-8)
    assert trainer.step(x=images, y=labels) < loss
    # What the step needs beside parameters and velocities: less than a copy of the parameters.
    (arena,) = re.findall(r"arena: (\d+) bytes", trainer.executable().memory)
    assert int(arena) < 4 * 60_965_224


def test_what_is_no_alexnet_is_refused():
    with pytest.raises(GraphError, match="form is '2012' or 'one-tower', not 'two-tower'"):
        declared("two-tower")
    with pytest.raises(GraphError, match="form is"):
        declared(["2012"])
    for shape in (("N", 3, 225, 225), ("N", 3, 224, 227), ("N", 1, 224, 224), ("N", 3, "H", "W")):
        with pytest.raises(ShapeError, match=r"alexnet: images are \(N, 3, 224, 224\) or"):
            alexnet(Network().input("x", shape))
    net = Network()
    with pytest.raises(GraphError, match="dropout: p"):
        alexnet(net.input("x", ("N", 3, 224, 224)), drop=1.0)
    assert list(net.graph) == ["x"]

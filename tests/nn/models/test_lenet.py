"""LeNet-5 against the figures of the paper and a forward pass in NumPy."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.derive.sweep import gradients
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.models import lenet5
from graphnn.nn.models.glyphs import DIGITS
from graphnn.ops.elementwise import relu
from graphnn.ops.losses import softmax_cross_entropy
from graphnn.pipeline import compile
from tests.nn.models import by_numpy

# LeCun et al. 1998, section II.B, layer by layer, and the sum on page 8: "60,000 trainable free parameters".
PUBLISHED = {
    "c1": ((6, 28, 28), 156),
    "s2": ((6, 14, 14), 12),
    "c3": ((16, 10, 10), 1516),
    "s4": ((16, 5, 5), 32),
    "c5": ((120, 1, 1), 48120),
    "f6": ((84,), 10164),
    "output": ((10,), 0),
}
# The form of many tutorials, as in A. Zhang et al., "Dive into Deep Learning", section 7.6.
MODERN = {
    "c1": ((6, 28, 28), 156),
    "s2": ((6, 14, 14), 0),
    "c3": ((16, 10, 10), 2416),
    "s4": ((16, 5, 5), 0),
    "c5": ((120,), 48120),
    "f6": ((84,), 10164),
    "output": ((10,), 850),
}
# Table I of the paper: a row for each map of S2, a column for each of C3.
TABLE = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def declared(side=28, **arguments):
    net = Network("lenet")
    x = net.input("x", ("N", 1, side, side))
    return net, lenet5(x, **arguments)


@pytest.mark.parametrize(("form", "layers", "total"), [("1998", PUBLISHED, 60_000), ("modern", MODERN, 61_706)])
@pytest.mark.parametrize("side", [28, 32])
def test_the_shape_table_is_the_published_one(form, layers, total, side):
    net, logits = declared(side, form=form)
    summary = net.summary()
    found = {row.name.removeprefix("lenet5."): (row.shape[1:], row.trainable) for row in summary.layers}
    assert {name: found[name] for name in layers} == layers
    assert summary.trainable == total
    assert summary.parameters - summary.trainable == (840 if form == "1998" else 0)
    assert logits.shape == ("N", 10)


def test_the_dense_output_of_the_old_form_is_trained():
    net, logits = declared(form="1998", output="dense", classes=26)
    assert net.summary().trainable == 60_000 + 85 * 26
    assert logits.shape == ("N", 26)


def test_the_codes_are_pictures_that_differ():
    codes = np.array(DIGITS)
    assert codes.shape == (10, 84)
    assert set(codes.flat) == {-1, 1}
    distances = (codes[:, None] != codes).sum(-1)
    assert distances[~np.eye(10, dtype=bool)].min() >= 6
    net, _ = declared(form="1998")
    np.testing.assert_array_equal(Network.from_json(net.to_json()).state["lenet5.output.codes"], codes)


def randomised(net):
    rng = np.random.default_rng(0)
    for name, parameter in net.parameters.items():
        if not name.endswith("codes"):
            net.state[name] = rng.normal(0, 0.3, parameter.shape).astype(np.float32)
    return {name.removeprefix("lenet5."): np.array(net.state[name], np.float64) for name in net.parameters}


@pytest.mark.parametrize("side", [28, 32])
def test_the_modern_form_in_numpy(side):
    net, logits = declared(side)
    p, images = randomised(net), np.random.default_rng(1).normal(size=(3, 1, side, side))
    h = np.tanh(by_numpy.correlate(images, p["c1.W"], p["c1.b"], padding=2 if side == 28 else 0))
    h = np.tanh(by_numpy.correlate(by_numpy.avg_pool(h, 2), p["c3.W"], p["c3.b"]))
    h = by_numpy.avg_pool(h, 2).reshape(3, 400)
    for layer in ("c5", "f6"):
        h = np.tanh(h @ p[f"{layer}.W"] + p[f"{layer}.b"])
    expected = h @ p["output.W"] + p["output.b"]
    np.testing.assert_allclose(compile(logits)(x=images.astype(np.float32)), expected, rtol=1e-4, atol=1e-4)


def squash(x):
    return 1.7159 * np.tanh(2 / 3 * x)


def published_forward(p, images):
    n = len(images)
    h = squash(by_numpy.correlate(images, p["c1.W"], p["c1.b"], padding=2))
    h = squash(4 * by_numpy.avg_pool(h, 2) * p["s2.W"][:, None, None] + p["s2.b"][:, None, None])
    kernels, map_number = np.zeros((16, 6, 5, 5)), 0
    for group in (p["c3.W0"], p["c3.W1"], p["c3.W2"], p["c3.W3"]):
        for o, parts in enumerate(group):
            for a, b in np.ndindex(parts.shape[:2]):
                kernels[map_number, (o + 3 * a + b) % 6] = parts[a, b]
            map_number += 1
    connected = kernels.any((2, 3)).T
    assert [["." if not c else "X" for c in row] for row in connected] == [
        r.split() for r in TABLE.strip().splitlines()
    ]
    h = squash(by_numpy.correlate(h, kernels, p["c3.b"]))
    h = squash(4 * by_numpy.avg_pool(h, 2) * p["s4.W"][:, None, None] + p["s4.b"][:, None, None])
    h = squash(by_numpy.correlate(h, p["c5.W"], p["c5.b"])).reshape(n, 120)
    h = squash(h @ p["f6.W"] + p["f6.b"])
    return -((h[:, None] - p["output.codes"]) ** 2).sum(-1)


def test_the_form_of_1998_in_numpy_with_its_table_and_a_directional_derivative():
    net, logits = declared(form="1998")
    p, images = randomised(net), np.random.default_rng(1).normal(size=(3, 1, 28, 28))
    labels = np.array([3, 1, 4])

    def loss(values):
        z = published_forward(values, images)
        z -= z.max(1, keepdims=True)
        return (np.log(np.exp(z).sum(1)) - z[np.arange(3), labels]).mean()

    y = net.input("y", ("N",), dtype="int64")
    trained = [t for name, t in net.parameters.items() if not name.endswith("codes")]
    slopes = gradients(softmax_cross_entropy(logits, y), trained)
    run = compile([logits, *slopes], dtype="float64")
    found, *arrays = run(x=images, y=labels)
    np.testing.assert_allclose(found, published_forward(p, images), rtol=1e-10)
    rng = np.random.default_rng(2)
    for tensor, slope in zip(trained, arrays, strict=True):
        name, direction = tensor.name.removeprefix("lenet5."), rng.normal(size=slope.shape)
        ahead, behind = (loss(p | {name: p[name] + h * direction}) for h in (1e-6, -1e-6))
        assert (slope * direction).sum() == pytest.approx((ahead - behind) / 2e-6, rel=1e-5, abs=1e-6), name


def test_the_activation_is_chosen():
    net, _ = declared(activation=relu)
    assert [net.graph.nodes[f"lenet5.{layer}"]["op"] for layer in ("c1", "c3", "c5", "f6")] == ["relu"] * 4
    net, _ = declared(activation=relu, form="1998")
    assert [net.graph.nodes[f"lenet5.{n}"]["op"] for n in ("c1", "s2", "c3", "s4", "c5", "f6")] == ["relu"] * 6
    net, _ = declared(output="rbf")
    assert net.summary().trainable == 61_706 - 850


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (GraphError, "form is 'modern' or '1998'", {"form": "1989"}),
        (GraphError, "output 'rbf' or 'dense'", {"output": "softmax"}),
        (GraphError, "pictures of output='rbf' are of 10 digits, not of 5", {"form": "1998", "classes": 5}),
        (GraphError, "units is an int of at least 1", {"classes": 0}),
        (ShapeError, r"images are \(N, 1, 28, 28\) or", {"side": 30}),
    ],
)
def test_what_is_no_lenet_is_refused(error, message, arguments):
    with pytest.raises(error, match=message):
        declared(**arguments)
    net = Network()
    with pytest.raises(ShapeError, match="images are"):
        lenet5(net.input("x", ("N", 3, 28, 28)))
    with pytest.raises(DTypeError, match="int64"):
        lenet5(net.input("z", ("N", 1, 28, 28), dtype="int64"))
    with pytest.raises(GraphError, match="pictures"):
        lenet5(net.input("y", ("N", 1, 28, 28)), form="1998", classes=5)
    assert list(net.graph) == ["x", "z", "y"]

"""Layer norm, RMS norm and local response normalisation against loops written from the papers."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.nn.training.penalty import l2_penalty

RNG = np.random.default_rng(0)


def normalise(row, eps, centred):
    """Ba et al. 2016, equation 3; without the mean, Zhang and Sennrich 2019, equation 4."""
    n = row.size
    mu = sum(row.flat) / n if centred else 0.0
    sigma = np.sqrt(sum((a - mu) ** 2 for a in row.flat) / n + eps)
    return (row - mu) / sigma


def respond(x, size, alpha, beta, k):
    """Krizhevsky et al. 2012, section 3.3, for x (N, C, ...)."""
    out = np.empty_like(x)
    channels = x.shape[1]
    for i in range(channels):
        near = range(max(0, i - size // 2), min(channels - 1, i + (size - 1) // 2) + 1)
        out[:, i] = x[:, i] / (k + alpha * sum(x[:, j] ** 2 for j in near)) ** beta
    return out


@pytest.mark.parametrize("centred", [True, False], ids=["layer_norm", "rms_norm"])
def test_rows_are_normalised_and_scaled(centred):
    net = gn.Network()
    x = net.input("x", ("N", 3, 4), "float64")
    y = (gn.layer_norm if centred else gn.rms_norm)(x, eps=0.01, name="norm")
    gamma, beta = RNG.normal(size=4), RNG.normal(size=4) if centred else 0.0
    net.state["norm.gamma"] = gamma
    if centred:
        net.state["norm.beta"] = beta
    values = RNG.normal(size=(2, 3, 4)) * 3 + 1
    expected = np.array([[normalise(row, 0.01, centred) * gamma + beta for row in rows] for rows in values])
    np.testing.assert_allclose(gn.compile(y)(x=values), expected, rtol=1e-13)


@pytest.mark.parametrize(("axis", "extents"), [((1, 2), (3, 4)), (1, (3,)), (None, (2, 3, 4))])
def test_several_axes_are_normalised_together(axis, extents):
    net = gn.Network()
    y = gn.layer_norm(net.input("x", (2, 3, 4), "float64"), axis=axis, name="norm")
    assert {name: p.shape for name, p in net.parameters.items()} == {"norm.gamma": extents, "norm.beta": extents}
    values = RNG.normal(size=(2, 3, 4))
    found = gn.compile(y)(x=values)
    axes = tuple(range(3)) if axis is None else axis
    expected = (values - values.mean(axes, keepdims=True)) / np.sqrt(values.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_gains_start_at_one_and_are_not_penalised():
    net = gn.Network()
    x = net.input("x", ("N", 4))
    h = gn.rms_norm(gn.layer_norm(x, name="a"), name="b")
    assert (h.name, h.shape, h.dtype) == ("b", ("N", 4), "float32")
    assert [(n, net.state[n].tolist()) for n in net.parameters] == [
        ("a.gamma", [1.0] * 4),
        ("a.beta", [0.0] * 4),
        ("b.gamma", [1.0] * 4),
    ]
    with pytest.raises(gn.GraphError, match="no weight"):
        l2_penalty([*net.parameters.values()], 0.1)
    gn.layer_norm(x, scale=False, shift=False, name="plain")
    assert not [n for n in net.parameters if n.startswith("plain")]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 2, 2)])
def test_local_response_norm(size, shape):
    net = gn.Network()
    y = gn.local_response_norm(net.input("x", shape, "float64"), size, alpha=0.3, beta=0.6, k=1.5)
    values = RNG.normal(size=shape) * 2
    np.testing.assert_allclose(gn.compile(y)(x=values), respond(values, size, 0.3, 0.6, 1.5), rtol=1e-13)


def test_the_constants_of_alexnet_are_the_defaults():
    net = gn.Network()
    values = RNG.normal(size=(1, 8, 2)) * 50
    found = gn.compile(gn.local_response_norm(net.input("x", (1, 8, 2), "float64")))(x=values)
    np.testing.assert_allclose(found, respond(values, 5, 1e-4, 0.75, 2.0), rtol=1e-13)


LAYERS = {
    "layer_norm": gn.layer_norm,
    "layer_norm of maps": lambda x: gn.layer_norm(x, axis=(1, 2), shift=False),
    "rms_norm": gn.rms_norm,
    "local_response_norm": lambda x: gn.local_response_norm(x, 3, alpha=0.5, k=1.0),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients(layer):
    net = gn.Network()
    w = net.parameter("w", (2, 3, 4), init=gn.Normal(1.0), dtype="float64")
    y = LAYERS[layer](w)
    report = gn.compare(
        gn.sum(gn.exp(0.3 * y) * net.input("t", (2, 3, 4), "float64")), {"t": RNG.normal(size=(2, 3, 4))}
    )
    assert report.agrees, report.table()
    assert report.max_relative_error < 1e-12


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda x, n: gn.layer_norm(x, axis=0), gn.ShapeError, "extents"),
        (lambda x, n: gn.layer_norm(x, axis=2), gn.ShapeError, "axis 2 is out of range"),
        (lambda x, n: gn.layer_norm(n), gn.DTypeError, "int64"),
        (lambda x, n: gn.layer_norm(x, eps=-1), gn.GraphError, "eps is -1"),
        (lambda x, n: gn.rms_norm(x, eps="small"), gn.GraphError, "eps is a number"),
        (lambda x, n: gn.rms_norm("x"), gn.GraphError, "is a Tensor"),
        (lambda x, n: gn.layer_norm(x, name="x"), gn.GraphError, "'x'"),
        (lambda x, n: gn.local_response_norm(x, 0), gn.GraphError, "size is an int of at least 1"),
        (lambda x, n: gn.local_response_norm(x, k=0), gn.GraphError, "k is 0"),
        (lambda x, n: gn.local_response_norm(x, alpha=-1), gn.GraphError, "alpha is -1"),
        (lambda x, n: gn.local_response_norm(x, beta="b"), gn.GraphError, "beta is a number"),
        (lambda x, n: gn.local_response_norm(x, axis=2), gn.ShapeError, "axis 2"),
        (lambda x, n: gn.local_response_norm(n), gn.DTypeError, "int64"),
    ],
)
def test_a_refused_layer_leaves_nothing_behind(make, error, text):
    net = gn.Network()
    x, n = net.input("x", ("N", 4)), net.input("n", (3, 4), "int64")
    with pytest.raises(error, match=text):
        make(x, n)
    assert list(net.graph) == ["x", "n"]
    assert not net.initializers

"""Layers against NumPy through the reference evaluator, and the graph that they leave."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.declare.reference import evaluate
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn import Constant, Glorot, He, Normal
from graphnn.nn.layers.dense import dense
from graphnn.nn.models import mlp
from graphnn.nn.training.metrics import accuracy
from graphnn.ops.elementwise import leaky_relu, sigmoid, square, tanh

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3)])
def test_dense_contracts_the_last_axis_of_any_rank(shape):
    net = Network()
    x = net.input("x", shape, dtype="float64")
    a = dense(x, 4, activation=sigmoid, name="hidden")
    net.state["hidden.b"] = np.arange(4.0)
    values, W = RNG.normal(size=shape), net.state["hidden.W"]
    z, out = evaluate([net["hidden.z"], a], {"x": values})
    expected = np.einsum("...k,kj->...j", values, W) + np.arange(4.0)
    np.testing.assert_allclose(z, expected, rtol=1e-13)
    np.testing.assert_allclose(out, 1 / (1 + np.exp(-expected)), rtol=1e-13)


def test_dense_names_its_parameters_and_nodes():
    net = Network()
    x = net.input("x", ("N", 3))
    a = dense(x, 2, activation=tanh, name="h")
    assert a.name == "h"
    assert a.shape == ("N", 2)
    assert [o.name for o in net.operands(a)] == ["h.z"]
    assert {n: p.shape for n, p in net.parameters.items()} == {"h.W": (3, 2), "h.b": (2,)}
    assert [net.graph.nodes[n]["attributes"]["role"] for n in net.parameters] == ["weight", "bias"]
    linear = dense(a, 1, bias=False, name="out")
    assert "out.z" not in net
    assert "out.b" not in net
    assert linear.shape == ("N", 1)
    assert dense(x, 1).name == "dense"
    assert dense(x, 1).name == "dense_1"


def test_initial_weights_are_glorots_unless_given():
    net = Network()
    x = net.input("x", ("N", 300))
    for init in (None, 0.5, He(), Normal(2.0)):
        dense(x, 100, init=init, name=f"layer{len(net.parameters)}")
    glorot, constant, he, normal = (net.state[f"layer{2 * n}.W"] for n in range(4))
    assert np.abs(glorot).max() <= np.sqrt(6 / 400)
    assert glorot.std() == pytest.approx(np.sqrt(6 / 400 / 3), rel=0.02)
    assert (constant == 0.5).all()
    assert he.std() == pytest.approx(np.sqrt(2 / 300), rel=0.02)
    assert normal.std() == pytest.approx(2, rel=0.02)
    assert (net.state["layer0.b"] == 0).all()
    assert isinstance(net.initializers["layer0.W"], Glorot)
    assert isinstance(net.initializers["layer0.b"], Constant)


def test_any_function_of_a_tensor_is_an_activation():
    net = Network()
    x = net.input("x", (2,), dtype="float64")
    a = dense(x, 2, activation=lambda t: leaky_relu(t, alpha=0.5), init=-1.0, name="a")
    assert a.name == "a"
    np.testing.assert_allclose(evaluate([a], {"x": np.array([1.0, 3.0])})[0], [-2.0, -2.0])
    squared = dense(x, 2, activation=lambda t, name: square(t, name=name), init=1.0, name="b")
    np.testing.assert_allclose(evaluate([squared], {"x": np.array([1.0, 3.0])})[0], [16.0, 16.0])


def test_a_refused_layer_leaves_nothing_behind():
    net = Network()
    x = net.input("x", ("N", 3))
    for make in (
        lambda: dense(x, 2, activation=lambda t: 3),
        lambda: dense(x, 2, activation="relu"),
        lambda: dense(x, 0),
        lambda: dense(x, 2, init="glorot"),
    ):
        with pytest.raises(GraphError):
            make()
    with pytest.raises(ShapeError, match="last extent"):
        dense(net.input("ragged", (3, "K")), 2)
    with pytest.raises(DTypeError, match="int64"):
        dense(net.input("labels", (3,), dtype="int64"), 2)
    assert list(net.graph) == ["x", "ragged", "labels"]
    assert not net.initializers


def test_mlp_stacks_dense_layers():
    net = Network()
    logits = mlp(net.input("x", ("N", 6)), hidden=(5, 4), outputs=3, activation=tanh, name="net")
    assert logits.name == "net.logits"
    shapes = {n: p.shape for n, p in net.parameters.items() if n.endswith("W")}
    assert shapes == {"net.1.W": (6, 5), "net.2.W": (5, 4), "net.logits.W": (4, 3)}


def test_accuracy_of_labels_and_of_rows():
    net = Network()
    logits = net.input("logits", ("N", 3))
    labels, rows = net.input("labels", ("N",), dtype="int64"), net.input("rows", ("N", 3))
    values = {
        "logits": np.array([[1.0, 2, 3], [3, 1, 3], [0, 9, 1], [5, 1, 1]]),
        "labels": np.array([2, 2, 1, 0]),  # the second row ties: its first maximum is 0
        "rows": np.eye(3)[[0, 0, 1, 2]],
    }
    by_label, by_row = evaluate([accuracy(logits, labels), accuracy(logits, rows)], values)
    assert float(by_label) == 0.75
    assert float(by_row) == 0.5
    with pytest.raises(ShapeError, match="class numbers"):
        accuracy(logits, net.input("column", ("N", 1), dtype="int64"))

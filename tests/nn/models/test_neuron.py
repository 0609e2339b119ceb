"""Single units: NAND, the perceptron's learning rule by hand, the sigmoid neuron."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.declare.reference import evaluate
from graphnn.derive.sweep import gradients
from graphnn.errors import DeriveError, DTypeError, GraphError, ShapeError
from graphnn.nn.layers.dense import dense
from graphnn.nn.models import perceptron, rosenblatt, sigmoid_neuron
from graphnn.ops.reduction import sum as sum_over
from graphnn.pipeline import compile

BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)


def test_a_perceptron_is_nand():
    net = Network()
    y = perceptron(net.input("x", ("N", 2)), weights=[[-2], [-2]], bias=[3])
    assert compile(y)(x=BITS).tolist() == [[1], [1], [1], [0]]
    assert net.summary().trainable == 3
    restored = Network.from_json(net.to_json())
    assert restored.state["perceptron.W"].tolist() == [[-2], [-2]]
    assert restored.state["perceptron.b"].tolist() == [3]


def test_a_perceptron_has_no_gradient():
    net = Network()
    y = perceptron(net.input("x", ("N", 2)))
    with pytest.raises(DeriveError, match="step"):
        gradients(sum_over(y), [net.parameters["perceptron.W"]])


def learn_by_hand(points, targets, rate, passes):
    w, b, mistakes = np.zeros(points.shape[1]), 0.0, 0
    for _ in range(passes):
        for x, t in zip(points, targets, strict=True):
            y = 1.0 if w @ x + b > 0 else 0.0
            if y != t:
                mistakes += 1
                w, b = w + rate * (t - y) * x, b + rate * (t - y)
    return w, b, mistakes


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_the_rule_learns_one_example_at_a_time(rate):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 2)).astype(np.float32)
    points = points[np.abs(points @ [2, -1] + 0.5) > 0.3]  # separable with a margin: finitely many mistakes
    targets = (points @ [2, -1] + 0.5 > 0).astype(np.float32)[:, None]
    net = Network()
    x, t = net.input("x", ("N", 2)), net.input("t", ("N", 1))
    y = perceptron(x)
    learn = compile(y, updates=rosenblatt(y, t, rate))
    for _ in range(20):
        for row in range(len(points)):
            learn(x=points[row : row + 1], t=targets[row : row + 1])
    w, b, mistakes = learn_by_hand(points.astype(float), targets[:, 0], rate, 20)
    assert mistakes > 3
    np.testing.assert_allclose(net.state["perceptron.W"][:, 0], w, rtol=1e-5)
    np.testing.assert_allclose(net.state["perceptron.b"], [b], rtol=1e-5)
    np.testing.assert_array_equal(compile(y)(x=points), targets)


def test_the_rule_adds_up_over_the_rows_of_a_batch():
    net = Network()
    x, t = net.input("x", ("N", 2)), net.input("t", ("N", 2))
    y = perceptron(x, units=2, weights=1.0, bias=-1.0)
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    outputs = (BITS @ np.ones((2, 2)) - 1 > 0).astype(float)
    compile(y, updates=rosenblatt(y, t, 0.5))(x=BITS, t=targets)
    np.testing.assert_allclose(net.state["perceptron.W"], 1 + 0.5 * BITS.T @ (targets - outputs))
    np.testing.assert_allclose(net.state["perceptron.b"], -1 + 0.5 * (targets - outputs).sum(0))


def test_what_the_rule_cannot_train_is_refused():
    net = Network()
    x, t = net.input("x", ("N", 2)), net.input("t", ("N", 1))
    y = perceptron(x)
    with pytest.raises(GraphError, match="'x' is no result of perceptron"):
        rosenblatt(x, t)
    with pytest.raises(ShapeError, match=r"'t2' has shape \('N', 2\), 'perceptron' \('N', 1\)"):
        rosenblatt(y, net.input("t2", ("N", 2)))
    with pytest.raises(DTypeError, match="'t3' is int64"):
        rosenblatt(y, net.input("t3", ("N", 1), dtype="int64"))
    for rate in (0, -1, "1"):
        with pytest.raises(GraphError, match="rosenblatt: rate"):
            rosenblatt(y, t, rate)
    with pytest.raises(GraphError, match="init= takes a number, an array"):
        perceptron(x, bias="b", name="q")
    assert "q" not in net


def test_the_sigmoid_neuron_of_the_course():
    net = Network()
    a = sigmoid_neuron(net.input("x", ("N", 2), dtype="float64"), init=[[3], [-2]])
    net.state["neuron.b"] = np.array([1.0])
    (found,) = evaluate([a], {"x": np.array([[-1.0, 2.0]])})
    assert f"{float(found[0, 0]):.5f}" == "0.00247"


@pytest.mark.parametrize("init", [[[1, 2], [3]], "zeros", [["a"]], [None]])
def test_first_values_that_are_no_array_are_refused(init):
    net = Network()
    with pytest.raises(GraphError, match="init"):
        dense(net.input("x", ("N", 2)), 2, init=init, name="d")
    assert list(net.graph) == ["x"]

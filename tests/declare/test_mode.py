"""The mode and the updates of a network: declared, refused, stored, and read by the reference evaluator."""

import json

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.declare.reference import evaluate
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.ops.elementwise import add, multiply, where


def two_modes():
    net = Network()
    x = net.input("x", (2,), "float64")
    seen = net.variable("seen", (2,), 5.0, "float64")
    net.update(seen, add(seen, x, name="seen.next"))
    return net, where(net.training, multiply(x, 10), seen, name="y")


def test_there_is_one_mode():
    net, _ = two_modes()
    assert net.training is not None
    assert net.training == net.training
    assert (net.training.kind, net.training.dtype, net.training.shape) == ("mode", "bool", ())
    with pytest.raises(GraphError, match="has a mode already, 'training'"):
        net.mode("another")


def test_a_taken_name_does_not_hinder_the_mode():
    net = Network()
    net.input("training", (1,))
    assert net.training.name == "training_1"


def test_the_reference_takes_the_branch_of_the_mode():
    _, y = two_modes()
    x = {"x": np.array([1.0, 2.0])}
    assert evaluate(y, x).tolist() == [5, 5]
    assert evaluate(y, x, training=True).tolist() == [10, 20]
    assert y.network.state["seen"].tolist() == [5, 5]
    with pytest.raises(GraphError, match="training is True or False"):
        evaluate(y, x, training=1)


def test_updates_are_those_of_what_is_reached():
    net, y = two_modes()
    count = net.variable("count", (2,), 0.0, "float64")
    net.update(count, add(count, net["seen"], name="count.next"))
    assert list(net.updates_of([y])) == ["seen"]
    assert set(net.updates_of([multiply(count, 2)])) == {"seen", "count"}  # count's new value reads seen
    assert net.updates_of([net["x"]]) == {}


def test_an_update_that_does_not_fit_is_refused():
    net, y = two_modes()
    free = net.variable("free", (2,), 0.0, "float64")
    other = Network().input("z", (2,), "float64")
    for variable, value, error, text in [
        (net["seen"], y, GraphError, "'seen' is updated already, by 'seen.next'"),
        (net["x"], y, GraphError, "'x' is an input and no state variable"),
        (free, other, GraphError, "is no Tensor of network"),
        (free, "y", GraphError, "'y' is no Tensor of network"),
        (free, net.input("long", (3,), "float64"), ShapeError, r"shape \(2,\), its new value \(3,\)"),
        (free, net.input("single", (2,)), DTypeError, "'free' is float64, its new value float32"),
    ]:
        with pytest.raises(error, match=text):
            net.update(variable, value)
    assert list(net.updates) == ["seen"]


def test_an_error_in_a_composition_takes_its_updates_back():
    net, _ = two_modes()

    def compose():
        with net.composing("layer"):
            mean = net.variable("mean", (2,), 0.0, "float64")
            net.update(mean, add(mean, net["x"]))
            net.variable("seen", ())

    with pytest.raises(GraphError, match="already has a node"):
        compose()
    assert list(net.updates) == ["seen"]


def test_json_keeps_mode_and_updates():
    net, y = two_modes()
    again = Network.from_json(net.to_json())
    assert again.to_json() == net.to_json()
    assert again.training.name == "training"
    assert {name: t.name for name, t in again.updates.items()} == {"seen": "seen.next"}
    assert evaluate(again[y.name], {"x": np.ones(2)}, training=True).tolist() == [10, 10]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("updates", {"seen": "nowhere"}, "updates: 'nowhere' is no node"),
        ("updates", {"x": "y"}, "'x' is an input and no state variable"),
        ("updates", ["seen"], "'updates' is missing or no dict"),
    ],
)
def test_a_file_with_wrong_updates_is_refused(key, value, text):
    content = json.loads(two_modes()[0].to_json())
    content[key] = value
    with pytest.raises(GraphError, match=text):
        Network.from_json(json.dumps(content))


def test_a_file_with_a_wrong_mode_is_refused():
    content = json.loads(two_modes()[0].to_json())
    mode = next(node for node in content["nodes"] if node["kind"] == "mode")
    mode["dtype"] = "int64"
    with pytest.raises(DTypeError, match="a mode is bool"):
        Network.from_json(json.dumps(content))

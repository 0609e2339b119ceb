"""The graph, its names, and the values of its state."""

import networkx
import numpy as np
import pytest

from graphnn.declare.initializer import Constant, Glorot, He, Normal
from graphnn.declare.network import Network
from graphnn.declare.registry import OPS, find_op, register
from graphnn.errors import DTypeError, GraphError, ShapeError
from tests.declare import samples
from tests.declare.samples import network_of


def test_the_graph_is_plain_networkx():
    network, x = network_of(x=("N", 3))
    w = network.parameter("w", (3, 2), dtype="float64")
    y = samples.matmul(x, w, name="y")
    assert isinstance(network.graph, networkx.MultiDiGraph)
    assert network.graph.nodes["y"]["op"] == "matmul"
    assert list(network.graph.in_edges("y", data="slot")) == [("x", "y", 0), ("w", "y", 1)]
    assert [t.name for t in network.ancestors([y])] == ["x", "w", "y"]
    assert repr(y) == "<op 'y' float64[N, 2]>"


def test_an_operand_given_twice_keeps_both_slots():
    network, x = network_of(x=(3,))
    y = samples.plus(x, x)
    assert network.operands(y) == (x, x)


def test_equality_is_identity():
    network, x, y = network_of(x=(3,), y=(3,))
    assert x == network["x"]
    assert x != y
    assert x != network_of(x=(3,))[1]
    with pytest.raises(GraphError, match="'x' has no truth value"):
        bool(x)


def test_names_are_unique_and_a_refused_call_adds_nothing():
    network, x = network_of(x=(3, 4))
    before = list(network.graph)
    with pytest.raises(GraphError, match="already has a node named 'x'"):
        network.input("x", (3,))
    with pytest.raises(GraphError, match="already has a node named 'x'"):
        samples.softmax(x, name="x")
    assert list(network.graph) == before
    assert [samples.swish(x).name for _ in range(3)] == ["swish", "swish_1", "swish_2"]


def test_an_interrupted_composition_adds_nothing():
    """Ctrl-C is a BaseException and no Exception."""
    network, _ = network_of(x=(3, 4))

    def compose():
        with network.composing("layer"):
            network.parameter("layer.W", (4, 2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compose()
    assert list(network.graph) == ["x"]
    assert not network.initializers


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_name_is_a_nonempty_str(name):
    with pytest.raises(GraphError, match="a node's name is a nonempty str"):
        Network().input(name, (3,))


def test_one_extent_is_the_shape_of_a_vector():
    network = Network()
    assert network.input("x", 3).shape == network.parameter("w", np.int64(3)).shape == (3,)
    assert network.input("y", "rows").shape == ("rows",)
    assert network.variable("v", 2).shape == (2,)
    with pytest.raises(ShapeError, match="an extent is a nonnegative int, not 'N'"):
        network.variable("u", "N")


def test_a_tensor_cannot_be_iterated_over():
    _, x, y = network_of(x=("N", 2), y=(2, 2))
    for tensor in (x, y):
        for walk in (iter, list, sum, set):
            with pytest.raises(GraphError, match=f"'{tensor.name}' .* cannot be iterated over: .* axis="):
                walk(tensor)


@pytest.mark.parametrize("shape", [(-1,), (1.5,), (True,), (None,), None, 1.5, -1])
def test_extents(shape):
    with pytest.raises(ShapeError, match="an extent is a nonnegative int or the name of a size"):
        Network().input("x", shape)


def test_leaves_are_checked():
    network = Network()
    with pytest.raises(DTypeError, match="dtype 'float16' is not one of"):
        network.input("x", (3,), "float16")
    with pytest.raises(DTypeError, match="parameters are float32 or float64"):
        network.parameter("w", (3,), dtype="int64")
    with pytest.raises(ShapeError, match="parameter 'w': an extent is a nonnegative int, not 'N'"):
        network.parameter("w", ("N",))
    with pytest.raises(GraphError, match=r"parameter 'w': role is .* not 'kernel'"):
        network.parameter("w", (3,), role="kernel")
    with pytest.raises(GraphError, match="init= takes a number, an array of numbers or an Initializer"):
        network.parameter("v", (3,), init="zeros")
    with pytest.raises(GraphError, match="has no node 'q'"):
        network["q"]


def test_state_reads_a_view_and_copies_in():
    network = Network()
    network.parameter("w", (2,), init=1.5)
    with pytest.raises(ValueError, match="read-only"):
        network.state["w"][0] = 3
    value = np.array([1.0, 2.0], np.float32)
    version = network.state.version
    network.state["w"] = value
    value[0] = 9
    assert network.state["w"].tolist() == [1.0, 2.0]
    assert network.state.version > version
    with pytest.raises(ShapeError, match=r"'w' has shape \(2,\); the value given has shape \(3,\)"):
        network.state["w"] = np.ones(3)
    with pytest.raises(GraphError, match="'w' is float32; the value given is complex128"):
        network.state["w"] = np.ones(2) * 1j
    with pytest.raises(GraphError, match="'q' is not a state variable"):
        network.state["q"]
    with pytest.raises(GraphError, match="belongs to the network"):
        del network.state["w"]
    assert dict(network.state).keys() == {"w"}


def test_a_value_depends_on_seed_name_and_shape_only():
    def draw(seed, *names):
        network = Network()
        for name in names:
            network.parameter(name, (4, 3), init=Glorot())
        network.initialize(seed)
        return network.state[names[-1]].copy()

    np.testing.assert_array_equal(draw(0, "w"), draw(0, "v", "w"))
    assert (draw(0, "w") != draw(1, "w")).any()
    assert (draw(0, "w") != draw(0, "v")).any()


@pytest.mark.parametrize(
    ("init", "deviation"), [(Glorot(), np.sqrt(2 / 500)), (He(), np.sqrt(2 / 300)), (Normal(0.1), 0.1)]
)
def test_initialisers_have_their_textbook_deviation(init, deviation):
    values = init((300, 200), np.random.default_rng(0))
    assert abs(values.std() / deviation - 1) < 0.02
    assert abs(values.mean()) < deviation / 50
    assert Constant(2.0)((3,), np.random.default_rng(0)).tolist() == [2.0] * 3


def test_an_initialiser_of_another_shape_is_refused():
    network = Network()
    network.parameter("w", (2,), init=lambda shape, generator: np.zeros(5))
    with pytest.raises(ShapeError, match=r"the initializer of 'w' gave shape \(5,\)"):
        network.state["w"]


def test_the_registry_names_what_is_close(monkeypatch):
    for name in list(OPS):
        monkeypatch.delitem(OPS, name)
    with pytest.raises(GraphError, match=r"unknown op 'swihs'$"):
        find_op("swihs")
    monkeypatch.setitem(OPS, "swish", samples.swish)
    with pytest.raises(GraphError, match="unknown op 'swihs'; did you mean swish"):
        find_op("swihs")
    with pytest.raises(GraphError, match="an op named 'swish' is registered already"):
        register("swish", samples.swish)

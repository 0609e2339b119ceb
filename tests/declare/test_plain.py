"""Networks from plain networkx graphs, through a registry of throwaway ops."""

from collections.abc import Sequence

import networkx
import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.declare.reference import evaluate
from graphnn.declare.registry import OPS
from graphnn.errors import GraphError, ShapeError
from tests.declare import samples


def chain(tensors: Sequence, scale: float = 1.0, name: str | None = None):
    """An op of a sequence of operands."""
    total = samples.leaky(tensors[0], slope=scale)
    for number, tensor in enumerate(tensors[1:], 2):
        total = samples.plus(total, tensor, name=name if number == len(tensors) else None)
    return total


@pytest.fixture(autouse=True)
def ops(monkeypatch):
    for name in ("matmul", "plus", "leaky"):
        monkeypatch.setitem(OPS, f"sample.{name}", getattr(samples, name))
    monkeypatch.setitem(OPS, "sample.chain", chain)


@pytest.fixture
def graph():
    g = networkx.MultiDiGraph(name="drawn")
    g.add_node("y", op="sample.matmul")
    g.add_node("x", kind="input", shape=("N", 3), dtype="float64")
    g.add_node("w", kind="parameter", shape=(3, 2), dtype="float64", init=0.5, role="bias")
    g.add_edge("w", "y", slot=1)
    g.add_edge("x", "y", slot=0)
    return g


def test_values_of_a_drawn_graph(graph):
    graph.add_node("z", op="sample.leaky", attributes={"slope": 0.5})
    graph.add_edge("y", "z")
    graph.add_node("d", op="sample.plus")
    graph.add_edge("z", "d", slot="a")
    graph.add_edge("z", "d", slot="b")
    network = Network.from_networkx(graph)
    x = np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]])
    got = evaluate([network["d"]], {"x": x})[0]
    np.testing.assert_array_equal(got, [[6.0, 6.0], [-3.0, -3.0]])
    assert network.name == "drawn"
    assert network.graph.nodes["w"]["attributes"]["role"] == "bias"
    assert Network.from_networkx(graph).to_json() == network.to_json()


def test_an_op_of_a_sequence(graph):
    graph.add_node("s", op="sample.chain", attributes={"scale": 0.5})
    for slot in (2, 0, 1):
        graph.add_edge("y", "s", slot=slot)
    x = np.array([[1.0, 2.0, -3.0]])
    assert evaluate([Network.from_networkx(graph)["s"]], {"x": x})[0].tolist() == [[0.0, 0.0]]


def test_a_cycle_is_named(graph):
    graph.add_node("p", op="sample.plus")
    graph.add_node("q", op="sample.plus")
    graph.add_edges_from([("p", "q", {"slot": 0}), ("q", "p", {"slot": 0})])
    with pytest.raises(GraphError, match=r"the graph has a cycle: (p -> q -> p|q -> p -> q)"):
        Network.from_networkx(graph)


def broken(change, message, error=GraphError):
    return pytest.param(change, message, error, id=message[:30])


@pytest.mark.parametrize(
    ("change", "message", "error"),
    [
        broken(lambda g: g.add_node("z", op="sample.mul"), "node 'z': unknown op 'sample.mul'; did you mean"),
        broken(lambda g: g.add_node("z"), "node 'z' has neither an op nor a kind of input, parameter, state"),
        broken(lambda g: g.add_node("z", kind="input"), "input 'z' has no shape"),
        broken(lambda g: g.nodes["x"].update(shape=None), "input 'x'", ShapeError),
        broken(lambda g: g.add_node("z", kind=["input"], shape=()), "node 'z' has neither an op nor a kind"),
        broken(
            lambda g: g.nodes["y"].update(attributes=5), r"node 'y' \(op sample.matmul\): attributes are a dict, not 5"
        ),
        broken(lambda g: g.add_node(7, kind="input", shape=()), "a node's name is a str, not 7"),
        broken(lambda g: g.add_edge("y", "y"), "the graph has a cycle: y -> y"),
        broken(lambda g: g.add_edge("x", "w", slot=0), "parameter 'w' takes no operands, but has an edge from 'x'"),
        broken(lambda g: g.add_edge("x", "y", slot=0), r"node 'y' \(op sample.matmul\): operand slot 0 is fed twice"),
        broken(lambda g: g.add_edge("x", "y", slot=3), "operand slot 2 is missing"),
        broken(lambda g: g.add_edge("x", "y"), "the edge from 'x' needs a slot"),
        broken(lambda g: g.remove_edge("w", "y"), "matmul: operand 'B' is missing"),
        broken(lambda g: g.remove_edge("x", "y"), "operand slot 0 is missing"),
        broken(lambda g: g.add_edge("x", "y", slot="C"), "matmul has no operand or attribute 'C'"),
        broken(lambda g: g.nodes["y"].update(attributes={"axis": 0}), "matmul has no operand or attribute 'axis'"),
        broken(lambda g: g.nodes["w"].update(shape=(4, 2)), "axis 'k' has extent 3", ShapeError),
    ],
)
def test_what_does_not_fit_is_named(graph, change, message, error):
    change(graph)
    with pytest.raises(error, match=message):
        Network.from_networkx(graph)


def test_an_attribute_unknown_to_a_function_names_the_node(graph):
    graph.add_node("s", op="sample.chain", attributes={"axis": 1})
    graph.add_edge("y", "s")
    with pytest.raises(GraphError, match=r"node 's' \(op sample.chain\): got an unexpected keyword argument 'axis'"):
        Network.from_networkx(graph)


@pytest.mark.parametrize(("shape", "expected"), [(3, (3,)), ("rows", ("rows",)), (["N", 3], ("N", 3))])
def test_a_shape_is_read_as_the_network_reads_it(shape, expected):
    graph = networkx.DiGraph()
    graph.add_node("x", kind="input", shape=shape)
    assert Network.from_networkx(graph)["x"].shape == expected


def test_an_undirected_graph_is_refused():
    with pytest.raises(GraphError, match="a network is a directed graph"):
        Network.from_networkx(networkx.Graph())

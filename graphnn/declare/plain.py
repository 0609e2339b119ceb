"""A Network from a networkx graph as anyone would draw one.

    g = networkx.DiGraph()
    g.add_node("x", kind="input", shape=("N", 4))
    g.add_node("w", kind="parameter", shape=(4, 2), init=0.1)
    g.add_node("y", op="matmul")
    g.add_edge("x", "y", slot=0)
    g.add_edge("w", "y", slot=1)

A node is a leaf (`kind` "input", "parameter" or "state" with `shape`, and `dtype`, `init`, `role`, `trainable` as in
`Network`) or names a registered op (`op`, and `attributes` for its keywords). An edge's `slot` is the operand's
number or name; it may be left out on an only edge. An operand used twice needs a MultiDiGraph. An op of a sequence
of operands (concatenate) takes those with numbers, in order.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import networkx

from graphnn.declare.registry import find_op
from graphnn.errors import GraphError

if TYPE_CHECKING:
    from graphnn.declare.network import Network, Tensor

_LEAVES: dict[str, tuple[str, tuple[str, ...]]] = {  # kind: (method of Network, its optional keywords)
    "input": ("input", ("dtype",)),
    "parameter": ("parameter", ("dtype", "init", "role", "trainable")),
    "state": ("variable", ("dtype", "init")),
}


def read_networkx(graph: Any, network: Network) -> None:
    """Fill an empty network from a plain graph; nodes keep their names and, where edges allow it, their order.

    Raises GraphError for a cycle (naming its nodes), an unknown op or kind, a missing or duplicate operand slot; the
    ops raise ShapeError and DTypeError for operands that do not fit.
    """
    if not isinstance(graph, networkx.DiGraph):  # a MultiDiGraph is one, too
        raise GraphError(f"a network is a directed graph: DiGraph or MultiDiGraph, not {type(graph).__name__}")
    position = {name: number for number, name in enumerate(graph)}
    network.rename(str(graph.name or "network"))
    try:
        order = list(networkx.lexicographical_topological_sort(graph, key=position.__getitem__))
    except networkx.NetworkXUnfeasible as error:
        cycle = [edge[0] for edge in networkx.find_cycle(graph)]
        raise GraphError(f"the graph has a cycle: {' -> '.join(map(str, [*cycle, cycle[0]]))}") from error
    for name in order:
        data = graph.nodes[name]
        if not isinstance(name, str):
            raise GraphError(f"a node's name is a str, not {name!r}")
        if data.get("op"):
            _add_op(network, graph, name, data)
        else:
            _add_leaf(network, graph, name, data)


def _add_leaf(network: Network, graph: Any, name: str, data: dict[str, Any]) -> None:
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _LEAVES:
        raise GraphError(f"node '{name}' has neither an op nor a kind of {', '.join(_LEAVES)}, but kind={kind!r}")
    if "shape" not in data:
        raise GraphError(f"{kind} '{name}' has no shape")
    if sources := list(graph.predecessors(name)):
        raise GraphError(f"{kind} '{name}' takes no operands, but has an edge from '{sources[0]}'")
    method, keywords = _LEAVES[kind]
    getattr(network, method)(name, data["shape"], **{k: data[k] for k in keywords if k in data})


def _add_op(network: Network, graph: Any, name: str, data: dict[str, Any]) -> None:
    try:
        function = find_op(data["op"])
    except GraphError as error:
        raise GraphError(f"node '{name}': {error}") from error
    where = f"node '{name}' (op {data['op']})"
    positional, keywords = _operands(network, graph, name, where)
    attributes = data.get("attributes", {})
    if not isinstance(attributes, dict):
        raise GraphError(f"{where}: attributes are a dict, not {attributes!r}")
    arguments = {**keywords, **attributes}
    if twice := sorted(set(keywords) & set(attributes)):
        raise GraphError(f"{where}: '{twice[0]}' is both an operand and an attribute")
    signature = inspect.signature(function)
    first = next(iter(signature.parameters.values()), None)
    given: list[Any] = [positional] if first is not None and "Sequence" in str(first.annotation) else positional
    try:
        signature.bind(*given, **arguments, name=name)
    except TypeError as error:
        raise GraphError(f"{where}: {error}") from error
    function(*given, **arguments, name=name)


def _operands(network: Network, graph: Any, name: str, where: str) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The operands of a node: those numbered by their slots, in order, and those named by them."""
    edges = list(graph.in_edges(name, data="slot"))
    found: dict[int | str, Tensor] = {}
    for source, _, given in edges:
        slot = 0 if given is None and len(edges) == 1 else given
        if isinstance(slot, bool) or not isinstance(slot, int | str):
            raise GraphError(f"{where}: the edge from '{source}' needs a slot, the operand's number or name")
        if slot in found:
            raise GraphError(f"{where}: operand slot {slot!r} is fed twice, by '{found[slot].name}' and '{source}'")
        found[slot] = network[source]
    numbers = sorted(slot for slot in found if isinstance(slot, int))
    if numbers != list(range(len(numbers))):
        missing = next(n for n in range(len(numbers) + 1) if n not in numbers)
        raise GraphError(f"{where}: operand slot {missing} is missing; the edges give {numbers}")
    return [found[n] for n in numbers], {slot: t for slot, t in found.items() if isinstance(slot, str)}

"""A text of tensors and all that they are made of, for a cache: two programs that differ have different texts.

The text of stage `derive` is for people: it leaves out dtypes, attributes and the kinds of numbers. This one holds
all that a compile reads of a network but for its options. Nothing ever reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from graphnn.declare.attributes import plain
from graphnn.declare.network import Network, Tensor


def canonical_text(network: Network, tensors: Sequence[Tensor]) -> str:
    """All that the tensors are made of, as JSON: nodes, those that they are derivatives of, and requests.

    Requests stand there as what was asked, whether or not they are made already, and nothing is derived for the text.
    It depends on the graph alone, not on the process; on what else was declared only where there are requests, whose
    nodes get names that are not taken. Values of state and initialisers are not in it: a program is bound to the state,
    and holds none.
    """
    declared, requests = network.requests.reach(tensors)
    nodes = {node.name: node for node in declared}
    for node in declared:
        source = _attributes(network, node).get("of", node.name)
        if isinstance(source, str) and source not in nodes:
            nodes[source] = network[source]
    asked = [request.digest for request in requests]
    return json.dumps([network.name, asked, *(_node(network, node) for node in nodes.values())])


def _node(network: Network, node: Tensor) -> list[Any]:
    data = network.made.nodes[node.name]
    operands = [network.requests.reference(operand) for operand in network.operands(node)]
    definition = "" if node.outline is None else node.outline.digest
    attributes = [[str(name), plain(value)] for name, value in _attributes(network, node).items()]
    about = [node.name, node.kind, str(data.get("op")), node.dtype, bool(data.get("derived"))]
    return [*about, node.shape, operands, definition, attributes]


def _attributes(network: Network, node: Tensor) -> dict[Any, Any]:
    return network.made.nodes[node.name].get("attributes") or {}

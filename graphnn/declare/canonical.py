"""A text of tensors and all that they are made of, for a cache: two programs that differ have different texts.

The text of stage `derive` is for people: it leaves out dtypes, attributes and the kinds of numbers. This one holds
all that a compile reads of a network but for its options. Nothing ever reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import sympy

from graphnn.declare.definition import Definition
from graphnn.declare.network import Network, Tensor
from graphnn.declare.serialize import plain


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
    definition = "" if node.definition is None else definition_text(node.definition)
    attributes = [[str(name), plain(value)] for name, value in _attributes(network, node).items()]
    about = [node.name, node.kind, str(data.get("op")), node.dtype, bool(data.get("derived"))]
    return [*about, _formulas(node.shape_exprs), operands, definition, attributes]


def _attributes(network: Network, node: Tensor) -> dict[Any, Any]:
    return network.made.nodes[node.name].get("attributes") or {}


@lru_cache(2**12)
def definition_text(definition: Definition) -> str:
    """All of a definition but its label; equal texts mean equal definitions."""
    operands = [[_formulas(o.shape), o.dtype] for o in definition.operands]
    axes, reduced = ([[e.axis.name, formula(e.size)] for e in es] for es in (definition.axes, definition.reduced))
    accesses = [[a.symbol.name, a.operand, _formulas(a.index)] for a in definition.accesses]
    body = [definition.reducer, formula(definition.guard), formula(definition.body), definition.dtype]
    return json.dumps([operands, axes, reduced, accesses, *body])


def _formulas(parts: Sequence[sympy.Basic]) -> list[str]:
    return [formula(part) for part in parts]


def formula(expr: sympy.Basic) -> str:
    """add(mul(2, t0), 1/2) in sympy's own names and order. A float is written to its last bit."""
    if expr.args:
        return f"{_head(type(expr))}({','.join(map(formula, expr.args))})"
    if isinstance(expr, sympy.Dummy):  # two of one name differ, and no other process has either
        return f"{expr.name}#{expr.dummy_index}"
    if isinstance(expr, sympy.Symbol):
        return str(expr.name)
    if isinstance(expr, sympy.Rational):
        return f"{expr.p}/{expr.q}"
    if isinstance(expr, sympy.Float):
        return f"{float(expr).hex()}@{expr._prec}"
    return _atom(expr)


@cache
def _atom(expr: sympy.Basic) -> str:
    """true, pi: sympy's printer takes longer for them than all the rest."""
    return str(expr)


def _head(function: type[Any]) -> str:
    """sympy's functions by their names, and any other with its home: two may share a name."""
    home = function.__module__
    return function.__qualname__ if home.startswith("sympy.") else f"{home}.{function.__qualname__}"

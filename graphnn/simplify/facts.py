"""What is known of arrays beyond their formulas: extents, ranges of indices, rows that sum to 1. The call checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy

from graphnn.declare.network import Network, Tensor
from graphnn.simplify.region import Assignment


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of arrays.

    `bounds`: integer arrays whose values lie in [0, extent); `distributions`: arrays whose rows, of that length,
    sum to 1; `shapes`: the extents of inputs and state.
    """

    bounds: Mapping[str, sympy.Expr]
    distributions: Mapping[str, sympy.Expr]
    shapes: Mapping[str, tuple[sympy.Expr, ...]]


def find_index_bounds(
    network: Network, order: Sequence[Tensor], bound: Mapping[sympy.Symbol, sympy.Expr]
) -> dict[str, sympy.Expr]:
    """The smallest extent that each integer array indexes.

    A gather's adjoint scatters by the same labels, though the gather itself may not be part of the program: the node
    that an adjoint is `of` counts, too.
    """
    sources = [network.made.nodes[node.name]["attributes"].get("of", node.name) for node in order]
    bounds: dict[str, sympy.Expr] = {}
    for node in map(network.__getitem__, dict.fromkeys([*sources, *(node.name for node in order)])):
        if node.definition is None:
            continue
        operands = network.operands(node)
        by_symbol = {a.symbol: a for a in node.definition.accesses}
        for access in node.definition.accesses:
            for index, dim in zip(access.index, node.definition.operands[access.operand].shape, strict=True):
                if index in by_symbol:
                    name, extent = operands[by_symbol[index].operand].name, dim.xreplace(bound)
                    bounds[name] = sympy.Min(bounds.get(name, extent), extent)
    return bounds


def find_extremes(assignments: Sequence[Assignment]) -> list[tuple[str, sympy.Expr, sympy.Expr]]:
    """(node, number of terms, number of results) of each max and min over a size that may turn out to be 0 or less.

    Over no terms they have no value, so the call refuses that where there is a result to compute.
    """
    found = []
    for assignment in assignments:
        if assignment.reducer not in ("max", "min"):
            continue
        terms, results = (sympy.Mul(*(sympy.Max(0, e.size) for e in a)) for a in (assignment.reduced, assignment.axes))
        if not terms.is_positive:
            found.append((assignment.name, terms, results))
    return found


def find_distributions(
    network: Network, order: Sequence[Tensor], bound: Mapping[sympy.Symbol, sympy.Expr]
) -> dict[str, sympy.Expr]:
    """The inputs that a loss was promised to be distributions, with the length of their rows.

    The promise is about the second operand of the definition that reads both; what is computed is not checked at the
    boundary, so only inputs count.
    """
    promised: dict[str, sympy.Expr] = {}
    for node in order:
        if network.made.nodes[node.name]["attributes"].get("distribution") is True:
            for operand in network.operands(node)[1:2]:  # weights may follow
                if operand.kind == "input" and operand.ndim:
                    promised[operand.name] = operand.shape_exprs[-1].xreplace(bound)
    return promised

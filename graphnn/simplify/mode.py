"""The mode of a compile becomes a constant: what reads it is specialised, and what nothing reads any more is left out.

y[i0] = select(training != 0, k[i0]*x[i0], x[i0])   ->   y[i0] = x[i0]       for training=False; k is dropped
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy

from graphnn.declare.definition import Definition
from graphnn.declare.network import Network, Tensor


@dataclass(frozen=True, slots=True)
class Specialised:
    """A node as it is in one mode; an input or a state variable has no definition."""

    node: Tensor
    definition: Definition | None
    operands: tuple[Tensor, ...]


def specialise(network: Network, tensors: Sequence[Tensor], training: bool) -> list[Specialised]:
    """The tensors and all that they are made of in that mode, operands first."""
    found: dict[str, Specialised] = {}

    def operands(node: Tensor) -> tuple[Tensor, ...]:
        return found.setdefault(node.name, _in_mode(node, network.operands(node), training)).operands

    return [found[node.name] for node in network.ancestors(tensors, operands)]


def _in_mode(node: Tensor, operands: tuple[Tensor, ...], training: bool) -> Specialised:
    """One node with the constant in place of the mode, without the operands that it then does not read."""
    if node.kind == "mode":
        value = sympy.true if training else sympy.false
        return Specialised(node, Definition((), (), None, (), sympy.true, (), value, "bool"), ())
    definition = node.definition
    modes = {slot for slot, operand in enumerate(operands) if operand.kind == "mode"}
    if definition is None or not modes:
        return Specialised(node, definition, operands)
    constants = {a.symbol: sympy.Integer(training) for a in definition.accesses if a.operand in modes}
    body, guard = definition.body.xreplace(constants), definition.guard.xreplace(constants)
    read = body.free_symbols | guard.free_symbols
    for access in reversed(definition.accesses):  # an index holds accesses that come before it
        if access.symbol in read:
            read |= {s for index in access.index for s in index.free_symbols}
    accesses = [a for a in definition.accesses if a.symbol in read]
    unread = {a.operand for a in definition.accesses} - {a.operand for a in accesses}
    kept = [slot for slot in range(len(operands)) if slot not in unread]  # one without an access counts for its shape
    specialised = replace(
        definition,
        operands=tuple(definition.operands[slot] for slot in kept),
        accesses=tuple(replace(a, operand=kept.index(a.operand)) for a in accesses),
        body=body,
        guard=guard,
    )
    return Specialised(node, specialised, tuple(operands[slot] for slot in kept))

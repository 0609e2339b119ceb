"""gradients(): what has a gradient is found at the call, by the ways from x to y; it is derived when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from graphnn.declare.definition import FLOATS
from graphnn.declare.extents import TensorType
from graphnn.declare.network import Network, Tensor
from graphnn.derive.steps import StepError, Ties
from graphnn.errors import DeriveError


def gradients(ys: Tensor | Sequence[Tensor], xs: Tensor | Sequence[Tensor], ties: Ties = "first") -> list[Tensor]:
    """The gradient of the sum of `ys` by each of `xs`: nodes of the same network, shaped and typed as the x's.

    They are derived when somebody looks at them (`docs/design/requests.md`); a program found in the cache does not.
    They are ordinary nodes, so they can be differentiated again. `ties` says what the gradient of a Max or Min
    reducer does where terms are equal: all to the "first", or "split" evenly. A gradient that is zero everywhere
    because y does not depend on x is a node of zeros. Raises DeriveError where every way from x to y leads through an
    integer or a step.
    """
    outputs = [ys] if isinstance(ys, Tensor) else list(ys)
    inputs = [xs] if isinstance(xs, Tensor) else list(xs)
    if not outputs:
        raise DeriveError("gradients needs at least one tensor to differentiate")
    if ties not in get_args(Ties):
        raise DeriveError(f"ties={ties!r:.40}: choose one of {', '.join(get_args(Ties))}")
    for tensor in (*outputs, *inputs):
        if not isinstance(tensor, Tensor):
            raise DeriveError(f"gradients are of and by Tensors, not {type(tensor).__name__} ({tensor!r:.40})")
        if tensor.network is not outputs[0].network:
            raise DeriveError(f"'{tensor.name}' belongs to another network than '{outputs[0].name}'")
        if tensor.dtype not in FLOATS:
            raise DeriveError(f"'{tensor.name}' is {tensor.dtype}: there is no gradient of or by integers and booleans")
    if not inputs:
        return []
    network = outputs[0].network
    flows = find_flows(network, outputs, inputs)

    def derive() -> list[Tensor]:
        from graphnn.derive.reverse import add_adjoints  # a program that is found in the cache derives nothing

        return add_adjoints(network, tuple(outputs), inputs, ties, flows)

    return network.requests.ask(
        f"the gradients of {label_of(outputs)} by {', '.join(x.name for x in inputs)}",
        ["gradients", ties, len(outputs)],
        [*outputs, *inputs],
        [TensorType(x.shape, x.dtype) for x in inputs],
        derive,
    )


@dataclass(frozen=True, slots=True)
class Flow:
    """A node through which adjoints flow, and those of its accesses that hand them on, with their operands."""

    node: Tensor
    operands: tuple[tuple[int, Tensor], ...]


def find_flows(network: Network, ys: Sequence[Tensor], xs: Sequence[Tensor]) -> list[Flow]:
    """The ways from `xs` to the y's, from the y's on; the formulas are looked at, but not differentiated.

    A step in a gradient, such as relu's [z > 0] in a second derivative, contributes nothing. A step in a network as
    declared is an error. Raises DeriveError for that, and for an x with no way but through integers and conditions.
    """
    order = network.ancestors(ys)
    operands_of = {node.name: network.operands(node) for node in order}
    reaching = {x.name for x in xs}  # by a float path
    for node in order:
        if node.dtype in FLOATS and any(o.name in reaching for o in operands_of[node.name]):
            reaching.add(node.name)
    found, flat = {y.name for y in ys}, False
    flows = []
    for node in reversed(order):
        if node.name not in found or node.name not in reaching:
            continue
        outline, operands = node.outline, operands_of[node.name]
        ways: list[tuple[int, Tensor]] = []
        for number, slot in () if outline is None else sorted((*outline.ways, *outline.held)):
            operand = operands[slot]
            if operand.name not in reaching or operand.dtype not in FLOATS:
                continue
            try:
                if outline is not None and (number, slot) in outline.held:
                    refuse_step(node, number)
            except StepError:
                if not is_derived(node):
                    raise
                flat = True
                continue
            ways.append((number, operand))
        found |= {operand.name for _, operand in ways}
        flows.append(Flow(node, tuple(ways)))
    dependent = {t.name for t in order}
    for x in xs:
        if x.name in dependent - found and not flat:
            raise DeriveError(
                f"every way from '{x.name}' to '{label_of(ys)}' leads through an integer, a condition or an index: "
                "there is no gradient"
            )
    return flows


def refuse_step(node: Tensor, number: int) -> None:
    """StepError where the formula is a step of that access, which stands in conditions and steps only."""
    from graphnn.derive.scalar import differentiate  # where there are such accesses only

    definition = node.definition
    assert definition is not None
    differentiate(definition.body, definition.accesses[number].symbol, definition.op)


def label_of(ys: Sequence[Tensor]) -> str:
    """What is differentiated, as gradients are named by it."""
    return "+".join(y.name for y in ys)


def is_derived(node: Tensor) -> bool:
    return bool(node.network.made.nodes[node.name].get("derived"))

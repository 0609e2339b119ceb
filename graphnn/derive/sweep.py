"""The reverse sweep: gradients() walks the graph backwards and adds adjoint nodes to it."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import FLOATS, Definition, Extent, OperandType, Step
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand, axis_symbol
from graphnn.derive.adjoint import Ties, derive_adjoint
from graphnn.derive.scalar import StepError
from graphnn.errors import DeriveError


def gradients(ys: Tensor | Sequence[Tensor], xs: Tensor | Sequence[Tensor], ties: Ties = "first") -> list[Tensor]:
    """The gradient of the sum of `ys` by each of `xs`: nodes of the same network, shaped and typed as the x's.

    They are ordinary nodes, so they can be differentiated again. `ties` says what the gradient of a Max or Min
    reducer does where terms are equal: all to the "first", or "split" evenly. A gradient that is zero everywhere
    because y does not depend on x is a node of zeros. Raises DeriveError where every way from x to y leads through an
    integer or a step.
    """
    outputs = [ys] if isinstance(ys, Tensor) else list(ys)
    inputs = [xs] if isinstance(xs, Tensor) else list(xs)
    if not outputs:
        raise DeriveError("gradients needs at least one tensor to differentiate")
    network = outputs[0].network
    for tensor in (*outputs, *inputs):
        if tensor.network is not network:
            raise DeriveError(f"'{tensor.name}' belongs to another network than '{outputs[0].name}'")
        if tensor.dtype not in FLOATS:
            raise DeriveError(f"'{tensor.name}' is {tensor.dtype}: there is no gradient of or by integers and booleans")
    key = (tuple(t.name for t in outputs), ties)
    missing = [x for x in inputs if (key, x.name) not in network.requests]
    if missing:
        _sweep(network, outputs, missing, ties, key)
    return [network.requests[key, x.name] for x in inputs]


def _sweep(network: Network, ys: list[Tensor], xs: list[Tensor], ties: Ties, key: object) -> None:
    order = network.ancestors(ys)
    before = set(network.graph)
    wanted = {x.name for x in xs}
    reaching = _reaching(network, order, wanted)
    label = "+".join(y.name for y in ys)
    contributions: dict[str, list[Tensor]] = {}
    totals: dict[str, Tensor] = {}
    flat = False
    for y in ys:
        contributions.setdefault(y.name, []).append(_fill(network, y, 1, f"d{y.name}/d{y.name}"))
    for node in reversed(order):
        parts = contributions.pop(node.name, [])
        if not parts or node.name not in reaching:
            continue
        total = parts[0] if len(parts) == 1 else _total(network, parts, f"d{label}/d{node.name}")
        totals[node.name] = total
        flat |= _push(network, node, total, reaching, ties, label, contributions)
    dependent = {t.name for t in order}
    for x in xs:
        if x.name not in totals:
            if x.name in dependent and not flat:
                raise DeriveError(
                    f"every way from '{x.name}' to '{label}' leads through an integer, a condition or an index: "
                    "there is no gradient"
                )
            totals[x.name] = _fill(network, x, 0, f"d{label}/d{x.name}")
        network.requests[key, x.name] = totals[x.name]
    for name in network.graph:
        if name not in before:
            network.graph.nodes[name]["derived"] = True


def _reaching(network: Network, order: Sequence[Tensor], wanted: set[str]) -> set[str]:
    """The nodes through which a float path leads from the wanted ones."""
    reaching = set(wanted)
    for node in order:
        if node.dtype in FLOATS and any(o.name in reaching for o in network.operands(node)):
            reaching.add(node.name)
    return reaching


def _push(
    network: Network,
    node: Tensor,
    incoming: Tensor,
    reaching: set[str],
    ties: Ties,
    label: str,
    contributions: dict[str, list[Tensor]],
) -> bool:
    """Add the contributions of `node` to the adjoints of its operands, one addend per access.

    A step in a gradient, such as relu's [z > 0] in a second derivative, contributes nothing: then the result is True.
    A step in a network as declared is an error.
    """
    definition = node.definition
    if definition is None:
        return False
    flat = False
    operands = network.operands(node)
    for number, access in enumerate(definition.accesses):
        operand = operands[access.operand]
        if operand.name not in reaching or operand.dtype not in FLOATS or not _in_body(definition, access.symbol):
            continue
        try:
            recipe = derive_adjoint(definition, number, ties)
        except StepError:
            if not network.graph.nodes[node.name].get("derived"):
                raise
            flat = True
            continue
        name = network.fresh_name(f"d{label}/d{operand.name}")
        adjoint = network.add_recipe(recipe, (*operands, node, incoming), label=recipe[-1].definition.op, name=name)
        network.graph.nodes[adjoint.name]["attributes"] = {"of": node.name, "addend": number}
        contributions.setdefault(operand.name, []).append(adjoint)
    return flat


def _in_body(definition: Definition, symbol: sympy.Symbol) -> bool:
    """Whether an access is read as a value: conditions and indices carry no gradient."""
    if definition.body == symbol:
        return True
    conditions = [c for p in definition.body.atoms(sympy.Piecewise) for _, c in p.args]
    hidden = definition.body.xreplace({c: sympy.true for c in conditions if c.has(symbol)})
    step = any(c.has(symbol) for c in conditions) or definition.body.has(sympy.sign)
    return bool(hidden.has(symbol)) or (step and symbol.is_integer is not True)


def _total(network: Network, parts: Sequence[Tensor], name: str) -> Tensor:
    """The sum of several contributions, as one definition."""
    operands = [Operand(f"x{n}") for n in range(len(parts))]
    shape = parts[0].shape_exprs
    axes = tuple(axis_symbol(f"p{n}") for n in range(len(shape)))
    types = OperandType(shape, parts[0].dtype)
    slots = [Slot(o.name, n, types) for n, o in enumerate(operands)]
    extents = [Extent(a, s) for a, s in zip(axes, shape, strict=True)]
    body = sympy.Add(*(o[axes] for o in operands))
    definition = bind_definition("sum of adjoints", slots, extents, body, dict(zip(axes, shape, strict=True)))
    recipe = (Step(definition, tuple(range(len(parts)))),)
    return network.add_recipe(recipe, parts, label=definition.op, name=network.fresh_name(name))


def _fill(network: Network, like: Tensor, value: int, name: str) -> Tensor:
    """A node of zeros or ones, shaped and typed as `like`."""
    axes = [Extent(axis_symbol(f"i{n}"), size) for n, size in enumerate(like.shape_exprs)]
    sizes = {e.axis: e.size for e in axes}
    definition = bind_definition("constant", [], axes, sympy.Integer(value), sizes, like.dtype)
    return network.add_recipe((Step(definition, ()),), [], label="constant", name=network.fresh_name(name))

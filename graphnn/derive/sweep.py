"""The reverse sweep: gradients() walks the graph backwards and adds adjoint nodes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import get_args

import sympy

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import FLOATS, Extent, OperandType, Recipe, Step
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand, axis_symbol
from graphnn.derive.adjoint import Ties, derive_adjoint
from graphnn.derive.scalar import StepError, refuse_step
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
    network = outputs[0].network
    sweep = _Sweep(network, tuple(outputs), ties)
    sweep.plan(inputs)
    return network.requests.ask(
        f"the gradients of {sweep.label} by {', '.join(x.name for x in inputs)}",
        ["gradients", ties, len(outputs)],
        [*outputs, *inputs],
        [OperandType(x.shape_exprs, x.dtype) for x in inputs],
        partial(sweep.run, inputs),
    )


@dataclass(frozen=True, slots=True)
class _Flow:
    """A node through which adjoints flow, and those of its accesses that hand them on, with their operands."""

    node: Tensor
    operands: tuple[tuple[int, Tensor], ...]


@dataclass(slots=True)
class _Sweep:
    """One reverse sweep. What it makes is remembered by the network, so that asking again adds no nodes.

    A node's adjoint depends on what follows it only, not on which gradients are asked for.
    """

    network: Network
    ys: tuple[Tensor, ...]
    ties: Ties
    flows: list[_Flow] = field(default_factory=list)
    contributions: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return "+".join(y.name for y in self.ys)

    def _key(self, node: str, access: int | None = None) -> tuple[object, ...]:
        return (self.ties, tuple(y.name for y in self.ys), node, access)

    def _remember(self, key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
        adjoints = self.network.adjoints
        if key not in adjoints:
            adjoints[key] = make()
        return adjoints[key]

    def plan(self, xs: Sequence[Tensor]) -> None:
        """Find the ways from `xs` to the y's; the formulas are looked at, but not differentiated.

        A step in a gradient, such as relu's [z > 0] in a second derivative, contributes nothing. A step in a network as
        declared is an error.
        """
        order = self.network.ancestors(self.ys)
        reaching = self._reaching(order, {x.name for x in xs})
        found, flat = {y.name for y in self.ys}, False
        for node in reversed(order):
            if node.name not in found or node.name not in reaching:
                continue
            definition, operands = node.definition, self.network.operands(node)
            ways: list[tuple[int, Tensor]] = []
            for number, access in enumerate(() if definition is None else definition.accesses):
                operand = operands[access.operand]
                if operand.name not in reaching or operand.dtype not in FLOATS:
                    continue
                if definition is None or access.symbol not in definition.body.free_symbols:
                    continue
                try:
                    refuse_step(definition.body, access.symbol, definition.op)
                except StepError:
                    if not self._is_derived(node):
                        raise
                    flat = True
                    continue
                ways.append((number, operand))
            found |= {operand.name for _, operand in ways}
            self.flows.append(_Flow(node, tuple(ways)))
        dependent = {t.name for t in order}
        for x in xs:
            if x.name in dependent - found and not flat:
                raise DeriveError(
                    f"every way from '{x.name}' to '{self.label}' leads through an integer, a condition or an "
                    "index: there is no gradient"
                )

    def run(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Make the adjoints of `xs` and of all that lies between."""
        before = self.network.made.number_of_nodes()
        for y in self.ys:
            seed = self._remember(self._key(y.name, -1), partial(self._fill, y, 1, f"d{y.name}/d{y.name}"))
            self.contributions.setdefault(y.name, []).append(seed)
        for flow in self.flows:
            self._push(flow)
        adjoints = [self._adjoint(x) for x in xs]
        for name in islice(self.network.made, before, None):
            self.network.made.nodes[name]["derived"] = True
        self.contributions.clear()
        return adjoints

    def _is_derived(self, node: Tensor) -> bool:
        return bool(self.network.made.nodes[node.name].get("derived"))

    def _adjoint(self, node: Tensor) -> Tensor:
        """The sum of all contributions to a node; zeros where there is none."""
        parts = self.contributions.get(node.name)
        if parts is None:
            make = partial(self._fill, node, 0, f"d{self.label}/d{node.name}")
        else:
            make = partial(self._total, parts, node.name)
        return self._remember(self._key(node.name), make)

    def _reaching(self, order: Sequence[Tensor], wanted: set[str]) -> set[str]:
        """The nodes through which a float path leads from the wanted ones."""
        reaching = set(wanted)
        for node in order:
            if node.dtype in FLOATS and any(o.name in reaching for o in self.network.operands(node)):
                reaching.add(node.name)
        return reaching

    def _push(self, flow: _Flow) -> None:
        """Add the contributions of a node to the adjoints of its operands, one addend per access."""
        node, definition = flow.node, flow.node.definition
        operands, incoming = self.network.operands(node), self._adjoint(node)
        for number, operand in flow.operands:
            try:
                recipe = derive_adjoint(definition, number, self.ties)
            except StepError:  # of a formula that is constant though it does not look so
                if not self._is_derived(node):
                    raise
                continue
            make = partial(self._add, node, number, operand, recipe, (*operands, node, incoming))
            adjoint = self._remember(self._key(node.name, number), make)
            self.contributions.setdefault(operand.name, []).append(adjoint)

    def _add(self, node: Tensor, number: int, operand: Tensor, recipe: Recipe, operands: Sequence[Tensor]) -> Tensor:
        """Add the nodes of one contribution, labelled by the op whose adjoint they are."""
        label = f"adjoint of {self.network.made.nodes[node.name]['op']}"
        labelled = tuple(Step(replace(step.definition, op=label), step.sources) for step in recipe)
        name = self.network.fresh_name(f"d{self.label}/d{operand.name}")
        return self.network.add_recipe(labelled, operands, label, name, {"of": node.name, "addend": number})

    def _total(self, parts: Sequence[Tensor], of: str) -> Tensor:
        """The sum of several contributions, as one definition."""
        if len(parts) == 1:
            return parts[0]
        operands = [Operand(f"x{n}") for n in range(len(parts))]
        shape = parts[0].shape_exprs
        axes = tuple(axis_symbol(f"p{n}") for n in range(len(shape)))
        types = OperandType(shape, parts[0].dtype)
        slots = [Slot(o.name, n, types) for n, o in enumerate(operands)]
        extents = [Extent(a, s) for a, s in zip(axes, shape, strict=True)]
        body = sympy.Add(*(o[axes] for o in operands))
        definition = bind_definition("sum of adjoints", slots, extents, body, dict(zip(axes, shape, strict=True)))
        name = self.network.fresh_name(f"d{self.label}/d{of}")
        return self.network.add_recipe((Step(definition, tuple(range(len(parts)))),), parts, definition.op, name)

    def _fill(self, like: Tensor, value: int, name: str) -> Tensor:
        """A node of zeros or ones, shaped and typed as `like`."""
        axes = [Extent(axis_symbol(f"i{n}"), size) for n, size in enumerate(like.shape_exprs)]
        sizes = {e.axis: e.size for e in axes}
        definition = bind_definition("constant", [], axes, sympy.Integer(value), sizes, like.dtype)
        fresh = self.network.fresh_name(name)
        return self.network.add_recipe((Step(definition, ()),), [], definition.op, fresh)

"""The reverse sweep: adjoints as nodes, from the outputs back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import sympy

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import Extent, OperandType, Recipe, Step
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand, axis_symbol
from graphnn.derive.adjoint import derive_adjoint
from graphnn.derive.steps import StepError, Ties
from graphnn.derive.sweep import Flow, is_derived, label_of


def add_adjoints(
    network: Network, ys: tuple[Tensor, ...], xs: Sequence[Tensor], ties: Ties, flows: Sequence[Flow]
) -> list[Tensor]:
    """The adjoints of `xs` as nodes, with those of all nodes between. Nodes that are there already are not added again.

    DeriveError for a formula that does not change with an access in it.
    """
    return _Reverse(network, ys, ties).run(xs, flows)


@dataclass(slots=True)
class _Reverse:
    """One reverse sweep. What it makes is remembered by the network, so that asking again adds no nodes.

    A node's adjoint depends on what follows it only, not on which gradients are asked for.
    """

    network: Network
    ys: tuple[Tensor, ...]
    ties: Ties
    contributions: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return label_of(self.ys)

    def _key(self, node: str, access: int | None = None) -> tuple[object, ...]:
        return (self.ties, tuple(y.name for y in self.ys), node, access)

    def _remember(self, key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
        adjoints = self.network.adjoints
        if key not in adjoints:
            adjoints[key] = make()
        return adjoints[key]

    def run(self, xs: Sequence[Tensor], flows: Sequence[Flow]) -> list[Tensor]:
        """Make the adjoints of all that lies on the flows, and give those of `xs`."""
        before = self.network.made.number_of_nodes()
        for y in self.ys:
            seed = self._remember(self._key(y.name, -1), partial(self._fill, y, 1, f"d{y.name}/d{y.name}"))
            self.contributions.setdefault(y.name, []).append(seed)
        for flow in flows:
            self._push(flow)
        adjoints = [self._adjoint(x) for x in xs]
        for name in islice(self.network.made, before, None):
            self.network.made.nodes[name]["derived"] = True
        return adjoints

    def _adjoint(self, node: Tensor) -> Tensor:
        """The sum of all contributions to a node; zeros where there is none."""
        parts = self.contributions.get(node.name)
        if parts is None:
            make = partial(self._fill, node, 0, f"d{self.label}/d{node.name}")
        else:
            make = partial(self._total, parts, node.name)
        return self._remember(self._key(node.name), make)

    def _push(self, flow: Flow) -> None:
        """Add the contributions of a node to the adjoints of its operands, one addend per access."""
        node, definition = flow.node, flow.node.definition
        operands, incoming = self.network.operands(node), self._adjoint(node)
        for number, operand in flow.operands if definition is not None else ():
            try:
                recipe = derive_adjoint(definition, number, self.ties)
            except StepError:  # of a formula that is constant though it does not look so
                if not is_derived(node):
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

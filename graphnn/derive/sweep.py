"""The reverse sweep: gradients() walks the graph backwards and adds adjoint nodes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import sympy

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import FLOATS, Definition, Extent, OperandType, Recipe, Step
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
    for tensor in (*outputs, *inputs):
        if not isinstance(tensor, Tensor):
            raise DeriveError(f"gradients are of and by Tensors, not {type(tensor).__name__} ({tensor!r:.40})")
        if tensor.network is not outputs[0].network:
            raise DeriveError(f"'{tensor.name}' belongs to another network than '{outputs[0].name}'")
        if tensor.dtype not in FLOATS:
            raise DeriveError(f"'{tensor.name}' is {tensor.dtype}: there is no gradient of or by integers and booleans")
    sweep = _Sweep(outputs[0].network, tuple(outputs), ties)
    if any(not sweep.known(x) for x in inputs):
        sweep.run(inputs)
    return [sweep.adjoint(x) for x in inputs]


@dataclass(slots=True)
class _Sweep:
    """One reverse sweep. What it makes is remembered by the network, so that asking again adds no nodes.

    A node's adjoint depends on what follows it only, not on which gradients are asked for.
    """

    network: Network
    ys: tuple[Tensor, ...]
    ties: Ties
    contributions: dict[str, list[Tensor]] = field(default_factory=dict)
    flat: bool = False  # whether a step in a gradient was met, which contributes nothing

    @property
    def label(self) -> str:
        return "+".join(y.name for y in self.ys)

    def _key(self, node: str, access: int | None = None) -> tuple[object, ...]:
        return (self.ties, tuple(y.name for y in self.ys), node, access)

    def known(self, tensor: Tensor) -> bool:
        return self._key(tensor.name) in self.network.requests

    def adjoint(self, tensor: Tensor) -> Tensor:
        return self.network.requests[self._key(tensor.name)]

    def _remember(self, key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
        if key not in self.network.requests:
            before = set(self.network.graph)
            self.network.requests[key] = make()
            for name in self.network.graph:
                if name not in before:
                    self.network.graph.nodes[name]["derived"] = True
        return self.network.requests[key]

    def run(self, xs: Sequence[Tensor]) -> None:
        """Make the adjoints of `xs` and of all that lies between."""
        order = self.network.ancestors(self.ys)
        reaching = self._reaching(order, {x.name for x in xs})
        for y in self.ys:
            seed = self._remember(self._key(y.name, -1), partial(self._fill, y, 1, f"d{y.name}/d{y.name}"))
            self.contributions.setdefault(y.name, []).append(seed)
        for node in reversed(order):
            parts = self.contributions.get(node.name)
            if parts and node.name in reaching:
                total = self._remember(self._key(node.name), partial(self._total, parts, node.name))
                self._push(node, total, reaching)
        dependent = {t.name for t in order}
        for x in xs:
            if not self.known(x):
                if x.name in dependent and not self.flat:
                    raise DeriveError(
                        f"every way from '{x.name}' to '{self.label}' leads through an integer, a condition or an "
                        "index: there is no gradient"
                    )
                self._remember(self._key(x.name), partial(self._fill, x, 0, f"d{self.label}/d{x.name}"))

    def _reaching(self, order: Sequence[Tensor], wanted: set[str]) -> set[str]:
        """The nodes through which a float path leads from the wanted ones."""
        reaching = set(wanted)
        for node in order:
            if node.dtype in FLOATS and any(o.name in reaching for o in self.network.operands(node)):
                reaching.add(node.name)
        return reaching

    def _push(self, node: Tensor, incoming: Tensor, reaching: set[str]) -> None:
        """Add the contributions of `node` to the adjoints of its operands, one addend per access.

        A step in a gradient, such as relu's [z > 0] in a second derivative, contributes nothing. A step in a network as
        declared is an error.
        """
        definition = node.definition
        if definition is None:
            return
        operands = self.network.operands(node)
        for number, access in enumerate(definition.accesses):
            operand = operands[access.operand]
            if operand.name not in reaching or operand.dtype not in FLOATS or not _in_body(definition, access.symbol):
                continue
            try:
                recipe = derive_adjoint(definition, number, self.ties)
            except StepError:
                if not self.network.graph.nodes[node.name].get("derived"):
                    raise
                self.flat = True
                continue
            make = partial(self._add, node, number, operand, recipe, (*operands, node, incoming))
            adjoint = self._remember(self._key(node.name, number), make)
            self.contributions.setdefault(operand.name, []).append(adjoint)

    def _add(self, node: Tensor, number: int, operand: Tensor, recipe: Recipe, operands: Sequence[Tensor]) -> Tensor:
        """Add the nodes of one contribution, labelled by the op whose adjoint they are."""
        label = f"adjoint of {self.network.graph.nodes[node.name]['op']}"
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


def _in_body(definition: Definition, symbol: sympy.Symbol) -> bool:
    """Whether an access is read as a value: conditions and indices carry no gradient."""
    if definition.body == symbol:
        return True
    conditions = [c for p in definition.body.atoms(sympy.Piecewise) for _, c in p.args]
    hidden = definition.body.xreplace({c: sympy.true for c in conditions if c.has(symbol)})
    step = any(c.has(symbol) for c in conditions) or definition.body.has(sympy.sign)
    return bool(hidden.has(symbol)) or (step and symbol.is_integer is not True)

"""Network and Tensor: a static graph of formulas.

`Network.graph` is a networkx.MultiDiGraph; what was requested (`requests.py`) is made when it is read. A node carries
kind ("input", "parameter", "state", "mode", "op"), op, shape, dtype, attributes and, for an op, its definition; an edge
carries the operand slot it feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import networkx

from graphnn.declare.definition import DTYPES, FLOATS, Step
from graphnn.declare.extents import Dim, Size, check_size
from graphnn.declare.initializer import Initializer, as_initializer
from graphnn.declare.outline import LateDefinition, LateStep
from graphnn.declare.plain import read_networkx
from graphnn.declare.requests import Requests
from graphnn.declare.state import State
from graphnn.declare.summary import Summary, summarize
from graphnn.declare.tensor import Tensor
from graphnn.declare.updates import check_update, reached_updates
from graphnn.errors import DTypeError, GraphError, ShapeError

__all__ = ["Dim", "Network", "Tensor"]


class Network:
    """A static graph of symbolic ops, and the values of its state variables."""

    def __init__(self, name: str = "network") -> None:
        self.name = name
        self.made: Any = networkx.MultiDiGraph(name=name)  # the graph but for what is requested and not made yet
        self.initializers: dict[str, Initializer] = {}
        self.requests = Requests(self)
        self.adjoints: dict[Any, Tensor] = {}  # made by gradients(), by (what, with respect to, policy)
        self.updates: dict[str, Tensor] = {}  # new values of state variables that a training step stores
        self.state = State(self)

    def __getstate__(self) -> dict[str, Any]:
        """For copies: what is made late is made first, since how to make it belongs to this network."""
        _ = self.graph
        return dict(self.__dict__)

    @property
    def graph(self) -> Any:
        """The networkx.MultiDiGraph. Requests and formulas are made first; raises DeriveError where a request fails."""
        self.requests.make_all()
        for name, definition in list(self.made.nodes(data="definition")):
            if isinstance(definition, LateDefinition):
                _ = Tensor(self, name).definition
        return self.made

    def rename(self, name: str) -> None:
        """Give the network another name, which only people see."""
        self.name = self.made.graph["name"] = name

    def __repr__(self) -> str:
        return f"<network {self.name!r}: {self.graph.number_of_nodes()} nodes>"

    def __getitem__(self, name: str) -> Tensor:
        if name not in self:
            raise GraphError(f"network {self.name!r} has no node {name!r}")
        return Tensor(self, name)

    def __contains__(self, name: object) -> bool:
        if name not in self.made:
            self.requests.make_all()
        return name in self.made

    def input(self, name: str, shape: Dim | Sequence[Dim], dtype: str = "float32") -> Tensor:
        """Declare an input: an array given at each call. A str extent is a symbolic size, equal wherever it occurs.

        As in NumPy, one extent by itself is the shape of a vector: 3 stands for (3,), "N" for ("N",).
        """
        return self._leaf("input", name, shape, dtype)

    def parameter(
        self,
        name: str,
        shape: int | Sequence[int],
        init: Any = 0.0,
        dtype: str = "float32",
        role: str = "weight",
        trainable: bool = True,
    ) -> Tensor:
        """Declare a parameter: a state variable that training changes (unless trainable=False).

        `init` is a number or an Initializer; `role` is "weight" or "bias" (penalties apply to weights only).
        """
        if role not in ("weight", "bias"):
            raise GraphError(f"parameter '{name}': role is 'weight' or 'bias', not {role!r}")
        tensor = self._leaf("parameter", name, shape, dtype)
        self.made.nodes[name]["attributes"] = {"role": role, "trainable": trainable}
        self.initializers[name] = as_initializer(init)
        return tensor

    def variable(self, name: str, shape: int | Sequence[int], init: Any = 0.0, dtype: str = "float32") -> Tensor:
        """Declare a state variable that is not a parameter: an optimizer slot, a running statistic, a counter."""
        tensor = self._leaf("state", name, shape, dtype)
        self.initializers[name] = as_initializer(init)
        return tensor

    @property
    def training(self) -> Tensor:
        """The mode, a bool scalar made on first use: a layer chooses by gn.where(net.training, a, b).

        `compile(training=)` and `evaluate(training=)` say which it is; a compiled program holds one branch only.
        """
        known = self._of_kind("mode")
        return next(iter(known.values())) if known else self.mode(self.fresh_name("training"))

    def mode(self, name: str) -> Tensor:
        """Declare the node of `training` under a name. GraphError where the network has one."""
        if known := self._of_kind("mode"):
            raise GraphError(f"network {self.name!r} has a mode already, '{next(iter(known))}'")
        return self._leaf("mode", name, (), "bool")

    def update(self, variable: Tensor, value: Tensor) -> None:
        """Let each training step store `value` in a state variable, after everything has read its old value.

        Programs compiled with training=True of anything that depends on the variable, in either mode, do so.
        GraphError where `variable` is no state variable of the network or has an update, or `value` is of another
        network; ShapeError and DTypeError where the two differ.
        """
        check_update(self, variable, value)
        self.updates[variable.name] = value

    def updates_of(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """The registered updates of what the tensors depend on, and of what those updates depend on."""
        return reached_updates(self, tensors)

    def _leaf(self, kind: str, name: str, shape: Dim | Sequence[Dim], dtype: str) -> Tensor:
        if dtype not in DTYPES:
            raise DTypeError(f"{kind} '{name}': dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if kind == "parameter" and dtype not in FLOATS:
            raise DTypeError(f"parameter '{name}' is {dtype}; parameters are float32 or float64")
        dims = tuple(shape) if isinstance(shape, Iterable) and not isinstance(shape, str) else (shape,)
        extents = tuple(_extent(kind, name, d) for d in dims)
        return self._add(name, kind=kind, op="", shape=extents, dtype=dtype, attributes={})

    def _add(self, name: str, **data: Any) -> Tensor:
        if not isinstance(name, str) or not name:
            raise GraphError(f"a node's name is a nonempty str, not {name!r}")
        if name in self.made:
            raise GraphError(f"network {self.name!r} already has a node named {name!r}; names are unique")
        self.made.add_node(name, **data)
        return Tensor(self, name)

    def fresh_name(self, label: str) -> str:
        """`label`, or label_1, label_2, ... where it is taken."""
        number, name = 0, label
        while name in self.made:
            number += 1
            name = f"{label}_{number}"
        return name

    @contextmanager
    def composing(self, label: str, name: str | None = None) -> Iterator[str]:
        """Gives the name for the last node of a composition; an error inside leaves the network as it was."""
        before, asked, updates = self.made.number_of_nodes(), len(self.requests), dict(self.updates)
        try:
            yield self.fresh_name(label) if name is None else name
        except BaseException:  # Ctrl-C while a gradient is derived is one, too
            for added in self.requests.take_back(asked, before):
                self.made.remove_node(added)
                self.initializers.pop(added, None)
            self.updates = updates
            self.adjoints = {key: value for key, value in self.adjoints.items() if value.name in self.made}
            raise

    def add_recipe(
        self,
        recipe: Sequence[Step | LateStep],
        operands: Sequence[Tensor],
        label: str,
        name: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Tensor:
        """Add the nodes of a recipe; the last carries `name`, all carry the attributes of the op that they make up.

        Nothing is added when the name is taken.
        """
        final = self.fresh_name(label) if name is None else name
        if final in self.made:
            raise GraphError(f"network {self.name!r} already has a node named {final!r}; names are unique")
        made: list[Tensor] = []
        for number, step in enumerate(recipe, 1):
            last = number == len(recipe)
            node = final if last else self.fresh_name(f"{final}.{number}")
            tensor = self._add(
                node,
                kind="op",
                op=label,
                shape=step.type.shape,
                dtype=step.type.dtype,
                attributes=dict(attributes or {}),
                definition=step.definition,
            )
            for slot, source in enumerate(step.sources):
                operand = operands[source] if source >= 0 else made[-source - 1]
                self.made.add_edge(operand.name, node, slot=slot)
            made.append(tensor)
        return made[-1]

    def operands(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """The operands of an op node, in slot order."""
        before = self.made.pred[tensor.name]
        edges = sorted((data["slot"], source) for source, keyed in before.items() for data in keyed.values())
        return tuple(Tensor(self, source) for _, source in edges)

    def ancestors(
        self, tensors: Sequence[Tensor], operands: Callable[[Tensor], Sequence[Tensor]] | None = None
    ) -> list[Tensor]:
        """The tensors and all that they are made of, operands first, in an order fixed by the graph alone.

        `operands` says what a node is made of, where that is not all of its operands.
        """
        operands = operands or self.operands
        done: dict[str, Tensor] = {}
        stack = [(t, False) for t in reversed(tensors)]
        while stack:
            tensor, expanded = stack.pop()
            if tensor.name in done:
                continue
            if expanded:
                done[tensor.name] = tensor
            else:
                stack.append((tensor, True))
                stack += [(o, False) for o in reversed(operands(tensor)) if o.name not in done]
        return list(done.values())

    def _of_kind(self, *kinds: str) -> dict[str, Tensor]:
        nodes = self.made.nodes(data="kind")  # no request makes any but ops
        return {name: Tensor(self, name) for name, kind in nodes if kind in kinds}

    @property
    def inputs(self) -> dict[str, Tensor]:
        return self._of_kind("input")

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Trainable and other parameters, in the order of declaration."""
        return self._of_kind("parameter")

    @property
    def state_variables(self) -> dict[str, Tensor]:
        """Everything with a value of its own: parameters and other state, in the order of declaration."""
        return self._of_kind("parameter", "state")

    def initialize(self, seed: int = 0) -> None:
        """Draw the first value of every state variable; the same seed gives the same values."""
        self.state.initialize(seed)

    def summary(self) -> Summary:
        """A table of the layers, their output shapes and numbers of parameters; `print(net.summary())` shows it."""
        return summarize(self)

    @classmethod
    def from_networkx(cls, graph: Any) -> Network:
        """A Network from a plain networkx graph, as `plain.py` describes it. GraphError says what does not fit."""
        network = cls()
        read_networkx(graph, network)
        return network

    def to_json(self) -> str:
        """The whole network as JSON: definitions are stored as trees, never as code."""
        from graphnn.declare.serialize import to_json  # where formulas are

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Network:
        """A Network from `to_json` text. Nothing in it is evaluated; GraphError says what does not fit."""
        from graphnn.declare.serialize import read_json

        network = cls()
        read_json(text, network)
        return network


def _extent(kind: str, name: str, dim: Dim) -> Dim:
    if isinstance(dim, str) and kind == "input":
        return Size(check_size(dim))
    if isinstance(dim, bool) or not hasattr(dim, "__index__") or int(dim) < 0:
        allowed = "a nonnegative int or the name of a size" if kind == "input" else "a nonnegative int"
        raise ShapeError(f"{kind} '{name}': an extent is {allowed}, not {dim!r}")
    return int(dim)

"""A network as a table of its layers: output shapes and numbers of parameters.

Networks hold nodes, not layers; names tell which belong together. Whatever stands before the last dot of a parameter's
name is a layer: "conv1.W" and "conv1.b" make "conv1" one, and "conv1.z" is part of it. Nodes of no such layer go with
the node that they are named after ("loss.1" with "loss"), or are a row each. `print(net.summary())`:

    network digits
    layer   output   parameters                                                count
    --------------------------------------------------------------------------------
    x       (N, 64)
    hidden  (N, 30)  W (64, 30), b (30,)                                       1,950
    logits  (N, 10)  W (30, 10), b (10,)                                         310
    --------------------------------------------------------------------------------
    parameters 2,260: 2,260 trainable, 0 fixed; state 0
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphnn.declare.labels import printable

if TYPE_CHECKING:
    from graphnn.declare.network import Dim, Network, Tensor

Shape = tuple["Dim", ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One row: the output shape, the parameters by the last part of their names, and how many elements they hold."""

    name: str
    shape: Shape
    parameters: tuple[tuple[str, Shape], ...]
    trainable: int
    fixed: int
    state: int  # elements of state variables that are no parameters: running statistics, optimizer slots


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """The layers in the order of declaration. A parameter that several nodes read counts once, where it was made."""

    network: str
    layers: tuple[Layer, ...]

    @property
    def trainable(self) -> int:
        return sum(layer.trainable for layer in self.layers)

    @property
    def parameters(self) -> int:
        return self.trainable + sum(layer.fixed for layer in self.layers)

    @property
    def state(self) -> int:
        return sum(layer.state for layer in self.layers)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return _table(self)


def summarize(network: Network) -> Summary:
    """The layers of what was declared; gradients, and what is computed from them, are left out."""
    nodes = _declared(network)
    owners = {name.rpartition(".")[0] for name, node in nodes.items() if node.kind == "parameter"} - {""}
    layers: dict[str, list[Tensor]] = {}
    for name, node in nodes.items():
        layers.setdefault(_layer_of(name, owners, nodes), []).append(node)
    return Summary(network.name, tuple(_row(name, members) for name, members in layers.items()))


def _declared(network: Network) -> dict[str, Tensor]:
    """What was declared: what is pending among the requests need not be made for that."""
    derived: set[str] = set()
    for name, data in network.made.nodes(data=True):  # operands come before the nodes that read them
        made = data.get("derived") or network.requests.has_made(name)
        if made or any(source in derived for source in network.made.predecessors(name)):
            derived.add(name)
    return {name: network[name] for name, kind in network.made.nodes(data="kind") if name not in derived | {"mode"}}


def _layer_of(name: str, owners: set[str], nodes: dict[str, Tensor]) -> str:
    parts = name.split(".")
    prefixes = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    owned = [prefix for prefix in prefixes if prefix in owners]
    return owned[-1] if owned else next(prefix for prefix in prefixes if prefix in nodes)


def _row(name: str, members: list[Tensor]) -> Layer:
    last = next((m for m in members if m.name == name), members[-1])
    parameters = [m for m in members if m.kind == "parameter"]
    counts = {"trainable": 0, "fixed": 0, "state": 0}
    for member in members:
        if member.kind == "parameter":
            trained = member.network.made.nodes[member.name]["attributes"].get("trainable", True)
            counts["trainable" if trained else "fixed"] += _elements(member)
        elif member.kind == "state":
            counts["state"] += _elements(member)
    own = tuple((p.name.rpartition(".")[2], p.shape) for p in parameters)
    return Layer(name, last.shape, own, **counts)


def _elements(variable: Tensor) -> int:
    return math.prod(int(extent) for extent in variable.shape)


_WIDTH = 80  # columns of a terminal
_NAME, _SHAPE = 24, 24  # the widest that names and shapes get; a longer name keeps its end, a shape its start


def _table(summary: Summary) -> str:
    rows = [
        (_short(printable(layer.name), _NAME), _text(layer.shape)[:_SHAPE], _contents(layer), _count(layer))
        for layer in summary.layers
    ]
    heads = ("layer", "output", "parameters", "count")
    name, shape, _, count = (max(len(text) for text in column) for column in zip(heads, *rows, strict=True))
    room = max(_WIDTH - name - shape - count - 6, len(heads[2]))
    lines = []
    for first, second, contents, number in (heads, *rows):
        folded = textwrap.wrap(contents, room, break_on_hyphens=False) or [""]
        folded = [line.replace(_TIED, " ") for line in folded]
        lines.append(f"{first:<{name}}  {second:<{shape}}  {folded[0]:<{room}}  {number:>{count}}".rstrip())
        lines += [f"{'':<{name}}  {'':<{shape}}  {more}" for more in folded[1:]]
    rule = "-" * _WIDTH
    fixed = summary.parameters - summary.trainable
    total = f"parameters {summary.parameters:,}: {summary.trainable:,} trainable, {fixed:,} fixed"
    return "\n".join(
        [f"network {printable(summary.network)}", lines[0], rule, *lines[1:], rule, f"{total}; state {summary.state:,}"]
    )


_TIED = "\u00a0"  # a space at which no line is folded


def _contents(layer: Layer) -> str:
    parts = [f"{printable(label)}{_TIED}{_text(shape, f',{_TIED}')}" for label, shape in layer.parameters]
    return ", ".join(parts + ([f"state{_TIED}{layer.state:,}"] if layer.state else []))


def _count(layer: Layer) -> str:
    return f"{layer.trainable + layer.fixed:,}" if layer.parameters else ""


def _text(shape: Shape, between: str = ", ") -> str:
    return f"({between.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"...{name[3 - width :]}"

"""Pictures of a network: Graphviz text, and a layered drawing from left to right.

Layers are longest paths; a leaf stands right before what first reads it. An edge over several layers passes through
a free slot of each, so that it crosses no node. The order within layers is the usual barycentre heuristic
(Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphnn.declare.labels import printable
from graphnn.declare.network import Network, Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = {"input": "#cfe3f7", "parameter": "#d5efd0", "state": "#e6e1f4", "mode": "#f6d9e0", "op": "#fdf1d3"}
_SWEEPS = 8
_CHARACTER, _GAP, _ROW = 0.075, 0.55, 0.62  # inches: a letter of a label, between layers, between rows


def dot(network: Network) -> str:
    """The network as Graphviz text; names are quoted."""
    lines = ["digraph {", "  rankdir=LR;", '  node [shape=box, style="rounded,filled", fontname="sans-serif"];']
    numbers = {name: n for n, name in enumerate(network.graph)}
    for name, n in numbers.items():
        tensor = network[name]
        label = "\\n".join(_quoted(line) for line in _label(tensor))
        lines.append(f'  n{n} [label="{label}", fillcolor="{COLORS[tensor.kind]}"];')
    for name, n in numbers.items():
        lines += [f"  n{numbers[o.name]} -> n{n};" for o in network.operands(network[name])]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _label(tensor: Tensor) -> list[str]:
    """Name, then op and shape."""
    shape = ", ".join(map(str, tensor.shape))
    op = tensor.network.graph.nodes[tensor.name]["op"] or tensor.kind
    return [printable(tensor.name), printable(op), f"[{shape}]" if shape else "scalar"]


@dataclass(frozen=True, slots=True)
class Bend:
    """Where the edge from `source` to `target` passes through a layer that holds neither."""

    source: str
    target: str
    layer: int


Slot = str | Bend


def arrange(network: Network) -> list[list[Slot]]:
    """The slots of each layer from left to right, each from top to bottom: names of nodes, and bends of long edges."""
    edges = list(dict.fromkeys((s, t) for t in network.graph for s in (o.name for o in network.operands(network[t]))))
    layer = dict.fromkeys(network.graph, 0)
    readers: dict[str, list[str]] = {name: [] for name in network.graph}
    for tensor in network.ancestors([network[name] for name in network.graph]):
        for operand in network.operands(tensor):
            layer[tensor.name] = max(layer[tensor.name], layer[operand.name] + 1)
            readers[operand.name].append(tensor.name)
    for name in layer:
        if network[name].definition is None and readers[name]:
            layer[name] = min(layer[r] for r in readers[name]) - 1
    layers: list[list[Slot]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name, n in layer.items():
        layers[n].append(name)
    before: dict[Slot, list[Slot]] = {}
    after: dict[Slot, list[Slot]] = {}
    for source, target in edges:
        way: list[Slot] = [source, *(Bend(source, target, n) for n in range(layer[source] + 1, layer[target])), target]
        for n, slot in enumerate(way[1:-1], layer[source] + 1):
            layers[n].append(slot)
        for a, b in pairwise(way):
            after.setdefault(a, []).append(b)
            before.setdefault(b, []).append(a)
    for sweep in range(_SWEEPS):
        ahead = sweep % 2 == 0
        for slots in layers if ahead else reversed(layers):
            _reorder(slots, before if ahead else after, layers)
    return layers


def _reorder(slots: list[Slot], neighbours: dict[Slot, list[Slot]], layers: list[list[Slot]]) -> None:
    """Sort the slots of one layer by the mean place of their neighbours; those without any keep theirs."""
    place = {slot: n - (len(row) - 1) / 2 for row in layers for n, slot in enumerate(row)}

    def wanted(slot: Slot) -> float:
        around = [place[other] for other in neighbours.get(slot, ())]
        return sum(around) / len(around) if around else place[slot]

    slots.sort(key=wanted)


def draw(network: Network, path: str | Path | None = None) -> Figure:
    """The network as a matplotlib figure, saved to `path`: meant for graphs of up to some dozens of nodes."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path as Curve

    layers = arrange(network)
    labels = {t.name: _label(t) for t in (network[name] for name in network.graph)}
    wide = [max((_width(labels[s]) for s in row if isinstance(s, str)), default=0.3) for row in layers]
    left = [0.3 + sum(wide[:n]) + n * _GAP for n in range(len(layers))]
    width = (left[-1] + wide[-1] if layers else 1.0) + 0.3
    height = max(map(len, layers), default=1) * _ROW + 0.5
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    start: dict[Slot, tuple[float, float]] = {}  # where edges leave a slot and arrive at it
    end: dict[Slot, tuple[float, float]] = {}
    for n, row in enumerate(layers):
        for m, slot in enumerate(row):
            y = height / 2 + ((len(row) - 1) / 2 - m) * _ROW
            half = _width(labels[slot]) / 2 if isinstance(slot, str) else wide[n] / 2
            centre = left[n] + wide[n] / 2
            end[slot], start[slot] = (centre - half, y), (centre + half, y)
            if isinstance(slot, str):
                corner = (centre - half, y - 0.2)
                box = FancyBboxPatch(corner, 2 * half, 0.4, boxstyle="round,pad=0,rounding_size=0.08", linewidth=0.8)
                box.set(facecolor=COLORS[network[slot].kind], edgecolor="#555555", zorder=2)
                axes.add_patch(box)
                name, op, shape = labels[slot]
                text: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 3, "parse_math": False}
                axes.text(centre, y + 0.075, name, fontsize=8, fontweight="bold", **text)
                axes.text(centre, y - 0.09, f"{op} {shape}", fontsize=6.5, color="#444444", **text)
    for target in network.graph:
        for source in dict.fromkeys(o.name for o in network.operands(network[target])):
            bends = [
                s for row in layers for s in row if isinstance(s, Bend) and (s.source, s.target) == (source, target)
            ]
            points = [start[source], *(p for bend in bends for p in (end[bend], start[bend])), end[target]]
            vertices, codes = [points[0]], [Curve.MOVETO]
            for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
                if number % 2:  # across a layer
                    vertices, codes = [*vertices, (x1, y1)], [*codes, Curve.LINETO]
                else:
                    middle = (x0 + x1) / 2
                    vertices += [(middle, y0), (middle, y1), (x1, y1)]
                    codes += [Curve.CURVE4] * 3
            arrow = FancyArrowPatch(path=Curve(vertices, codes), arrowstyle="-|>", mutation_scale=7, linewidth=0.9)
            arrow.set(edgecolor="#666666", facecolor="none", zorder=1)
            axes.add_patch(arrow)
    if path is not None:
        figure.savefig(path, dpi=200)
    return figure


def _width(label: list[str]) -> float:
    """The width of a node's box in inches."""
    name, op, shape = label
    return 0.2 + _CHARACTER * max(1.0 * len(name), 0.75 * (len(op) + len(shape) + 1))

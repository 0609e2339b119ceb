"""Two classic nets, layer by layer: LeNet-5 and AlexNet

LeNet-5 as published in 1998 and AlexNet as published in 2012, each block a layer: as high as its maps, as wide as there
are many of them, with its number of trainable parameters below. What has changed is the scale, by a thousand, and few
of the ideas. Below: nearly all of AlexNet's parameters are in its dense layers, nearly all of its multiplications in
its convolutions.

$ python examples/classic_nets.py
"""

import math

from matplotlib.patches import Rectangle
from style import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, Example, panels, run

import graphnn as gn

KINDS = {"convolution": BLUE, "pooling": ORANGE, "normalisation": PURPLE, "dense": GREEN}
FIRST = {"c": "convolution", "s": "pooling", "p": "pooling", "n": "normalisation", "f": "dense", "o": "dense"}


def nets() -> dict[str, gn.Network]:
    """Nothing is allocated for them: a parameter gets its values when these are first read."""
    lenet, alexnet = gn.Network("LeNet-5, 1998"), gn.Network("AlexNet, 2012")
    gn.models.lenet5(lenet.input("x", ("N", 1, 32, 32)), form="1998")
    gn.models.alexnet(alexnet.input("x", ("N", 3, 224, 224)))
    return {net.name: net for net in (lenet, alexnet)}


def layers_of(net: gn.Network) -> list[tuple[str, str, tuple[int, ...], int]]:
    """(name, kind, extents without the rows, trainable parameters) of each layer with results of its own."""
    found = []
    for layer in net.summary().layers:
        _, dot, name = layer.name.rpartition(".")
        if dot and len(layer.shape) > 1 and name != "flat":
            found.append((name, FIRST[name[0]], layer.shape[1:], layer.trainable))
    return found


def multiplications(net: gn.Network, kind: str) -> int:
    """Of weights with what they read, in the layers of a kind, for one image."""
    count = 0
    for name, parameter in net.parameters.items():
        layer = name.rpartition(".")[0]
        if FIRST[layer.rpartition(".")[2][0]] == kind and parameter.ndim > 1:
            places = net[layer].shape[2:] if parameter.ndim > 2 else ()
            count += math.prod(parameter.shape) * math.prod(places)
    return count


def draw(axes, net: gn.Network, title: str) -> None:
    at, tallest = 0.0, 0.0
    for name, kind, shape, parameters in layers_of(net):
        maps = len(shape) == 3
        high = 0.35 + (math.sqrt(shape[1]) if maps else math.sqrt(shape[0]) / 8)
        wide = 0.25 + math.log2(shape[0]) / 6 if maps else 0.3
        axes.add_patch(Rectangle((at, -high / 2), wide, high, color=KINDS[kind], alpha=0.85, linewidth=0))
        size = "×".join(map(str, shape))
        count = f"{parameters:,}" if parameters else ""
        axes.text(at + wide / 2, high / 2 + 0.2, name, ha="center", fontsize=9)
        axes.text(at + wide / 2, -high / 2 - 0.3, f"{size}\n{count}", ha="center", va="top", fontsize=7.5, color=INK)
        at, tallest = at + wide + (1.15 if maps else 2.5), max(tallest, high)
    total = net.summary().trainable
    axes.set(
        title=f"{title}: {total:,} trainable parameters", xlim=(-0.6, at), ylim=(-tallest / 2 - 3, tallest / 2 + 1)
    )
    axes.axis("off")


def main(quick: bool = False) -> Example:
    figure, axes = panels(3, 1, (11, 6.2), height_ratios=(0.8, 1, 0.45))
    found, figures = nets(), {}
    for panel, (title, net) in zip(axes[:, 0], found.items(), strict=False):
        draw(panel, net, title)
        figures[f"parameters of {title}"] = float(net.summary().trainable)
    net, bars = found["AlexNet, 2012"], axes[2, 0]
    rows = {
        "parameters": {k: sum(p for _, kind, _, p in layers_of(net) if kind == k) for k in KINDS},
        "multiplications": {k: multiplications(net, k) for k in KINDS},
    }
    for place, (what, parts) in enumerate(rows.items()):
        left, whole = 0.0, sum(parts.values())
        for kind, part in parts.items():
            share = part / whole
            bars.barh(place, share, left=left, color=KINDS[kind], height=0.62, label=None if place else kind)
            if share > 0.02:
                bars.text(left + share / 2, place, f"{share:.0%}", ha="center", va="center", color="white")
            left += share
            figures[f"share of {what}, {kind}"] = share
    bars.set(yticks=(0, 1), xlim=(0, 1), xticks=(), title="AlexNet: where its parameters are, and where its work is")
    bars.set_yticklabels([f"{what}: {sum(parts.values()):,}" for what, parts in rows.items()])
    bars.invert_yaxis()
    bars.grid(visible=False)
    bars.tick_params(color=FAINT)
    figure.legend(*bars.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    names = {"alexnet.conv2.xW": "z", "alexnet.conv2.W": "W", "alexnet.pool1": "p", "alexnet.norm1": "n"}
    names |= {"alexnet.conv1": "a"}
    formulas = tuple(gn.latex(net[f"alexnet.{t}"], names, down_to=[net[f"alexnet.{s}"] for s in stops])
                     for t, stops in (("norm1", ["conv1"]), ("pool1", ["norm1"])))  # fmt: skip
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

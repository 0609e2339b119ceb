"""The four equations of backpropagation

δ is the derivative of the loss by a layer's weighted sums z. gn.gradients derives it for each layer, gn.latex prints it
in terms of the layer after: what comes out is BP1 to BP4, in index notation, for a batch of N rows. Nothing here is
written by hand, neither the transposed weights nor a(1 - a).

$ python examples/backpropagation.py
"""

import numpy as np
from style import BLUE, DIVERGING, FAINT, INK, RED, Example, panels, run

import graphnn as gn

SIZES = (4, 6, 5, 3)  # inputs, then the units of layers 1 to 3
LAYERS = range(1, len(SIZES))


def declare() -> tuple[gn.Network, gn.Tensor, list[gn.Tensor]]:
    """(the network, its loss C, the tensors of the forward pass)."""
    net = gn.Network("three layers")
    a = net.input("x", ("N", SIZES[0]), dtype="float64")
    y = net.input("y", ("N", SIZES[-1]), dtype="float64")
    for layer in LAYERS:
        a = gn.dense(a, SIZES[layer], gn.sigmoid, init=gn.Normal(1.5), name=f"a{layer}")
    loss = gn.quadratic(a, y, name="C")
    return net, loss, net.ancestors([loss])


def derive(net: gn.Network, loss: gn.Tensor, forward: list[gn.Tensor]) -> tuple[str, ...]:
    """BP1 to BP4 as LaTeX, each node in terms of the forward pass and of the errors of other layers."""
    errors = gn.gradients(loss, [net[f"a{layer}.z"] for layer in LAYERS])
    names = {"x": "a^0"} | {f"a{n}": f"a^{n}" for n in LAYERS}
    names |= {f"a{n}.W": f"W^{n}" for n in LAYERS} | {f"a{n}.b": f"b^{n}" for n in LAYERS}
    names |= {error.name: rf"\delta^{n}" for n, error in zip(LAYERS, errors, strict=True)}
    lines = []
    for layer in reversed(LAYERS):
        by_weights, by_biases = gn.gradients(loss, [net[f"a{layer}.W"], net[f"a{layer}.b"]])
        numbered = zip(
            ("BP1" if layer == LAYERS[-1] else "BP2", "BP3", "BP4"),
            (errors[layer - 1], by_weights, by_biases),
            strict=True,
        )
        lines += [rf"\text{{{n}:}}\quad {gn.latex(t, names, down_to=[*forward, *errors])}" for n, t in numbered]
    names |= {f"a{n}.z": f"z^{n}" for n in LAYERS}
    sums = gn.latex(net["a2.z"], names, down_to=[net["a1.z"]])
    return (*lines, rf"\text{{forward:}}\quad {sums}")


def by_hand(net: gn.Network, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The four equations in NumPy."""
    outputs = [x]
    for layer in LAYERS:
        z = outputs[-1] @ net.state[f"a{layer}.W"] + net.state[f"a{layer}.b"]
        outputs.append(1 / (1 + np.exp(-z)))
    found = {}
    back = (outputs[-1] - y) / len(x)
    for layer in reversed(LAYERS):
        delta = back * outputs[layer] * (1 - outputs[layer])
        found[f"a{layer}.z"], found[f"a{layer}.W"] = delta, outputs[layer - 1].T @ delta
        found[f"a{layer}.b"] = delta.sum(axis=0)
        back = delta @ net.state[f"a{layer}.W"].T
    return found


def draw_layers(axes, values: list[np.ndarray], weights: list[np.ndarray], colors, title: str) -> None:
    """Units in columns, coloured by their values; edges as thick as their weights."""
    heights = [np.linspace(1, -1, n + 2)[1:-1] * (n / 6) ** 0.5 for n in SIZES]
    for layer, matrix in enumerate(weights):
        for i, j in np.ndindex(*matrix.shape):
            ends = (heights[layer][i], heights[layer + 1][j])
            axes.plot((layer, layer + 1), ends, color=BLUE if matrix[i, j] > 0 else RED, alpha=0.35,
                      linewidth=0.9 * abs(matrix[i, j]), zorder=1)  # fmt: skip
    for layer, value in enumerate(values):
        if value is not None:
            axes.scatter(np.full(len(value), layer), heights[layer], s=420, c=value, edgecolor=INK, zorder=2, **colors)
        else:
            axes.scatter(np.full(SIZES[layer], layer), heights[layer], s=420, c="white", edgecolor=FAINT, zorder=2)
    axes.set(title=title, xlim=(-0.4, 3.4), ylim=(-0.95, 0.95))
    axes.axis("off")


def main(quick: bool = False) -> Example:
    net, loss, forward = declare()
    lines = derive(net, loss, forward)
    wanted = [f"a{layer}.{part}" for layer in LAYERS for part in ("z", "W", "b")]
    gradients = gn.gradients(loss, [net[name] for name in wanted])
    run_all = gn.compile({**{n: net[n] for n in ("a1", "a2", "a3")}, **dict(zip(wanted, gradients, strict=True))})
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(20, SIZES[0])), generator.uniform(size=(20, SIZES[-1]))
    found, expected = run_all(x=x, y=y), by_hand(net, x, y)
    difference = max(float(np.abs(found[name] - expected[name]).max()) for name in wanted)

    figure, axes = panels(2, 2, (11, 6.6), height_ratios=(1.25, 1))
    weights = [net.state[f"a{layer}.W"] for layer in LAYERS]
    one, goal = x[:1], y[:1]
    at = run_all(x=one, y=goal)
    draw_layers(
        axes[0, 0],
        [one[0], *(at[f"a{n}"][0] for n in LAYERS)],
        weights,
        {"cmap": DIVERGING, "vmin": -2, "vmax": 2},
        "forward: the outputs $a^l$ of one row",
    )
    largest = max(np.abs(at[f"a{n}.z"]).max() for n in LAYERS)
    colors = {"cmap": DIVERGING, "vmin": -largest, "vmax": largest}
    draw_layers(
        axes[0, 1], [None, *(at[f"a{n}.z"][0] for n in LAYERS)], weights, colors, r"backward: the errors $\delta^l$"
    )
    for panel, part in zip(axes[1], (lines[:3], lines[3:6]), strict=True):
        panel.axis("off")
        for number, line in enumerate(part):
            label, _, formula = line.partition(r":}\quad ")
            panel.text(0.0, 0.85 - 0.36 * number, label.removeprefix(r"\text{"), color=FAINT, fontsize=11, va="center")
            panel.text(0.1, 0.85 - 0.36 * number, f"${formula}$", fontsize=15, va="center")
        panel.set(xlim=(0, 1), ylim=(0, 1))
    return Example(figure, lines, {"largest difference from the equations in NumPy": difference})


if __name__ == "__main__":
    run(main)

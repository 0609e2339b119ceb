"""The 2-2-2 network, worked through with numbers

Two inputs, two hidden and two output units, all logistic. Forward pass, single factors of the chain rule, one update of
all weights and ten thousand of them: every figure is computed by compiled code. The biases stay as they are.

$ python examples/worked_2_2_2.py
$ graphnn derive examples/worked_2_2_2.py:total --wrt net_o
"""

import numpy as np
from style import BLUE, FAINT, GREEN, INK, RED, Example, panels, run

import graphnn as gn

# Column j of a matrix holds the weights into unit j. The biases are not trainable.
net = gn.Network("worked")
x = net.input("x", ("N", 2), dtype="float64")
target = net.input("target", ("N", 2), dtype="float64")
w_hidden = net.parameter("w_hidden", (2, 2), dtype="float64")
b1 = net.parameter("b1", (2,), init=0.35, role="bias", dtype="float64", trainable=False)
w_output = net.parameter("w_output", (2, 2), dtype="float64")
b2 = net.parameter("b2", (2,), init=0.60, role="bias", dtype="float64", trainable=False)

net_h = gn.add(gn.matmul(x, w_hidden, name="xw"), b1, name="net_h")
out_h = gn.sigmoid(net_h, name="out_h")
net_o = gn.add(gn.matmul(out_h, w_output, name="hw"), b2, name="net_o")
out_o = gn.sigmoid(net_o, name="out_o")
errors = gn.multiply(0.5, gn.square(target - out_o), name="errors")  # of each output unit
total = gn.quadratic(out_o, target, name="E")  # their sum, for one row of inputs

data = {"x": [[0.05, 0.10]], "target": [[0.01, 0.99]]}
HIDDEN = [[0.15, 0.25], [0.20, 0.30]]  # w1 w3 / w2 w4
OUTPUT = [[0.40, 0.50], [0.45, 0.55]]  # w5 w7 / w6 w8
net.state["w_hidden"], net.state["w_output"] = HIDDEN, OUTPUT

Figures = dict[str, float]


def run_forward() -> Figures:
    """Weighted sums, outputs and errors."""
    at = gn.compile({t.name: t for t in (net_h, out_h, net_o, out_o, errors, total)})(**data)
    found = {"E": float(at["E"])}
    for name, layer in (
        ("net_h", "net_h"),
        ("out_h", "out_h"),
        ("net_o", "net_o"),
        ("out_o", "out_o"),
        ("E_o", "errors"),
    ):
        found |= {f"{name}{unit}": float(value) for unit, value in enumerate(at[layer][0], 1)}
    return found


def run_backward() -> Figures:
    """Any node can be differentiated by any node before it: single factors of the chain rule, and their product."""
    by_out, by_output, by_hidden = gn.gradients(total, [out_o, w_output, w_hidden])
    (slope,) = gn.gradients(out_o, [net_o])  # each output depends on its own weighted sum only
    d_out, d_net, d_output, d_hidden = gn.compile([by_out, slope, by_output, by_hidden])(**data)
    found = {"dE/dout_o1": float(d_out[0, 0]), "dout_o1/dnet_o1": float(d_net[0, 0])}
    slopes = np.concatenate([d_hidden.T.ravel(), d_output.T.ravel()])
    return found | {f"dE/dw{n}": float(value) for n, value in enumerate(slopes, 1)}


def weights() -> Figures:
    """w1 to w8 as they are."""
    values = np.concatenate([net.state["w_hidden"].T.ravel(), net.state["w_output"].T.ravel()])
    return {f"w{n}": float(value) for n, value in enumerate(values, 1)}


def train(rounds: int) -> tuple[Figures, list[float]]:
    """Gradient descent at rate 0.5: the figures after the first and the last updates, and E before each."""
    net.state["w_hidden"], net.state["w_output"] = HIDDEN, OUTPUT
    trainer = gn.Trainer(total, optimizer=gn.SGD(0.5), batch_size=None)
    course = [trainer.step(**data)]
    found = {f"{name} after 1": value for name, value in weights().items()}
    course += [trainer.step(**data) for _ in range(rounds)]  # the error before update 2, 3, ...
    found |= {f"E after {n}": course[n] for n in (1, rounds - 1, rounds)}
    return found, course


def draw_network(axes, figures: Figures) -> None:
    """Units as circles with their outputs, edges with their weights and, below them, the gradients."""
    places = {"i1": (0, 1), "i2": (0, 0), "h1": (1, 1), "h2": (1, 0), "o1": (2, 1), "o2": (2, 0)}
    edges = [
        ("i1", "h1"),
        ("i2", "h1"),
        ("i1", "h2"),
        ("i2", "h2"),
        ("h1", "o1"),
        ("h2", "o1"),
        ("h1", "o2"),
        ("h2", "o2"),
    ]
    start = np.array([*np.array(HIDDEN).T.ravel(), *np.array(OUTPUT).T.ravel()])
    for number, (edge, weight) in enumerate(zip(edges, start, strict=True), 1):
        (x0, y0), (x1, y1) = (places[unit] for unit in edge)
        axes.plot((x0, x1), (y0, y1), color=FAINT, linewidth=0.5 + 5 * weight, alpha=0.45, zorder=1)
        share = 0.5 if y0 == y1 else 0.27
        at = (x0 + share * (x1 - x0), y0 + share * (y1 - y0))
        text = f"$w_{number}={weight:.2f}$\n{figures[f'dE/dw{number}']:+.5f}"
        axes.text(*at, text, fontsize=8.5, ha="center", va="center", color=INK, zorder=2, linespacing=1.3,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85})  # fmt: skip
    shown = {
        "i1": 0.05,
        "i2": 0.10,
        "h1": figures["out_h1"],
        "h2": figures["out_h2"],
        "o1": figures["out_o1"],
        "o2": figures["out_o2"],
    }
    for unit, place in places.items():
        axes.plot(*place, "o", markersize=44, color={"i": FAINT, "h": BLUE, "o": GREEN}[unit[0]], zorder=3)
        axes.text(
            *place, f"${unit[0]}_{unit[1]}$\n{shown[unit]:.3f}", ha="center", va="center", color="white", zorder=4
        )
    for unit, (wanted, error) in enumerate(((0.01, figures["E_o1"]), (0.99, figures["E_o2"])), 1):
        axes.text(2.24, 2 - unit, f"target {wanted}\nerror {error:.3f}", va="center", fontsize=9.5, color=RED)
    axes.set(xlim=(-0.25, 2.75), ylim=(-0.3, 1.3), title="outputs, weights, and the error by each weight")
    axes.axis("off")


def main(quick: bool = False) -> Example:
    net.state["w_hidden"], net.state["w_output"] = HIDDEN, OUTPUT
    figures = run_forward() | run_backward()
    trained, course = train(10_000)
    figures |= trained
    picture, ((left, right),) = panels(1, 2, (11, 4.3), width_ratios=(1.9, 1))
    draw_network(left, figures)
    right.loglog(range(1, len(course) + 1), course, color=RED)
    right.set(title="error E, rate 0.5", xlabel="updates", xlim=(1, 1.2e4))
    names = {"w_hidden": "w", "w_output": "v", "net_o": r"\mathrm{net}^o", "out_o": r"\mathrm{out}^o", "target": "t"}
    names |= {"out_h": r"\mathrm{out}^h", "net_h": r"\mathrm{net}^h"}
    delta, by_hidden = gn.gradients(total, [net_o, w_hidden])
    names[delta.name] = r"\delta^o"
    shown = (gn.latex(total, names, down_to=[out_o]), gn.latex(delta, names, down_to=[out_o]))
    formulas = (*shown, gn.latex(by_hidden, names, down_to=[out_h, delta]))
    return Example(picture, formulas, figures)


if __name__ == "__main__":
    run(main)

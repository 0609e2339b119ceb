"""Saturated neurons

A sigmoid unit with n inputs and weights drawn from N(0, 1) has a weighted sum of standard deviation √n: with 64 inputs
almost every output is close to 0 or 1, where the slope a(1 - a) is nearly 0 and nothing is learnt. Weights drawn from
N(0, 1/n) leave the unit where it is steep.

$ python examples/saturation.py
"""

import math

import numpy as np
from style import BLUE, INK, RED, Example, digits, panels, run

import graphnn as gn

INPUTS, UNITS = 64, 100
CASES = {"N(0, 1)": (1.0, RED, "--"), "N(0, 1/n)": (1 / math.sqrt(INPUTS), BLUE, "-")}


def declare() -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """(network, outputs of the second layer, their slopes); weights from N(0, 1)."""
    net = gn.Network("saturation")
    x = net.input("x", ("N", INPUTS))
    a = gn.dense(x, UNITS, gn.sigmoid, init=gn.Normal(1.0), name="a")
    b = gn.dense(a, UNITS, gn.sigmoid, init=gn.Normal(1.0), name="b")
    (slope,) = gn.gradients(b, [net["b.z"]])
    return net, b, slope


def main(quick: bool = False) -> Example:
    figure, ((outputs, slopes, sweep),) = panels(1, 3, (11, 3.7))
    learn, _ = digits()
    spread = 2 * (learn.x - learn.x.mean(axis=0))  # each input as often above as below 0
    net, b, slope = declare()
    run_both = gn.compile([b, slope])
    drawn = {name: net.state[name].copy() for name in ("a.W", "b.W")}

    def measure(deviation: float) -> list[np.ndarray]:
        """Outputs and slopes with weights of that standard deviation."""
        for name, weights in drawn.items():
            net.state[name] = np.float32(deviation) * weights
        return run_both(x=spread)

    figures = {}
    for name, (deviation, color, style) in CASES.items():
        output, steepness = measure(deviation)
        options = {"bins": 40, "color": color, "histtype": "step", "linewidth": 2, "linestyle": style, "density": True}
        outputs.hist(output.ravel(), range=(0, 1), label=f"weights from {name}", **options)
        slopes.hist(steepness.ravel(), range=(0, 0.25), **options)
        figures[f"share of slopes below 0.01, {name}"] = float(np.mean(steepness < 0.01))

    deviations = np.geomspace(0.01, 4, 15)
    means = [float(measure(deviation)[1].mean()) for deviation in deviations]
    sweep.plot(deviations, means, color=INK)
    for deviation, color, _ in CASES.values():
        sweep.plot(deviation, np.interp(deviation, deviations, means), "o", color=color, markersize=9)
    names = {"b": "a", "b.z": "z", slope.name: r"\frac{\partial a}{\partial z}"}
    formulas = (gn.latex(b, names), gn.latex(slope, names, down_to=[b]))
    outputs.set(title="outputs of layer 2", xlabel="a", yticks=[])
    outputs.legend(loc="upper center")
    slopes.set(title="their slopes a(1 - a)", xlabel="slope", yticks=[])
    sweep.set(title="mean slope of layer 2", xlabel="standard deviation of the weights", xscale="log", ylim=(0, 0.27))
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

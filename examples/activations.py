"""Activations and their derivatives

Each activation is one formula. Its derivative is found from that, in terms of the activation's own output where this
is possible: a sigmoid of output y has the slope y(1 - y), a tanh 1 - y². Both curves of a panel come from compiled
code. A step has no derivative that could teach anything, and asking for one is an error.

$ python examples/activations.py
"""

import numpy as np
import sympy
from style import BLUE, FAINT, RED, Example, panels, run

import graphnn as gn

SHOWN = (gn.identity, gn.step, gn.sigmoid, gn.tanh, gn.relu, gn.leaky_relu, gn.softplus, gn.generalised_logistic)
T = np.linspace(-5, 5, 1001)


def curves(op) -> tuple[np.ndarray, np.ndarray | None]:
    """The activation and its derived slope, from compiled code; no slope where there is none."""
    net = gn.Network(op.name)
    t = net.input("t", ("N",), dtype="float64")
    y = op(t, A=0.5, B=-2.0) if op is gn.generalised_logistic else op(t)
    try:
        (slope,) = gn.gradients(y, [t])
    except gn.DeriveError:
        return gn.compile(y)(t=T), None
    values, slopes = gn.compile([y, slope])(t=T)
    return values, slopes


def neuron() -> float:
    """One neuron, y = g(1 + 3 x1 - 2 x2) with a sigmoid g, at x = (-1, 2)."""
    net = gn.Network("neuron")
    x = net.input("x", (2,), dtype="float64")
    return float(gn.compile(gn.sigmoid(1.0 + 3.0 * x[0] - 2.0 * x[1]))(x=[-1.0, 2.0]))


def main(quick: bool = False) -> Example:
    figure, axes = panels(2, 4, (11, 5.2), sharex=True)
    figures = {"g(1 + 3 x1 - 2 x2) at (-1, 2)": neuron()}
    for op, panel in zip(SHOWN, axes.flat, strict=True):
        values, slopes = curves(op)
        panel.axhline(0, color=FAINT, linewidth=0.8)
        panel.plot(T, values, color=BLUE, label="activation")
        if slopes is None:
            panel.text(-4.7, 1.35, "no gradient", color=RED, fontsize=11)
        else:
            panel.plot(T, slopes, color=RED, linestyle="--", label="derivative")
            figures[f"greatest slope of {op.name}"] = float(slopes.max())
        panel.set(title=op.name.replace("_", " "), ylim=(-1.4, 1.9), xticks=(-4, -2, 0, 2, 4))
    axes[0, 0].legend(loc="lower right", handlelength=1.6)

    formulas = []
    for op in (gn.sigmoid, gn.tanh, gn.softplus, gn.relu):
        found = gn.derivation(op)
        definition = sympy.Eq(sympy.Symbol("y"), found.steps[0][1].rhs, evaluate=False)
        formulas.append(rf"\mathrm{{{op.name}}}:\quad {gn.latex(definition)} \qquad y' = {gn.latex(found.result)}")
    return Example(figure, tuple(formulas), figures)


if __name__ == "__main__":
    run(main)

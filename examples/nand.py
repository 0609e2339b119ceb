"""NAND by one perceptron

A perceptron gives 1 where w·x + b > 0, else 0. The weights (-2, -2) and the bias 3 make it a NAND gate. Rosenblatt's
rule (1957) finds such weights by itself: after each example, w moves by (target - output)·x. It is no gradient: the
slope of a step is 0 wherever it has one, and graphnn refuses to derive it. The rule is declared as a formula all the
same and runs as a native update.

$ python examples/nand.py
"""

import numpy as np
from style import BLUE, FAINT, INK, RED, SURFACE, Example, panels, run

import graphnn as gn

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([1, 1, 1, 0], np.float32)

net = gn.Network("NAND")
x = net.input("x", ("N", 2))
target = net.input("target", ("N",))
w = net.parameter("w", (2,))
b = net.parameter("b", (), role="bias")
z = gn.add(gn.matmul(x, w, name="wx"), b, name="z")
output = gn.step(z, name="output")

# Rosenblatt's rule, as the new values of w and b.
error = gn.subtract(target, output, name="error")
new_w = gn.add(w, gn.matmul(error, x), name="w.next")
new_b = gn.add(b, gn.sum(error), name="b.next")


def learn(rounds: int = 20) -> list[tuple[np.ndarray, float]]:
    """(w, b) after each update that changed them, from zero."""
    net.state["w"], net.state["b"] = np.zeros(2, np.float32), np.float32(0)
    step = gn.compile(output, updates={"w": new_w, "b": new_b})
    lines = []
    for n in range(4 * rounds):
        before = np.append(net.state["w"], net.state["b"])
        step(x=INPUTS[n % 4 : n % 4 + 1], target=TARGETS[n % 4 : n % 4 + 1])
        if not np.array_equal(before, np.append(net.state["w"], net.state["b"])):
            lines.append((net.state["w"].copy(), float(net.state["b"])))
    return lines


def draw(axes, weights: np.ndarray, bias: float, title: str) -> None:
    grid = np.linspace(-0.5, 1.5, 201)
    side = np.add.outer(grid * weights[1], grid * weights[0]) + bias > 0
    axes.contourf(grid, grid, side, levels=(-0.5, 0.5, 1.5), colors=(SURFACE(0.1), SURFACE(0.85)), alpha=0.8)
    for point, value in zip(INPUTS, TARGETS, strict=True):
        axes.plot(*point, "o", markersize=17, color=BLUE if value else RED, markeredgecolor="white")
        axes.text(*point, int(value), color="white", ha="center", va="center_baseline", fontweight="bold")
    axes.set(title=title, xticks=(0, 1), yticks=(0, 1), xlabel="$x_1$", aspect="equal")
    axes.grid(False)


def main(quick: bool = False) -> Example:
    figure, ((left, middle, right),) = panels(1, 3, (11, 3.9))
    predict = gn.compile(output)
    net.state["w"], net.state["b"] = [-2, -2], 3
    wrong_by_hand = float(np.abs(predict(x=INPUTS) - TARGETS).sum())
    draw(left, net.state["w"], float(net.state["b"]), r"by hand: $w = (-2, -2)$, $b = 3$")
    left.set_ylabel("$x_2$")

    lines = learn()
    wrong_learnt = float(np.abs(predict(x=INPUTS) - TARGETS).sum())
    weights, bias = lines[-1]
    draw(middle, weights, bias, f"learnt: $w = ({weights[0]:g}, {weights[1]:g})$, $b = {bias:g}$")

    names = (("$w_1$", 0, BLUE, "-"), ("$w_2$", 1, RED, "--"), ("$b$", 2, INK, "-"))
    path = np.array([[0, 0, 0], *(np.append(w, b) for w, b in lines)])
    for name, column, color, style in names:
        right.step(range(len(path)), path[:, column], where="post", color=color, linestyle=style, label=name)
    right.axhline(0, color=FAINT, linewidth=0.8)
    right.set(title="Rosenblatt's rule", xlabel="updates that changed something", ylim=(-2.3, 4.2))
    right.legend(ncols=3, loc="upper left")

    try:
        gn.gradients(gn.sum(output), [w])
        refused, notes = 0.0, ""
    except gn.DeriveError as error:
        refused, notes = 1.0, str(error)
    names_shown = {"w.next": "w'", "b.next": "b'", "target": "t", "output": "y"}
    formulas = (
        gn.latex(output, {"output": "y"}),
        gn.latex(z),
        gn.latex(new_w, names_shown, down_to=[output, z]),
        gn.latex(new_b, names_shown, down_to=[output, z]),
    )
    figures = {
        "wrong by hand": wrong_by_hand,
        "wrong when learnt": wrong_learnt,
        "updates": float(len(lines)),
        "derivation refused": refused,
    }
    return Example(figure, formulas, figures, notes)


if __name__ == "__main__":
    run(main)

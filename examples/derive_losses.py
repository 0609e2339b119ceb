"""Losses and their gradients

For each loss the gradient by what enters it is derived step by step: the adjoint of every op, then each rewrite that
fired. Softmax with cross-entropy collapses to "softmax minus one-hot", and a sigmoid with binary cross-entropy to
a - y. The curves are compiled: losses of one prediction whose target is 1, and their gradients.

$ python examples/derive_losses.py
"""

import numpy as np
from style import BLUE, GREEN, ORANGE, PURPLE, RED, Example, panels, run

import graphnn as gn

SHOWN = {
    "quadratic, of a sigmoid": (lambda z, y: gn.quadratic(gn.sigmoid(z, name="a"), y, name="C"), BLUE, "-"),
    "cross-entropy, of a sigmoid": (
        lambda z, y: gn.binary_cross_entropy(gn.sigmoid(z, name="a"), y, name="C"), RED, "--"
    ),
    "squared error": (lambda z, y: gn.mean_squared_error(z, y, name="C"), GREEN, "-."),
    "L1": (lambda z, y: gn.l1(z, y, name="C"), ORANGE, ":"),
    "hinge": (lambda z, y: gn.hinge(z, y, name="C"), PURPLE, (0, (6, 2))),
}  # fmt: skip
Z = np.linspace(-4, 4, 401)


def declare(loss_of) -> tuple[gn.Tensor, gn.Tensor]:
    """(the input z, its loss C) for N examples."""
    net = gn.Network("loss")
    z, y = (net.input(name, ("N",), dtype="float64") for name in "zy")
    return z, loss_of(z, y)


def softmax_classifier() -> gn.Derivation:
    """The derivation for a softmax of ten classes under cross-entropy, with integer labels."""
    net = gn.Network("classifier")
    z = net.input("z", ("N", 10))
    label = net.input("label", ("N",), dtype="int64")
    return gn.derivation(gn.cross_entropy(gn.softmax(z, name="p"), label, name="C"), z)


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4.2))
    formulas, figures, notes = [], {}, []
    for name, (loss_of, color, style) in SHOWN.items():
        z, loss = declare(loss_of)
        found = gn.derivation(loss, z)
        notes.append(str(found))
        formulas.append(rf"\text{{{name}}}:\quad \frac{{\partial C}}{{\partial z_i}} = {gn.latex(found.result)}")
        (slope,) = gn.gradients(loss, [z])
        value, by_z = gn.compile([loss, slope]), gn.compile(slope)(z=Z, y=np.ones_like(Z)) * len(Z)
        losses = [float(value(z=Z[n : n + 1], y=np.ones(1))[0]) for n in range(len(Z))]
        left.plot(Z, losses, color=color, linestyle=style, label=name)
        right.plot(Z, by_z, color=color, linestyle=style, label=name)
        figures[f"gradient at z = -4, {name}"] = float(by_z[0])
    collapsed = softmax_classifier()
    notes.append(str(collapsed))
    softmax = r"\text{cross-entropy of a softmax}:\quad \frac{\partial C}{\partial z_{ij}} = "
    formulas.append(softmax + gn.latex(collapsed.result))
    for name, loss_of in (("sum of squares", gn.sum_of_squares), ("cross-entropy, of distributions", gn.cross_entropy)):
        net = gn.Network("loss")
        p, y = (net.input(given, ("N", 10)) for given in "py")
        shown = gn.latex(gn.derivation(loss_of(p, y, name="C"), p).result)
        formulas.append(rf"\text{{{name}}}:\quad \frac{{\partial C}}{{\partial p_{{ij}}}} = {shown}")
    left.set(title="losses of one prediction, target 1", xlabel="z", ylim=(-0.1, 6))
    right.set(title=r"their gradients $\partial C/\partial z$", xlabel="z", ylim=(-4.2, 4.2))
    right.legend(loc="lower right", fontsize=9)
    return Example(figure, tuple(formulas), figures, "\n\n".join(notes))


if __name__ == "__main__":
    run(main)

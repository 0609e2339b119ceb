"""Quadratic against cross-entropy: the learning slowdown

One sigmoid neuron with the input 1 is to give 0, and starts at 0.98: badly wrong. Under the quadratic loss its gradient
carries the factor s'(z), which is tiny where the neuron is saturated, so it hardly learns at first. Under cross-entropy
the factor cancels. Nobody told graphnn: both gradients are derived from the losses and simplified.

$ python examples/slowdown.py
"""

import numpy as np
from style import BLUE, RED, Example, panels, run

import graphnn as gn

RATE, EPOCHS, START = 0.15, 300, 2.0
LOSSES = {"quadratic": (gn.quadratic, BLUE, "-"), "cross-entropy": (gn.binary_cross_entropy, RED, "--")}


def declare(loss_of) -> tuple[gn.Network, gn.Tensor, gn.Tensor, gn.Tensor]:
    """a = s(w x + b), and its loss C."""
    net = gn.Network("neuron")
    x, y = (net.input(name, ("N",), dtype="float64") for name in "xy")
    w, b = (net.parameter(name, (), init=START, dtype="float64") for name in "wb")
    z = gn.add(gn.multiply(w, x), b, name="z")
    a = gn.sigmoid(z, name="a")
    return net, z, a, loss_of(a, y, name="C")


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (10, 3.9))
    data = {"x": np.ones(1), "y": np.zeros(1)}
    sums = np.linspace(-6, 6, 301)
    formulas, figures = [], {}
    for name, (loss_of, color, style) in LOSSES.items():
        net, z, a, loss = declare(loss_of)
        derived = gn.derivation(loss, z)
        formulas.append(rf"\text{{{name}}}:\quad \frac{{\partial C}}{{\partial z_i}} = {gn.latex(derived.result)}")

        trainer = gn.Trainer(loss, gn.SGD(RATE), batch_size=None)
        output = gn.compile(a)
        outputs = [float(output(x=data["x"])[0])]
        for _ in range(EPOCHS):
            trainer.step(**data)
            outputs.append(float(output(x=data["x"])[0]))
        left.plot(outputs, color=color, linestyle=style, label=name)
        figures[f"first output, {name}"] = outputs[0]
        figures[f"epochs to 0.5, {name}"] = float(np.argmax(np.array(outputs) < 0.5))

        net.state["w"], net.state["b"] = 1.0, 0.0  # now z is x
        (slope,) = gn.gradients(loss, [z])
        slopes = gn.compile(slope)(x=sums, y=np.zeros_like(sums)) * len(sums)
        right.plot(sums, slopes, color=color, linestyle=style, label=name)
        figures[f"gradient at z = 4, {name}"] = float(np.interp(4, sums, slopes))
    left.set(xlabel="epoch", title="output of the neuron; the target is 0", ylim=(0, 1.05))
    right.set(xlabel="z", title=r"the gradient $\partial C/\partial z$, target 0", ylim=(-0.03, 1.05))
    left.legend()
    return Example(figure, tuple(formulas), figures)


if __name__ == "__main__":
    run(main)

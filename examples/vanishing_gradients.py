"""Vanishing gradients

On its way back through a layer, the error is multiplied by the slope of the activation. A sigmoid's is at most 1/4, so
in a net of twelve layers the first ones hear almost nothing of the error. A ReLU's is 1 where the unit is active. Each
error δ = ∂C/∂z is derived, and compiled to native code with all the others.

$ python examples/vanishing_gradients.py
"""

import numpy as np
from style import BLUE, FAINT, RED, Example, digits, panels, run

import graphnn as gn

DEPTH, UNITS = 12, 48
CASES = {
    "sigmoid": (gn.sigmoid, gn.Glorot(), RED, "o"),
    "ReLU": (gn.relu, gn.He(), BLUE, "s"),
}


def declare(activation, init) -> tuple[gn.Network, list[gn.Tensor], gn.Tensor]:
    """A net of DEPTH hidden layers; (network, weighted sums z by layer, loss)."""
    net = gn.Network("deep")
    a = net.input("x", ("N", 64))
    y = net.input("y", ("N",), dtype="int64")
    sums = []
    for layer in range(1, DEPTH + 1):
        a = gn.dense(a, UNITS, activation, init=init, name=f"a{layer}")
        sums.append(net[f"a{layer}.z"])
    logits = gn.dense(a, 10, name="logits")
    return net, sums, gn.softmax_cross_entropy(logits, y, name="C")


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4))
    learn, _ = digits()
    layers = np.arange(1, DEPTH + 1)
    figures, formulas = {}, ()
    for name, (activation, init, color, mark) in CASES.items():
        net, sums, loss = declare(activation, init)
        before = net.ancestors([loss])
        errors = gn.gradients(loss, sums)
        values = gn.compile(errors)(**learn[:256].data)
        size = np.array([np.sqrt(np.mean(np.square(v))) for v in values])
        left.plot(layers, size / size[-1], marker=mark, color=color, label=name)
        figures[f"error of layer 1 / layer 12, {name}"] = float(size[0] / size[-1])
        if not formulas:
            names = {f"a{n}": f"a^{{{n}}}" for n in layers} | {f"a{n}.W": f"W^{{{n}}}" for n in layers}
            names |= {f"dC/da{n}.z": rf"\delta^{{{n}}}" for n in layers}
            formulas = (gn.latex(errors[0], names, down_to=[*before, *errors]),)

        trainer = gn.Trainer(loss, gn.SGD(0.01), batch_size=32)
        history = trainer.fit(learn.data, epochs=6 if quick else 30, progress=False)
        right.plot(range(1, history.epochs + 1), history.loss, color=color, label=name)
        figures[f"loss, {name}"] = history.loss[-1]
    left.plot(layers, 0.25 ** (DEPTH - layers), ":", color=FAINT, label=r"$(1/4)^{12-l}$")
    left.set(title=r"size of the error $\delta^l$ before training", xlabel="layer $l$", yscale="log")
    left.set(xticks=layers, ylim=(1e-9, 10))
    left.legend(loc="lower right")
    right.axhline(np.log(10), color=FAINT, linestyle=":", label="guessing")
    right.set(title="training loss", xlabel="epoch", ylim=(0, 2.6))
    right.legend(loc="upper right", bbox_to_anchor=(1, 0.85))
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

"""Learning rates: too small, right, too large

Three times the same network, the same digits and the same first weights; only the learning rate of gradient descent
differs. With a small one the loss goes down, but slowly; with a large one each step overshoots. On the right the same
on a parabola: each step of size rate × slope, drawn where it lands.

$ python examples/learning_rate.py
"""

import numpy as np
from style import BLUE, FAINT, GREEN, RED, Example, digits, panels, run

import graphnn as gn

RATES = {"too small": (0.01, BLUE, ":"), "right": (0.5, GREEN, "-"), "too large": (12.0, RED, "--")}
PARABOLA = {"too small": 0.06, "right": 0.7, "too large": 2.05}


def train(rate: float, epochs: int) -> tuple[list[float], float]:
    """The loss after each epoch, and the share of test digits that are read right."""
    learn, test = digits()
    net = gn.Network("digits")
    x = net.input("x", ("N", 64))
    y = net.input("y", ("N",), dtype="int64")
    logits = gn.models.mlp(x, [32], 10, activation=gn.sigmoid)
    loss = gn.softmax_cross_entropy(logits, y, name="loss")
    trainer = gn.Trainer(loss, gn.SGD(rate), batch_size=32)
    history = trainer.fit(learn.data, epochs=epochs, progress=False)
    return history.loss, float(np.mean(gn.compile(logits)(x=test.x).argmax(axis=1) == test.y))


def roll(rate: float, steps: int = 12) -> np.ndarray:
    """Gradient descent on w²/2 from w = -2: where it was."""
    net = gn.Network("parabola")
    w = net.parameter("w", (), init=-2.0, dtype="float64")
    trainer = gn.Trainer(gn.multiply(0.5, gn.square(w), name="loss"), gn.SGD(rate), batch_size=None)
    path = [float(net.state["w"])]
    for _ in range(steps):
        trainer.step()
        path.append(float(net.state["w"]))
    return np.array(path)


def main(quick: bool = False) -> Example:
    figure, axes = panels(1, 4, (12, 3.8), width_ratios=(2.4, 1, 1, 1))
    left, *small = axes[0]
    figures = {}
    for name, (rate, color, style) in RATES.items():
        losses, right = train(rate, 8 if quick else 40)
        left.plot(range(1, len(losses) + 1), losses, color=color, linestyle=style, label=f"{name}: rate {rate:g}")
        figures[f"accuracy, {name}"] = right
    left.set(xlabel="epoch", title="loss on the training digits", ylim=(0, 5))
    left.legend()
    curve = np.linspace(-3, 3, 101)
    for panel, (name, rate) in zip(small, PARABOLA.items(), strict=True):
        path = roll(rate)
        panel.plot(curve, curve**2 / 2, color=FAINT, linewidth=1)
        panel.plot(path, path**2 / 2, "o-", color=RATES[name][1], markersize=5, linewidth=1)
        panel.set(title=f"{name}: {rate:g}", xlabel="w", yticks=[], ylim=(-0.2, 4.6))
        figures[f"|w| after 12 steps, {name}"] = float(abs(path[-1]))
    return Example(figure, (gn.latex(gn.SGD(0.5)),), figures)


if __name__ == "__main__":
    run(main)

"""Batch, mini-batch and stochastic gradient descent

The gradient of a batch is the mean over its rows. All rows together give the exact direction, one row a rough one that
costs a hundredth. On the left a straight line is fitted to 100 points, and the way of its two parameters is drawn over
the loss; on the right the digits, by epochs: as many rows are read for each curve.

$ python examples/mini_batches.py
"""

import numpy as np
from style import BLUE, GREEN, INK, RED, Example, digits, panels, run

import graphnn as gn

SIZES = {"all rows": (None, BLUE, 2.0), "16 rows": (16, GREEN, 1.4), "1 row": (1, RED, 0.7)}


def line() -> tuple[gn.Network, gn.Tensor, dict[str, np.ndarray]]:
    """Points around y = 2 x + 1, and a line to be fitted to them."""
    generator = np.random.default_rng(3)
    x = generator.uniform(-1, 1, 100)
    y = 2 * x + 1 + generator.normal(0, 0.6, 100)
    net = gn.Network("line")
    given, wanted = (net.input(name, ("N",), dtype="float64") for name in "xy")
    w = net.parameter("w", (), init=-1.0, dtype="float64")
    b = net.parameter("b", (), init=-0.6, dtype="float64")
    loss = gn.mean_squared_error(gn.add(gn.multiply(w, given), b, name="a"), wanted, name="C")
    return net, loss, {"x": x, "y": y}


def path_of(size: int | None, epochs: int) -> np.ndarray:
    """(w, b) after each step."""
    net, loss, data = line()
    trainer = gn.Trainer(loss, gn.SGD(0.08), batch_size=size)
    generator = np.random.default_rng(0)
    path = [(-1.0, -0.6)]
    for _ in range(epochs):
        order = generator.permutation(100)
        for start in range(0, 100, size or 100):
            rows = order[start : start + (size or 100)]
            trainer.step(x=data["x"][rows], y=data["y"][rows])
            path.append((float(net.state["w"]), float(net.state["b"])))
    return np.array(path)


def learn_digits(size: int | None, epochs: int) -> list[float]:
    """The loss on the digits after each epoch."""
    learn, _ = digits()
    net = gn.Network("digits")
    x = net.input("x", ("N", 64))
    y = net.input("y", ("N",), dtype="int64")
    loss = gn.softmax_cross_entropy(gn.models.mlp(x, [32], 10, activation=gn.tanh), y, name="C")
    trainer = gn.Trainer(loss, gn.SGD(0.1), batch_size=size)
    measure = gn.compile(loss)
    losses = [float(measure(**learn.data))]
    trainer.fit(learn.data, epochs, progress=False, callbacks=[lambda *_: losses.append(float(measure(**learn.data)))])
    return losses


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4.2))
    net, loss, data = line()
    value = gn.compile(loss)
    w, b = np.linspace(-1.4, 3.2, 61), np.linspace(-1.2, 2.0, 51)
    heights = np.empty((len(b), len(w)))
    for row, column in np.ndindex(*heights.shape):
        net.state["w"], net.state["b"] = w[column], b[row]
        heights[row, column] = value(**data)
    left.contour(w, b, heights, levels=np.geomspace(heights.min() * 1.02, 8, 14), colors="#c9c9c9", linewidths=0.9)
    best = np.polyfit(data["x"], data["y"], 1)
    figures = {}
    for name, (size, color, width) in SIZES.items():
        path = path_of(size, 60 if size is None else 20 if size > 1 else 4)
        left.plot(*path.T, ".-", color=color, linewidth=width, markersize=4, label=f"{name}, {len(path) - 1} steps")
        figures[f"distance from the best line, {name}"] = float(np.hypot(*(path[-1] - best)))
        losses = learn_digits(size, 4 if quick else 20)
        right.plot(losses, color=color, label=name)
        figures[f"loss on the digits, {name}"] = losses[-1]
    left.plot(*best, "*", color="white", markeredgecolor=INK, markersize=15, zorder=5)
    left.set(title="two parameters, on their way to the best line", xlabel="w", ylabel="b")
    left.legend(loc="lower right")
    left.grid(False)
    right.set(title="loss on the digits", xlabel="epoch", yscale="log")
    right.legend(loc="lower left")
    (gradient,) = gn.gradients(loss, [net["w"]])
    formulas = (gn.latex(gradient, down_to=[net["a"]]), gn.latex(gn.SGD(0.08)))
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

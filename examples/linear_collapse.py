"""Why linear layers collapse

Three linear layers in a row are one linear layer: W(U(Vx)) = (WUV)x. However deep, such a net draws one straight line,
and no straight line separates a ring of points from the ring around it. The same three layers with a tanh after each
of the first two do it.

$ python examples/linear_collapse.py
"""

import numpy as np
from style import BLUE, INK, RED, SURFACE, Example, panels, run

import graphnn as gn


def rings(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points in a disc (label 0) and in a ring around it (label 1)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    radius = generator.normal(np.where(labels, 2.0, 0.7), 0.22)
    angle = generator.uniform(0, 2 * np.pi, rows)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points.astype(np.float32), labels[:, None].astype(np.float32)


def declare(activation) -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """Layers of 8, 8 and 1 units, without biases in the linear net, so that it is three matrices and nothing else."""
    net = gn.Network("rings")
    x = net.input("x", ("N", 2))
    y = net.input("y", ("N", 1))
    bias = activation is not None
    first = gn.dense(x, 8, activation, bias=bias, name="a1")
    second = gn.dense(first, 8, activation, bias=bias, name="a2")
    logit = gn.dense(second, 1, bias=bias, name="logit")
    return net, logit, gn.sigmoid_cross_entropy(logit, y, name="loss")


def collapse() -> tuple[float, tuple[str, ...]]:
    """How far W(U(Vx)) and (WUV)x are apart, and both as formulas."""
    net = gn.Network("collapse")
    x = net.input("x", ("N", 2), dtype="float64")
    shapes = {"V": (2, 8), "U": (8, 8), "W": (8, 1)}
    V, U, W = (net.parameter(n, s, init=gn.Normal(1.0), dtype="float64") for n, s in shapes.items())
    deep = gn.matmul(gn.matmul(gn.matmul(x, V), U), W, name="deep")
    matrix = gn.matmul(gn.matmul(V, U), W, name="M")
    flat = gn.matmul(x, matrix, name="flat")
    a, b = gn.compile([deep, flat])(x=rings(500)[0].astype(np.float64))
    formulas = (gn.latex(deep, down_to=[]), gn.latex(flat, down_to=[matrix]), gn.latex(matrix, down_to=[]))
    return float(np.abs(a - b).max()), formulas


def main(quick: bool = False) -> Example:
    points, labels = rings(400)
    figure, (row,) = panels(1, 3, (11, 4.4), sharey=True)
    grid = np.linspace(-3, 3, 161, dtype=np.float32)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    figures = {}
    cases = {"three linear layers": None, "the same with ReLU": gn.relu, "the same with tanh": gn.tanh}
    for axes, (title, activation) in zip(row, cases.items(), strict=True):
        net, logit, loss = declare(activation)
        net.initialize(seed=1)
        trainer = gn.Trainer(loss, gn.Adam(0.02), batch_size=50)
        trainer.fit({"x": points, "y": labels}, epochs=15 if quick else 80, progress=False)
        predict = gn.compile(logit)
        accuracy = float(np.mean((predict(x=points) > 0) == labels))
        figures[f"accuracy of {title}"] = accuracy
        surface = predict(x=plane).reshape(len(grid), -1)
        axes.contourf(grid, grid, 1 / (1 + np.exp(-surface)), levels=np.linspace(0, 1, 21), cmap=SURFACE)
        axes.contour(grid, grid, surface, levels=[0], colors=INK, linewidths=1.5)
        for value, color in ((0, RED), (1, BLUE)):
            of = labels[:, 0] == value
            axes.scatter(*points[of].T, s=14, color=color, edgecolor="white", linewidth=0.4)
        axes.set(title=f"{title}: {accuracy:.0%} right", aspect="equal", xlabel="$x_1$")
        axes.grid(False)
    row[0].set_ylabel("$x_2$")
    difference, formulas = collapse()
    return Example(figure, formulas, {**figures, "|W(U(Vx)) - (WUV)x|": difference})


if __name__ == "__main__":
    run(main)

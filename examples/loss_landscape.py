"""Loss landscapes

The loss around a trained net, along two random directions. Each direction is filter-normalised (Li et al. 2018): the
weights into a unit are as long in it as they are in the net, so that surfaces of different nets can be compared. Both
nets have fourteen ReLU layers and learnt the same digits; in the second each layer adds to what the one before gave.

$ python examples/loss_landscape.py
"""

import numpy as np
from matplotlib.figure import Figure
from style import Example, digits, run

import graphnn as gn

DEPTH, UNITS = 14, 24


def declare(skip: bool, depth: int) -> tuple[gn.Network, gn.Tensor]:
    net = gn.Network("skip" if skip else "plain")
    y = net.input("y", ("N",), dtype="int64")
    a = gn.dense(net.input("x", ("N", 64)), UNITS, gn.relu, init=gn.He(), name="a0")
    for layer in range(1, depth):
        b = gn.dense(a, UNITS, gn.relu, init=gn.He(), name=f"a{layer}")
        a = gn.add(a, gn.multiply(0.25, b), name=f"r{layer}") if skip else b
    return net, gn.softmax_cross_entropy(gn.dense(a, 10, name="logits"), y, name="C")


def direction(net: gn.Network, seed: int) -> dict[str, np.ndarray]:
    """A random direction, in which the weights into a unit are as long as those of the net; none along biases."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, tensor in net.parameters.items():
        if tensor.ndim == 2:
            value = net.state[name]
            drawn = generator.normal(size=value.shape)
            found[name] = drawn * np.linalg.norm(value, axis=0) / np.linalg.norm(drawn, axis=0)
    return found


def surface(net: gn.Network, loss: gn.Tensor, data: dict, reach: np.ndarray) -> np.ndarray:
    """The loss at each pair of distances along two directions."""
    measure = gn.compile(loss)
    first, second = direction(net, 1), direction(net, 2)
    centre = {name: net.state[name].copy() for name in first}
    heights = np.empty((len(reach), len(reach)))
    for i, j in np.ndindex(*heights.shape):
        for name, value in centre.items():
            net.state[name] = (value + reach[i] * first[name] + reach[j] * second[name]).astype(np.float32)
        heights[i, j] = measure(**data)
    return heights


def main(quick: bool = False) -> Example:
    learn, _ = digits()
    reach = np.linspace(-1, 1, 9 if quick else 25)
    figure = Figure(figsize=(11, 4.8))
    figures = {}
    for place, (title, skip) in enumerate((("fourteen layers", False), ("the same with skip connections", True)), 1):
        net, loss = declare(skip, 6 if quick else DEPTH)
        trainer = gn.Trainer(loss, gn.Adam(0.002), batch_size=32)
        trainer.fit(learn.data, epochs=4 if quick else 25, progress=False)
        heights = surface(net, loss, learn[:300].data, reach)
        axes = figure.add_subplot(1, 2, place, projection="3d")
        shown = np.log10(np.minimum(heights, 1e4) + 1e-3)
        axes.plot_surface(*np.meshgrid(reach, reach), shown, cmap="viridis",
            vmin=-3,
            vmax=3.5, linewidth=0.15, edgecolor="#00000033",
                          rcount=60, ccount=60)  # fmt: skip
        axes.set(title=title, zlim=(-3, 4), xticks=(-1, 0, 1), yticks=(-1, 0, 1), zticks=(-2, 0, 2))
        axes.set_zticklabels(["0.01", "1", "100"])
        axes.view_init(elev=32, azim=-58)
        middle = len(reach) // 2
        figures[f"loss of the trained net, {title}"] = float(heights[middle, middle])
        figures[f"median loss around, {title}"] = float(np.median(heights))
    return Example(figure, (gn.latex(loss, down_to=[net["logits"]]),), figures)


if __name__ == "__main__":
    run(main)

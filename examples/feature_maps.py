"""Feature maps

A convolutional net for digits, layer by layer: the image, the eight filters of the first layer, what each of them
answers to the image, and the maps of the second layer, which are coarser and answer to more of the image. Blue filter
weights are positive, orange ones negative. The filters are what 20 epochs of training made of random numbers.

$ python examples/feature_maps.py
"""

import numpy as np
from matplotlib.figure import Figure
from style import DIVERGING, Example, picture, run

import graphnn as gn

SIDE, FIRST, SECOND = 16, 8, 16


def declare() -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """(network, logits, loss) for images (N, 1, 16, 16): two convolutions with pooling, then one dense layer."""
    net = gn.Network("digits")
    x = net.input("x", ("N", 1, SIDE, SIDE))
    y = net.input("y", ("N",), dtype="int64")
    first = gn.conv2d(x, FIRST, 5, padding=2, activation=gn.relu, init=gn.He(), name="first")
    pooled = gn.max_pool(first, 2, name="pooled")
    second = gn.conv2d(pooled, SECOND, 3, padding=1, activation=gn.relu, init=gn.He(), name="second")
    flat = gn.reshape(gn.max_pool(second, 2, name="last"), ("N", SECOND * SIDE * SIDE // 16), name="flat")
    logits = gn.dense(flat, 10, name="logits")
    return net, logits, gn.softmax_cross_entropy(logits, y, name="C")


def train(quick: bool) -> tuple[gn.Network, dict[str, np.ndarray], float]:
    """(the trained network, test digits, the share of them that it reads right)."""
    data = gn.data.digits(size=SIDE, margin=1)
    order = np.random.default_rng(0).permutation(len(data["y"]))
    old, new = ({name: a[rows] for name, a in data.items()} for rows in (order[:1350], order[1350:]))
    net, logits, loss = declare()
    trainer = gn.Trainer(loss, gn.Adam(0.003), batch_size=32)
    trainer.fit(old, 2 if quick else 20, progress=False)
    return net, new, float(np.mean(gn.compile(logits)(x=new["x"]).argmax(axis=1) == new["y"]))


def main(quick: bool = False) -> Example:
    net, new, accuracy = train(quick)
    image = new["x"][new["y"] == 3][:1]
    first, second = gn.compile([net["first"], net["second"]])(x=image)
    filters = net.state["first.W"][:, 0]

    figure = Figure(figsize=(11, 5.2))
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.02, wspace=0.02, hspace=0.02)
    grid = figure.add_gridspec(4, 9, width_ratios=[2] + [1] * 8)
    picture(figure.add_subplot(grid[1:3, 0]), image[0, 0], "image", cmap="gray_r")
    limit = np.abs(filters).max()
    for unit in range(FIRST):
        title = "filters of layer 1" if unit == 0 else ""
        picture(figure.add_subplot(grid[0, unit + 1]), filters[unit], title, cmap=DIVERGING, vmin=-limit, vmax=limit)
        title = "their maps: 16 × 16" if unit == 0 else ""
        picture(figure.add_subplot(grid[1, unit + 1]), first[0, unit], title, cmap="magma", vmin=0, vmax=first.max())
    for unit in range(SECOND):
        title = "maps of layer 2: 8 × 8" if unit == 0 else ""
        place = grid[2 + unit // 8, 1 + unit % 8]
        picture(figure.add_subplot(place), second[0, unit], title, cmap="magma", vmin=0, vmax=second.max())
    names = {"first.xW": "z^1", "first.W": "W^1", "first": "a^1", "pooled": "p^1"}
    formulas = (gn.latex(net["first.xW"], names), gn.latex(net["pooled"], names))
    return Example(figure, formulas, {"accuracy on new digits": accuracy})


if __name__ == "__main__":
    run(main)

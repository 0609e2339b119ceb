"""A small convolutional net for colour images

Digits in one colour on another: which channel tells ink from paper differs from image to image. The net is that of the
course CS231n: three times convolution, ReLU, convolution, ReLU, pooling, then a dense layer; 6,440 parameters. On the
left one image on its way through: a row for each layer, with all ten maps. On the right the same net with another end:
a map for each class, whose mean is the score (global average pooling). It needs 1,500 parameters less and more time.

$ python examples/colour_cnn.py
"""

import numpy as np
from matplotlib.figure import Figure
from style import BLUE, RED, Example, picture, run

import graphnn as gn

SIDE = 32
SHOWN = ("conv1", "conv2", "pool2", "conv4", "pool4", "conv6", "pool6")


def coloured(images: np.ndarray, seed: int) -> np.ndarray:
    """Gray images (N, 1, H, W) from 0 to 1 as (N, 3, H, W): a dark colour where they are 0, a bright one where 1."""
    generator = np.random.default_rng(seed)
    paper, ink = generator.uniform(0, 0.4, (len(images), 3, 1, 1)), generator.uniform(0, 1, (len(images), 3, 1, 1))
    brightest = generator.integers(0, 3, len(images))
    ink[np.arange(len(images)), brightest] = 1  # one channel, and not always the same, has all of the contrast
    return (paper + images * (ink - paper)).astype(np.float32)


def montage(layers: list[np.ndarray]) -> np.ndarray:
    """Maps (1, 10, H, W) of each layer as one picture: a row for each layer, brightest where it is largest."""
    canvas = np.full((len(layers) * (SIDE + 2), 10 * (SIDE + 2)), np.nan)
    for row, values in enumerate(layers):
        for unit, one in enumerate(values[0] / values.max()):
            corner = row * (SIDE + 2), unit * (SIDE + 2)
            canvas[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE] = np.kron(
                one, np.ones((SIDE // len(one),) * 2)
            )
    return canvas


def declare(pooled: bool) -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """(network, scores, loss); `pooled`: the mean of a map for each class in place of the dense layer."""
    net = gn.Network("colours")
    x = net.input("x", ("N", 3, SIDE, SIDE))
    y = net.input("y", ("N",), dtype="int64")
    scores = gn.models.small_cnn(x)
    if pooled:
        maps = gn.conv2d(net["cnn.pool6"], 10, 1, name="maps")
        scores = gn.global_avg_pool(maps, name="scores")
    return net, scores, gn.softmax_cross_entropy(scores, y, name="C")


def main(quick: bool = False) -> Example:
    data = gn.data.digits(size=SIDE, margin=5)
    data["x"] = coloured(data["x"], 0)
    train, held_out, test = gn.split(data, (0.7, 0.1, 0.2), stratify="y")
    figure = Figure(figsize=(11, 4.6))
    grid = figure.add_gridspec(3, 3, width_ratios=(0.3, 2.1, 1.25))
    curve, figures, formulas = figure.add_subplot(grid[:, 2]), {}, ()
    for name, pooled, color, style in (("dense", False, BLUE, "-"), ("global average pooling", True, RED, "--")):
        net, scores, loss = declare(pooled)
        trainer = gn.Trainer(loss, gn.Adam(gn.cosine_decay(0.005, 120 if quick else 800)), batch_size=32)
        metrics = {"accuracy": gn.accuracy(scores, net["y"])}
        history = trainer.fit(train, 3 if quick else 20, validation=held_out, metrics=metrics, progress=False)
        curve.plot(range(1, history.epochs + 1), history.metrics["accuracy"], color=color, linestyle=style, label=name)
        read = gn.compile(scores)(x=test["x"]).argmax(axis=1)
        figures[f"accuracy on test digits, {name}"] = float(np.mean(read == test["y"]))
        trained = [p.name for p in trainer.parameters]
        figures[f"parameters, {name}"] = float(sum(net.state[p].size for p in trained))
        if not pooled:
            chosen = int(np.flatnonzero(test["y"] == 5)[0])
            image = test["x"][chosen : chosen + 1]
            maps = gn.compile([net[f"cnn.{layer}"] for layer in SHOWN])(x=image)
        else:
            names = {"cnn.pool6": "p", "maps.W": "V", "maps.b": "b", "scores": "s", "maps": "m"}
            formulas = (gn.latex(scores, names, down_to=[net["maps"]]),)
    first = {"x": "x", "cnn.conv1.W": "W"}
    formulas = (gn.latex(net["cnn.conv1.xW"], first | {"cnn.conv1.xW": "z"}), *formulas)
    for row, n in enumerate((chosen, *np.flatnonzero(test["y"] == 3)[:2])):
        picture(figure.add_subplot(grid[row, 0]), test["x"][n].transpose(1, 2, 0), "" if row else "image")
    panel = figure.add_subplot(grid[:, 1])
    picture(panel, montage(maps), "its maps, layer by layer", cmap="magma", vmin=0, vmax=1)
    panel.set_yticks([(row + 0.5) * (SIDE + 2) for row in range(len(SHOWN))], SHOWN)
    curve.set(title="accuracy on the validation set", xlabel="epoch", ylim=(0, 1.02))
    curve.legend(loc="lower right", title="the end of the net")
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

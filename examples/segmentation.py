"""From a classifier to a fully convolutional segmenter

A net learns to say which digit, if any, covers the middle of a window of 24 × 24 pixels. Its dense layers are
convolutions in disguise: the first becomes a filter as large as the map that it reads, the second one of 1 × 1. With
the same numbers in its weights the net then takes a picture of any size, answers for all windows at once, and its
scores are enlarged to the pixels (Long, Shelhamer and Darrell 2015).

$ python examples/segmentation.py
"""

import numpy as np
from matplotlib.colors import ListedColormap
from style import FAINT, Example, panels, picture, run

import graphnn as gn

WINDOW, DIGIT, HEIGHT, WIDTH, NOTHING = 24, 12, 48, 96, 10
MAPS, UNITS, STRIDE = 24, 64, 4
TEN = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A900", "#7A3B9E", "#7F7F7F", "#5B3A1E")


def scenes(count: int, seed: int, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, 1, HEIGHT, WIDTH) of digits at places of their own, and each pixel's class."""
    data = gn.data.digits(size=DIGIT)
    images, labels = data["x"][rows, 0], data["y"][rows]
    generator = np.random.default_rng(seed)
    pictures = np.zeros((count, 1, HEIGHT, WIDTH), np.float32)
    classes = np.full((count, HEIGHT, WIDTH), NOTHING)
    for scene in range(count):
        for _ in range(40):  # tries to place one more
            top, left = generator.integers(0, (HEIGHT - DIGIT, WIDTH - DIGIT), endpoint=True)
            box = (slice(top, top + DIGIT), slice(left, left + DIGIT))
            around = (slice(max(0, top - 2), top + DIGIT + 2), slice(max(0, left - 2), left + DIGIT + 2))
            if (classes[scene][around] == NOTHING).all():
                chosen = generator.integers(len(labels))
                pictures[scene, 0][box], classes[scene][box] = images[chosen], labels[chosen]
    return pictures, classes


def windows(pictures: np.ndarray, classes: np.ndarray, each: int, seed: int) -> dict[str, np.ndarray]:
    """`each` windows of every scene, and the class in their middle."""
    generator = np.random.default_rng(seed)
    half = WINDOW // 2
    padded = np.pad(pictures, ((0, 0), (0, 0), (half, half), (half, half)))
    x, y = [], []
    for scene in range(len(pictures)):
        for top, left in generator.integers(0, (HEIGHT, WIDTH), (each, 2)):
            x.append(padded[scene, :, top : top + WINDOW, left : left + WINDOW])
            y.append(classes[scene, top, left])
    return {"x": np.array(x), "y": np.array(y, np.int64)}


def features(x: gn.Tensor) -> gn.Tensor:
    """Two convolutions with pooling, which do not care how large the picture is."""
    first = gn.max_pool(gn.conv2d(x, 12, 5, activation=gn.relu, init=gn.He(), name="first"), 2)
    return gn.max_pool(gn.conv2d(first, MAPS, 3, activation=gn.relu, init=gn.He(), name="second"), 2, name="maps")


def classifier() -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """(network, scores (N, 11), loss) for windows."""
    net = gn.Network("classifier")
    x, y = net.input("x", ("N", 1, WINDOW, WINDOW)), net.input("y", ("N",), dtype="int64")
    flat = gn.reshape(features(x), ("N", MAPS * 16), name="flat")
    hidden = gn.dense(flat, UNITS, gn.relu, init=gn.He(), name="hidden")
    scores = gn.dense(hidden, NOTHING + 1, name="scores")
    return net, scores, gn.softmax_cross_entropy(scores, y, name="C")


def segmenter(trained: gn.Network) -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """(network, scores of all windows, scores of all pixels): the same weights, as filters."""
    net = gn.Network("segmenter")
    x = net.input("x", ("N", 1, HEIGHT + WINDOW, WIDTH + WINDOW))
    hidden = gn.conv2d(features(x), UNITS, 4, activation=gn.relu, name="hidden")
    scores = gn.conv2d(hidden, NOTHING + 1, 1, name="scores")
    for name in net.parameters:
        value = trained.state[name]
        # A column of a dense layer's matrix, unrolled from (maps, 4, 4), is a filter.
        net.state[name] = value if value.ndim != 2 else value.T.reshape(net.parameters[name].shape)
    return net, scores, gn.upsample(scores, STRIDE, mode="bilinear", name="pixels")


def main(quick: bool = False) -> Example:
    learn = windows(*scenes(40 if quick else 500, 0, slice(0, 1400)), 16, 1)
    net, scores, loss = classifier()
    gn.Trainer(loss, gn.Adam(0.002), batch_size=32).fit(learn, 2 if quick else 14, progress=False)

    pictures, truth = scenes(3, 7, slice(1400, None))
    half = WINDOW // 2
    padded = np.pad(pictures, ((0, 0), (0, 0), (half, half), (half, half)))
    whole, coarse, fine = segmenter(net)
    windowed, pixels = gn.compile([coarse, fine])(x=padded)
    # Window (i, j) stands in the middle of what `upsample` makes of it: 2 pixels before its own middle.
    found = np.roll(pixels, (-STRIDE // 2, -STRIDE // 2), axis=(2, 3))[:, :, :HEIGHT, :WIDTH].argmax(axis=1)
    one = gn.compile(scores)
    differences = [
        np.abs(
            one(x=padded[:, :, STRIDE * i : STRIDE * i + WINDOW, STRIDE * j : STRIDE * j + WINDOW])
            - windowed[..., i, j]
        )
        for i, j in ((0, 0), (5, 9), (11, 22))
    ]
    ink = pictures[:, 0] > 0.3
    share = float(np.mean(found[ink] == truth[ink]))

    figure, axes = panels(3, 3, (11, 6.2))
    colors = ListedColormap([*TEN, "#ffffff"])
    for row, (photo, guess, real) in enumerate(zip(pictures[:, 0], found, truth, strict=True)):
        titles = (
            ("the picture", f"its pixels, read: {share:.0%} of the ink is right", "what they are")
            if row == 0
            else ("",) * 3
        )
        picture(axes[row, 0], photo, titles[0], cmap="gray_r")
        for panel, classes, title in ((axes[row, 1], guess, titles[1]), (axes[row, 2], real, titles[2])):
            shown = colors(classes)[..., :3]
            strength = (0.18 + 0.82 * np.clip(1.6 * photo, 0, 1))[..., None]
            picture(panel, 1 - strength * (1 - shown), title)
        for panel in axes[row]:
            panel.spines[:].set(visible=True, color=FAINT, linewidth=0.6)
    names = {"hidden.xW": "z", "maps": "a", "hidden.W": "W", "flat": "a"}
    as_dense, as_filter = (gn.latex(n["hidden.xW"], names, down_to=[n["maps"]]) for n in (net, whole))
    figures = {"windows against the classifier": float(np.max(differences)), "share of the ink": share}
    return Example(figure, (as_dense, as_filter), figures)


if __name__ == "__main__":
    run(main)

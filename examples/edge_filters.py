"""Edge filters on a photograph

Two filters of 3 × 3 numbers, slid over an image: one answers where it gets brighter downwards, the other where it gets
brighter to the right. Nothing is learnt here; a convolutional net finds filters like these by itself. The two answers
together give the strength of an edge, whatever its direction.

$ python examples/edge_filters.py
"""

import numpy as np
from style import DIVERGING, Example, panels, picture, run

import graphnn as gn

HORIZONTAL = [[-1, -1, -1], [1, 1, 1], [0, 0, 0]]
VERTICAL = [[-1, 1, 0], [-1, 1, 0], [-1, 1, 0]]


def main(quick: bool = False) -> Example:
    photograph = gn.data.sample_image("china")[:, :, 40:360, 100:580]
    net = gn.Network("edges")
    image = net.input("image", (1, 3, 320, 480))
    kernels = net.parameter("kernels", (2, 1, 3, 3))
    net.state["kernels"] = np.array([HORIZONTAL, VERTICAL], np.float32)[:, None]
    gray = gn.mean(image, axis=1, keepdims=True, name="gray")
    edges = gn.correlate(gray, kernels, padding=1, padding_mode="replicate", name="edges")
    strength = gn.sqrt(gn.sum(gn.square(edges), axis=1), name="strength")
    found, both, shade = gn.compile([edges, strength, gray])(image=photograph)

    figure, axes = panels(2, 2, (7.8, 5.5))
    picture(axes[0, 0], photograph[0].transpose(1, 2, 0), "the photograph")
    picture(axes[0, 1], -both[0], "strength of the edges", cmap="gray", vmin=-1.6)
    for panel, answer, kernel, name in zip(
        axes[1], found[0], (HORIZONTAL, VERTICAL), ("horizontal", "vertical"), strict=True
    ):
        picture(panel, answer, f"{name} edges", cmap=DIVERGING, vmin=-1.2, vmax=1.2)
        inset = panel.inset_axes((0.015, 0.03, 0.15, 0.225))
        picture(inset, kernel, cmap=DIVERGING, vmin=-1.6, vmax=1.6)
        for (row, column), value in np.ndenumerate(kernel):
            inset.text(column, row, value, ha="center", va="center", fontsize=7)
    figures = {"image is upright": float(photograph.shape[2] < photograph.shape[3])}
    padded = np.pad(shade[0, 0].astype(float), 1, "edge")
    for answer, kernel, name in zip(found[0], (HORIZONTAL, VERTICAL), ("horizontal", "vertical"), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        expected = np.einsum("yxuv,uv->yx", windows, np.array(kernel, float))
        figures[f"{name} edges against NumPy"] = float(np.abs(answer - expected).max())
    formulas = (
        gn.latex(edges, {"kernels": "K", "edges.padded": "x"}),
        gn.latex(strength, {"edges": "e"}, down_to=[edges]),
    )
    return Example(figure, formulas, figures, photograph=True)


if __name__ == "__main__":
    run(main)

"""What a filter responds to

An activation of the second layer is projected back to the pixels, as Zeiler and Fergus (2013) do it: through the
transposed filters, and through each pooling to the place that was largest. That is the derivative of the activation by
the image, derived from the formulas of the forward pass; at a ReLU it lets through what was active on the way forward,
where theirs lets through what is positive on the way back. For some units: the digits in which they answer most
strongly, and below each, which of its pixels made them do so.

$ python examples/responses.py
"""

import numpy as np
from feature_maps import SECOND, train
from style import DIVERGING, Example, panels, picture, run

import graphnn as gn

UNITS, TOP = 4, 8


def main(quick: bool = False) -> Example:
    net, new, accuracy = train(quick)
    chosen = net.input("chosen", ("N", SECOND, 8, 8))  # 1 for the activation that is projected, else 0
    answer = gn.sum(net["second"] * chosen, name="answer")
    (projection,) = gn.gradients(answer, [net["x"]])
    maps = gn.compile(net["second"])(x=new["x"])
    project = gn.compile(projection)

    strongest = maps.max(axis=(2, 3))
    spread = np.argsort(-(strongest.std(axis=0) * (strongest.max(axis=0) > 0)))[:UNITS]
    figure, axes = panels(2 * UNITS, TOP, (8.6, 9.2))
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0.01)
    outside = 0.0
    for row, unit in enumerate(spread):
        best = np.argsort(-strongest[:, unit])[:TOP]
        mask = np.zeros((TOP, SECOND, 8, 8), np.float32)
        peaks = [np.unravel_index(maps[n, unit].argmax(), (8, 8)) for n in best]
        for n, (y, x) in enumerate(peaks):
            mask[n, unit, y, x] = 1.0
        pixels = project(x=new["x"][best], chosen=mask)
        limit = np.abs(pixels).max()
        for n, (y, x) in enumerate(peaks):
            picture(axes[2 * row, n], new["x"][best[n], 0], cmap="gray_r")
            picture(axes[2 * row + 1, n], pixels[n, 0], cmap=DIVERGING, vmin=-limit, vmax=limit)
            axes[2 * row + 1, n].spines[:].set(visible=True, color="#dddddd", linewidth=0.6)
            # Two pixels to a place of the map; 3 places of 5 pixels, doubled by pooling: 10 × 10 at the most.
            field = np.zeros((16, 16), bool)
            field[max(0, 2 * y - 4) : 2 * y + 6, max(0, 2 * x - 4) : 2 * x + 6] = True
            outside = max(outside, float(np.abs(pixels[n, 0][~field]).max()))
        axes[2 * row, 0].set_ylabel(f"unit {unit}", rotation=0, ha="right", va="center", labelpad=8)
    names = {"first.xW": "z^1", "first.W": "W^1", "second.W": "W^2", "pooled": "p^1", "first": "a^1"}
    names |= {"answer": "h", "second.xW": "z^2", "danswer/dfirst.1": "m"}  # m: which place of a window was largest
    steps = [net["pooled"], net["first"]]
    by_pooled, by_first = gn.gradients(answer, steps)
    formulas = tuple(gn.latex(t, names) for t in (by_pooled, by_first, projection))
    figures = {"accuracy on new digits": accuracy, "outside of the receptive field": outside}
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

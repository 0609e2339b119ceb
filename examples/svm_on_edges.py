"""The traditional pipeline: edges, then a support vector machine

Before features were learnt they were made by hand. Here an image becomes 32 numbers: how strong horizontal and vertical
edges are in each of 16 cells. Ten linear support vector machines, one for each digit against the rest, are trained on
these under the hinge loss, whose derivative is -y where the margin is missed and 0 elsewhere.

$ python examples/svm_on_edges.py
"""

import numpy as np
from matplotlib.figure import Figure
from style import BLUE, DIVERGING, RED, Example, picture, run

import graphnn as gn


def derive_hinge() -> tuple[str, str]:
    """The hinge loss of scores s under targets y of -1 and 1, and its gradient."""
    net = gn.Network("hinge")
    s, y = net.input("s", ("N", 10)), net.input("y", ("N", 10))
    loss = gn.hinge(s, y, name="C")
    gradient = gn.latex(gn.derivation(loss, s).result)
    return gn.latex(loss, down_to=[]), rf"\left(\frac{{\partial C}}{{\partial s}}\right)_{{i j}} = {gradient}"


def main(quick: bool = False) -> Example:
    data = gn.data.digits()
    order = np.random.default_rng(0).permutation(len(data["y"]))
    old, new = ({name: a[rows] for name, a in data.items()} for rows in (order[:1344], order[1344:]))
    net = gn.Network("SVM")
    x = net.input("x", ("N", 1, 8, 8))
    y = net.input("y", ("N",), dtype="int64")
    features = gn.models.edge_features(x, cell=2, name="edges")
    scores = gn.models.linear_svm(features, 10, name="s")
    targets = gn.models.one_against_rest(y, 10, name="y±")
    loss = gn.hinge(scores, targets, name="C")
    trainer = gn.Trainer(loss, gn.SGD(1.0), batch_size=32, weight_decay=1e-4)
    history = trainer.fit(old, 8 if quick else 60, validation=new, progress=False)
    strengths, said = gn.compile([features, scores])(x=new["x"])
    accuracy = float(np.mean(said.argmax(axis=1) == new["y"]))

    figure = Figure(figsize=(11, 4.4))
    grid = figure.add_gridspec(4, 9, width_ratios=[1] * 5 + [1.1] * 4)
    for row, name in enumerate(("digit", "horizontal", "vertical")):
        for digit in range(5):
            n = np.flatnonzero(new["y"] == digit)[0]
            image = new["x"][n, 0] if row == 0 else strengths[n].reshape(2, 4, 4)[row - 1]
            panel = figure.add_subplot(grid[row, digit])
            picture(panel, image, cmap="gray_r" if row == 0 else "magma", vmin=0)
            if digit == 0:
                panel.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    weights = net.state["s.W"].reshape(2, 4, 4, 10)
    limit = np.abs(weights).max()
    for digit in range(5):
        panel = figure.add_subplot(grid[3, digit])
        both = np.hstack([weights[0, ..., digit], np.full((4, 1), np.nan), weights[1, ..., digit]])
        picture(panel, both, cmap=DIVERGING, vmin=-limit, vmax=limit)
        if digit == 0:
            panel.set_ylabel("weights", rotation=0, ha="right", va="center", labelpad=6)
    curve = figure.add_subplot(grid[:, 5:])
    curve.plot(range(1, history.epochs + 1), history.loss, color=BLUE, label="training digits")
    curve.plot(range(1, history.epochs + 1), history.val_loss, color=RED, linestyle="--", label="new digits")
    curve.set(title=f"hinge loss; {accuracy:.1%} of the new digits are right", xlabel="epoch", ylim=(0, None))
    curve.legend()
    formulas = (
        gn.latex(net["edges.cells"], {"edges.cells": "f", "edges.responses": "e"}, [net["edges.responses"]]),
        *derive_hinge(),
    )
    return Example(figure, formulas, {"accuracy on new digits": accuracy})


if __name__ == "__main__":
    run(main)

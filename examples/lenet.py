"""LeNet-5 reads digits

LeCun's net of 1998 in its common form: two convolutions, each followed by averages of 2 × 2, then three dense layers;
61,706 parameters. scikit-learn's digits are enlarged to its 28 × 28 pixels. It learns from 1344 of them, changed a
little in each epoch, and is judged by the others. On the right is what it still misreads.

$ python examples/lenet.py
"""

import time

import numpy as np
from matplotlib.figure import Figure
from style import BLUE, INK, RED, Example, picture, run

import graphnn as gn


def main(quick: bool = False) -> Example:
    data = gn.data.digits(size=28, margin=4)
    order = np.random.default_rng(0).permutation(len(data["y"]))
    old, new = ({name: a[rows] for name, a in data.items()} for rows in (order[:1344], order[1344:]))
    if quick:
        old = {name: array[:320] for name, array in old.items()}
    net = gn.Network("LeNet-5")
    x = net.input("x", ("N", 1, 28, 28))
    y = net.input("y", ("N",), dtype="int64")
    logits = gn.models.lenet5(x)
    loss = gn.softmax_cross_entropy(logits, y, name="C")

    start = time.perf_counter()
    trainer = gn.Trainer(loss, gn.Adam(0.002), batch_size=32, seed=1)
    change = gn.data.Augmentation(translate=1.5, rotate=8, skew=0.1)
    epochs = 3 if quick else 25
    history = trainer.fit(
        old, epochs, validation=new, metrics={"accuracy": gn.accuracy(logits, y)}, augment=change, progress=False
    )
    took = time.perf_counter() - start
    read = gn.compile(logits)(x=new["x"]).argmax(axis=1)
    accuracy = float(np.mean(read == new["y"]))

    figure = Figure(figsize=(11, 4.2))
    grid = figure.add_gridspec(3, 8, width_ratios=[1] * 3 + [0.75] * 5)
    curve = figure.add_subplot(grid[:, :3])
    shown = np.arange(1, history.epochs + 1)
    curve.plot(shown, history.metrics["accuracy"], color=BLUE, label="accuracy on new digits")
    curve.plot(shown, history.val_loss, color=RED, linestyle="--", label="their cross-entropy")
    curve.set(title=f"{accuracy:.1%} of {len(read)} new digits", xlabel="epoch", ylim=(0, 1.03))
    curve.legend(loc="center right")
    wrong = np.flatnonzero(read != new["y"])[:7]
    chosen = [*wrong, *np.flatnonzero(read == new["y"])[: 15 - len(wrong)]]
    for place, row in enumerate(chosen):
        panel = figure.add_subplot(grid[place // 5, 3 + place % 5])
        picture(panel, new["x"][row, 0], cmap="gray_r")
        right = read[row] == new["y"][row]
        title = f"{read[row]}" if right else f"{read[row]}, is {new['y'][row]}"
        panel.set_title(title, color=INK if right else RED, fontsize=10, loc="center", pad=2)
    count = sum(net.state[name].size for name in net.parameters)
    figures = {"accuracy on new digits": accuracy, "parameters": float(count)}
    names = {"lenet5.c1.xW": "z^1", "lenet5.c1.W": "W^1", "lenet5.c1": "a^1", "lenet5.s2": "p^1"}
    formulas = (gn.latex(net["lenet5.c1.xW"], names), gn.latex(net["lenet5.s2"], names, down_to=[net["lenet5.c1"]]))
    return Example(figure, formulas, figures, notes=f"trained in {took:.1f} s, compilation included")


if __name__ == "__main__":
    run(main)

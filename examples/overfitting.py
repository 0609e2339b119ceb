"""Overfitting, and what helps

A net of two layers of 100 units learns 300 digits, a fifth of which carry a label drawn at random. It learns these by
heart, too: the training loss goes to zero while the loss on new digits turns and rises. Four remedies, each by itself:
a penalty on the weights (L2), dropout, changing the digits a little at each epoch (augmentation), and early stopping,
which keeps the weights of the best epoch.

$ python examples/overfitting.py
"""

import numpy as np
from style import BLUE, FAINT, GREEN, ORANGE, PURPLE, RED, Example, panels, run

import graphnn as gn

ROWS, WRONG = 300, 60  # digits to learn from; the others judge
REMEDIES = {
    "none": (RED, "-"),
    "L2": (BLUE, "--"),
    "dropout": (GREEN, "-."),
    "augmentation": (PURPLE, (0, (5, 1))),
    "early stopping": (ORANGE, "-"),
}


def declare(dropout: bool) -> tuple[gn.Network, gn.Tensor, gn.Tensor, gn.Tensor]:
    """(network, logits, loss, accuracy) of a net for images (N, 1, 8, 8)."""
    net = gn.Network("digits")
    x = net.input("x", ("N", 1, 8, 8))
    y = net.input("y", ("N",), dtype="int64")
    first = gn.dense(gn.reshape(x, ("N", 64)), 100, gn.relu, init=gn.He(), name="first")
    hidden = gn.dense(first, 100, gn.relu, init=gn.He(), name="hidden")
    if dropout:
        hidden = gn.dropout(hidden, 0.5, name="dropped")
    logits = gn.dense(hidden, 10, name="logits")
    return net, logits, gn.softmax_cross_entropy(logits, y, name="loss"), gn.accuracy(logits, y)


def learn(remedy: str, epochs: int) -> tuple[gn.History, float]:
    """The history, and the accuracy on new digits with the weights that are left at the end."""
    data = gn.data.digits()
    order = np.random.default_rng(0).permutation(len(data["y"]))
    old, new = ({name: array[rows] for name, array in data.items()} for rows in (order[:ROWS], order[ROWS:]))
    old["y"][:WRONG] = np.random.default_rng(1).integers(0, 10, WRONG)
    _, logits, loss, _ = declare(remedy == "dropout")
    trainer = gn.Trainer(loss, gn.Adam(0.003), batch_size=50, weight_decay=0.02 if remedy == "L2" else 0.0)
    history = trainer.fit(
        old,
        epochs,
        validation=new,
        metrics={"cross-entropy": loss},  # without the penalty
        progress=False,
        callbacks=[gn.EarlyStopping(patience=25)] if remedy == "early stopping" else (),
        augment=gn.data.Augmentation(translate=1, rotate=15, skew=0.2) if remedy == "augmentation" else None,
    )
    return history, float(np.mean(gn.compile(logits)(x=new["x"]).argmax(axis=1) == new["y"]))


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4.2), width_ratios=(1.7, 1))
    figures = {}
    for remedy, (color, style) in REMEDIES.items():
        history, right_share = learn(remedy, 40 if quick else 150)
        epochs = np.arange(1, history.epochs + 1)
        losses = history.metrics["cross-entropy"]
        figures |= {f"accuracy, {remedy}": right_share, f"last loss, {remedy}": losses[-1]}
        if remedy == "none":
            left.plot(epochs, history.loss, color=FAINT, linewidth=1.2, linestyle=":", label="none, training digits")
        if remedy == "early stopping":
            left.plot(epochs[-26], losses[-26], "o", color=color, markersize=9, label=remedy, zorder=5)
        else:
            left.plot(epochs, losses, color=color, linestyle=style, label=remedy)
    left.set(title="loss on new digits", xlabel="epoch", ylim=(0, 1.6))
    left.legend(ncols=2)
    shares = [figures[f"accuracy, {remedy}"] for remedy in REMEDIES]
    right.barh(list(REMEDIES), shares, color=[color for color, _ in REMEDIES.values()], height=0.6)
    for place, share in enumerate(shares):
        right.text(share + 0.002, place, f"{share:.1%}", va="center")
    right.set(title="accuracy on new digits", xlim=(min(shares) - 0.03, max(shares) + 0.02))
    right.invert_yaxis()
    right.grid(axis="y", visible=False)

    net, _, loss, _ = declare(dropout=True)
    penalised = gn.add(loss, gn.l2_penalty(list(net.parameters.values()), 0.02), name="penalised")
    names = {
        "hidden": "a",
        "dropped": "d",
        "penalised": "C",
        "loss": "C_0",
        "logits.W": "V",
        "hidden.W": "U",
        "first.W": "W",
    }
    kept = [t for t in net.ancestors([net["dropped"]]) if t.name.endswith("kept")]
    names |= {kept[0].name: "k"}
    by_dropped = gn.latex(net["dropped.thinned"], names | {"dropped.thinned": "d"}, down_to=[net["hidden"], *kept])
    formulas = (gn.latex(penalised, names, down_to=[loss]), by_dropped)
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

"""Recurrent nets on a sequence task

The adding problem (Hochreiter and Schmidhuber 1997): a sequence of numbers, two of which are marked; the net is to give
the sum of these two, after it has read everything. Always answering 1 has the squared error 1/6. Three kinds of cells,
unrolled into a static graph with shared weights, learn it. On the right, an LSTM's states while it reads one sequence:
they change when a mark comes, and keep what they have.

$ python examples/recurrent.py
"""

import numpy as np
from style import BLUE, DIVERGING, FAINT, GREEN, INK, RED, Example, panels, run

import graphnn as gn

UNITS = 24
CELLS = {"simple": (gn.rnn, RED, ":"), "GRU": (gn.gru, GREEN, "--"), "LSTM": (gn.lstm, BLUE, "-")}


def sequences(rows: int, length: int, seed: int) -> dict[str, np.ndarray]:
    """x (rows, length, 2): numbers of [0, 1], and a mark at one place of each half; y (rows, 1): the marked sum."""
    generator = np.random.default_rng(seed)
    numbers, marks = generator.uniform(size=(rows, length)), np.zeros((rows, length))
    for first, last in ((0, length // 2), (length // 2, length)):
        marks[np.arange(rows), generator.integers(first, last, rows)] = 1
    x = np.stack([numbers, marks], axis=2).astype(np.float32)
    return {"x": x, "y": (numbers * marks).sum(axis=1, keepdims=True).astype(np.float32)}


def declare(cell, length: int) -> tuple[gn.Network, gn.Tensor, gn.Tensor, gn.Tensor]:
    """(network, states (N, length, UNITS), answer, loss)."""
    net = gn.Network("adding")
    x = net.input("x", ("N", length, 2))
    y = net.input("y", ("N", 1))
    states = cell(x, UNITS, sequences=True, name="cell")
    answer = gn.dense(states[:, length - 1], 1, name="answer")
    return net, states, answer, gn.mean_squared_error(answer, y, name="C")


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4.2), width_ratios=(1, 1.25))
    length = 4 if quick else 16
    old, new = sequences(500 if quick else 4000, length, 0), sequences(500, length, 1)
    figures = {}
    for name, (cell, color, style) in CELLS.items():
        net, states, answer, loss = declare(cell, length)
        net.initialize(seed=1)
        trainer = gn.Trainer(loss, gn.Adam(0.005), batch_size=50)
        history = trainer.fit(old, 5 if quick else 25, validation=new, progress=False)
        left.plot(range(1, history.epochs + 1), history.val_loss, color=color, linestyle=style, label=name)
        figures[f"error, {name}"] = history.val_loss[-1]
    left.axhline(1 / 6, color=FAINT, linewidth=1)
    left.text(1, 0.18, "always answering 1", color=FAINT, fontsize=9)
    left.set(title="squared error on new sequences", xlabel="epoch", yscale="log")
    left.legend(loc="lower left")

    one = {name: array[:1] for name, array in new.items()}
    values, said = gn.compile([states, answer])(x=one["x"])
    order = np.argsort(values[0, -1])
    limit = np.abs(values).max()
    right.imshow(values[0][:, order].T, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    numbers, marks = one["x"][0].T
    for step in range(length):
        right.text(step, -1.6, f"{numbers[step]:.2f}"[1:], ha="center", fontsize=8.5,
                   color=RED if marks[step] else FAINT, fontweight="bold" if marks[step] else "normal")  # fmt: skip
        if marks[step]:
            right.axvline(step - 0.5, color=RED, linewidth=1.2)
    right.set_title(f"LSTM states; it says {said[0, 0]:.2f}, the sum is {one['y'][0, 0]:.2f}", pad=22)
    right.set(xlabel="step", ylabel="unit", yticks=[], xticks=range(0, length, 5))
    right.spines[:].set_visible(False)
    right.tick_params(colors=INK)
    right.grid(False)

    net, *_ = declare(gn.rnn, length)
    names = {"cell.W": "W", "cell.U": "U", "cell.b": "b", "cell.1.pre": "z^1", "cell.1.h": "h^1", "cell.0.h": "h^0"}
    formulas = (gn.latex(net["cell.1.pre"], names, down_to=[net["cell.0.h"]]), gn.latex(net["cell.1.h"], names))
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)

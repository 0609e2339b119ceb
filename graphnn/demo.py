"""The demo: a network for handwritten digits is declared, derived, compiled, trained and checked.

Writes training.png, digits.png, step-size.png, network.png and report.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from graphnn.check.compare import compare
from graphnn.declare.network import Network, Tensor
from graphnn.explain.derivation import derivation
from graphnn.explain.drawing import draw
from graphnn.explain.terminal import derivation_table
from graphnn.nn.layers.dense import dense
from graphnn.nn.optimizers.rules import Adam
from graphnn.nn.training.metrics import accuracy
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import sigmoid
from graphnn.ops.losses import softmax_cross_entropy
from graphnn.pipeline import compile as compile_native

Array = npt.NDArray[Any]

# The settings with the best validation accuracy over three seeds, among batches of 16 and 32, rates of 0.003, 0.005 and
# 0.01, and 30, 40 and 60 epochs. The test digits took no part in the choice.
HIDDEN, BATCH, RATE, EPOCHS = 64, 16, 0.01, 60
ROUNDS = 400  # of one native and one NumPy step each


@dataclass(frozen=True, slots=True)
class Digits:
    """The digits of scikit-learn: pixels (n, 64) from 0 to 1, labels (n,)."""

    pixels: Array
    labels: Array


@dataclass(frozen=True, slots=True)
class Classifier:
    """64 pixels, sigmoid units, ten logits; the loss is the mean cross-entropy of their softmax."""

    network: Network
    logits: Tensor
    loss: Tensor
    accuracy: Tensor


def load_data() -> tuple[Digits, Digits, Digits]:
    """Digits for training, validation and the test: a quarter for the test, 15% of the rest for validation.

    Each part has the same share of every digit.
    """
    data = load_digits()
    pixels, labels = (data.data / 16).astype(np.float32), data.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(pixels, labels, test_size=0.25, stratify=labels, random_state=0)
    x, x_validation, y, y_validation = train_test_split(x, y, test_size=0.15, stratify=y, random_state=0)
    return Digits(x, y), Digits(x_validation, y_validation), Digits(x_test, y_test)


def declare() -> Classifier:
    """The network, as a user writes it."""
    network = Network("digits")
    x = network.input("x", ("N", 64))
    y = network.input("y", ("N",), dtype="int64")
    hidden = dense(x, HIDDEN, activation=sigmoid, name="hidden")
    logits = dense(hidden, 10, name="logits")
    return Classifier(network, logits, softmax_cross_entropy(logits, y, name="loss"), accuracy(logits, y, "accuracy"))


def run_demo(out: Path, epochs: int = EPOCHS) -> dict[str, float]:
    """Everything, printed to the terminal and written to the folder `out`; the numbers of report.json."""
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    train, validation, test = load_data()
    model = declare()
    draw(model.network, out / "network.png")
    count = sum(model.network.state[name].size for name in model.network.parameters)
    console.print(
        f"{len(train.labels)} digits to learn from, {len(validation.labels)} to validate, {len(test.labels)} to test; "
        f"64 pixels -> {HIDDEN} sigmoid units -> 10 classes, {count} parameters"
    )
    # First of all, while nothing is cached: what a user waits for.
    start = time.perf_counter()
    trainer = Trainer(model.loss, Adam(RATE), batch_size=BATCH, seed=0)
    trainer.executable()
    compile_seconds = time.perf_counter() - start
    console.print(f"derived and compiled one training step in {compile_seconds:.2f} s")

    console.rule("[bold]The derivative of the sigmoid, as sympy finds it")
    console.print(derivation_table(derivation(sigmoid)))
    shown = declare()  # the names of its gradient nodes are not taken by training
    console.rule("[bold]Softmax with cross-entropy collapses to (p - y)/n")
    console.print(derivation_table(derivation(shown.loss, shown.logits)))

    console.rule("[bold]Symbolic against numeric gradients")
    gradients = compare(model.loss, {"x": test.pixels[:8], "y": test.labels[:8]}, sample=16)
    console.print(gradients)
    gradients.plot(out / "step-size.png")

    console.rule("[bold]Training")
    history = trainer.fit(
        {"x": train.pixels, "y": train.labels},
        epochs,
        validation={"x": validation.pixels, "y": validation.labels},
        metrics={"accuracy": model.accuracy},
    )
    history.plot(out / "training.png")
    logits = compile_native(model.logits)(x=test.pixels)
    test_accuracy = float(np.mean(np.argmax(logits, axis=-1) == test.labels))
    draw_predictions(test, logits, out / "digits.png")
    console.print(f"test accuracy [bold]{test_accuracy:.2%}[/] on {len(test.labels)} digits that it never saw")

    console.rule("[bold]One training step, native and in NumPy")
    native, in_numpy = time_steps(train)
    console.print(step_table(native, in_numpy))

    report = {
        "test_accuracy": test_accuracy,
        "max_gradient_error": gradients.max_relative_error,
        "compile_seconds": compile_seconds,
        "native_step_us": native,
        "numpy_step_us": in_numpy,
    }
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    console.print(f"pictures and report.json are in {out}", markup=False, highlight=False)
    return report


def draw_predictions(test: Digits, logits: Array, path: Path) -> Figure:
    """Test digits with what the network reads in them: first some that it gets wrong (in red), then others."""
    predicted = np.argmax(logits, axis=-1)
    wrong = np.flatnonzero(predicted != test.labels)[:8]
    right = np.flatnonzero(predicted == test.labels)[: 32 - len(wrong)]
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    for axes, index in zip(figure.subplots(4, 8).flat, [*wrong, *right], strict=True):
        axes.imshow(test.pixels[index].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.set_axis_off()
        correct = predicted[index] == test.labels[index]
        title = f"{predicted[index]}" if correct else f"{predicted[index]}, is {test.labels[index]}"
        axes.set_title(title, fontsize=10, color="black" if correct else "#c03020")
    figure.savefig(path, dpi=120)
    return figure


def numpy_step(network: Network) -> Callable[[Array, Array], float]:
    """The same step by hand: forward, backward, Adam, in float32 from the network's present values."""
    weights = [np.array(value) for value in (network.state[name] for name in network.parameters)]
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    count = 0

    def step(x: Array, y: Array) -> float:
        nonlocal count
        w1, b1, w2, b2 = weights
        hidden = 1 / (1 + np.exp(-(x @ w1 + b1)))
        z = hidden @ w2 + b2
        shifted = z - z.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(axis=1, keepdims=True)
        rows = np.arange(len(y))
        loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, y]))
        p /= total
        p[rows, y] -= 1
        p /= len(y)
        back = (p @ w2.T) * hidden * (1 - hidden)
        count += 1
        rate = RATE * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        gradients = (x.T @ back, back.sum(axis=0), hidden.T @ p, p.sum(axis=0))
        for w, m, v, g in zip(weights, first, second, gradients, strict=True):
            m[...] += 0.1 * (g - m)
            v[...] += 0.001 * (g * g - v)
            w[...] -= np.float32(rate) * m / (np.sqrt(v) + np.float32(1e-8))
        return loss

    return step


def time_steps(train: Digits) -> tuple[float, float]:
    """Median microseconds of a native and of a NumPy step on the same batch, taken in turns."""
    model = declare()
    x, y = train.pixels[:BATCH], train.labels[:BATCH]
    native = Trainer(model.loss, Adam(RATE), batch_size=BATCH, seed=0).executable()
    by_hand = numpy_step(model.network)
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        start = time.perf_counter()
        native(x=x, y=y)
        middle = time.perf_counter()
        by_hand(x, y)
        took[0].append(1e6 * (middle - start))
        took[1].append(1e6 * (time.perf_counter() - middle))
    return statistics.median(took[0]), statistics.median(took[1])


def step_table(native: float, in_numpy: float) -> Table:
    """Both medians, and how they compare."""
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("native", f"{native:.1f} us")
    table.add_row("NumPy", f"{in_numpy:.1f} us")
    table.add_row("NumPy / native", f"{in_numpy / native:.1f} x ", style="bold")
    return table

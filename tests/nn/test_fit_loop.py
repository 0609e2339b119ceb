"""`fit` in native stretches against a Python loop over `step`: the same losses, weights, errors and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphnn as gn
from graphnn.errors import BoundaryError, NumericError

Arrays = dict[str, Any]
Made = tuple[gn.Trainer, Arrays]


def classifier(optimizer: gn.Optimizer | None = None, rows: int = 53, **options: Any) -> Made:
    net = gn.Network("classifier")
    x, y = net.input("x", ("N", 3)), net.input("y", ("N",), dtype="int64")
    loss = gn.softmax_cross_entropy(gn.dense(gn.dense(x, 5, gn.tanh, name="h"), 4, name="z"), y)
    net.initialize(1)
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(rows, 3)).astype(np.float32), "y": rng.integers(0, 4, rows)}
    return gn.Trainer(loss, optimizer or gn.SGD(0.1), **{"batch_size": 8, "seed": 3, **options}), data


def images() -> Made:
    """Statistics and counters: batch norm, dropout, L1, a schedule."""
    net = gn.Network("images")
    x, y = net.input("x", ("N", 2, 6, 6)), net.input("y", ("N",), dtype="int64")
    h = gn.relu(gn.batch_norm(gn.conv2d(x, 3, 3, name="c"), name="n"))
    h = gn.dropout(gn.reshape(h, ("N", 48)), 0.3, name="drop")
    loss = gn.softmax_cross_entropy(gn.dense(h, 3, name="z"), y)
    net.initialize(2)
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=(29, 2, 6, 6)).astype(np.float32), "y": rng.integers(0, 3, 29)}
    optimizer = gn.Momentum(gn.scheduled(lambda t: 0.1 / (1 + t / 10)), 0.9)
    return gn.Trainer(loss, optimizer, batch_size=8, l1=1e-3), data


def words() -> Made:
    """Tokens, targets that are distributions, a weight for each row, and an input that is no batch."""
    net = gn.Network("words")
    tokens, scale = net.input("tokens", ("N", 4), dtype="int64"), net.input("scale", ())
    p, weights = net.input("p", ("N", 3)), net.input("weights", ("N",))
    table = net.parameter("table", (11, 6), init=gn.Normal(1.0))
    h = gn.mean(gn.gather(table, tokens), axis=1) * scale
    loss = gn.softmax_cross_entropy(gn.dense(h, 3, name="z"), p, distribution=True, weights=weights)
    net.initialize(2)
    rng = np.random.default_rng(1)
    rows = rng.random((29, 3))
    data = {
        "tokens": rng.integers(0, 11, (29, 4)),
        "scale": np.array(1.5, np.float32),
        "p": (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32),
        "weights": rng.random(29, np.float32),
    }
    return gn.Trainer(loss, gn.Adam(0.05), batch_size=5), data


def small(batch_size: int = 1) -> Made:
    """So small that its steps keep the weights in registers."""
    net = gn.Network("small")
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 2))
    h = gn.dense(x, 2, gn.sigmoid, name="h") if batch_size == 1 else x
    loss = gn.quadratic(gn.dense(h, 2, gn.tanh, name="z"), y)
    net.initialize(1)
    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=(17, 2)).astype(np.float32) for name in "xy"}
    trainer = gn.Trainer(loss, gn.Momentum(0.1, 0.5), batch_size=batch_size)
    assert trainer.executable().manifest.steps
    return trainer, data


def strided() -> Made:
    trainer, data = classifier()
    wide = np.zeros((53, 6), np.float32)
    wide[:, ::2] = data["x"]
    return trainer, {**data, "x": wide[:, ::2]}


def converted() -> Made:
    trainer, data = classifier()
    return trainer, {"x": gn.data.Converted(data["x"]), "y": gn.data.Converted(data["y"].astype(np.uint8), "int64")}


def doubles() -> Made:
    trainer, data = classifier(dtype="float64")
    return trainer, {**data, "x": data["x"].astype(np.float64)}


CASES: dict[str, Callable[[], Made]] = {
    "sgd": classifier,
    "adam with clipping": lambda: classifier(gn.Adam(0.05, clip_norm=0.1)),
    "batches of one": lambda: classifier(batch_size=1, rows=17),
    "small": small,
    "small by twos": lambda: small(2),
    "whole batches": lambda: classifier(rows=48),
    "all rows at once": lambda: classifier(batch_size=None),
    "fewer rows than a batch": lambda: classifier(rows=6),
    "no watch": lambda: classifier(watch=False),
    "watched gradients": lambda: classifier(watch="gradients"),
    "two threads": lambda: classifier(threads=2),
    "decay": lambda: classifier(weight_decay=0.1),
    "float64": doubles,
    "images": images,
    "words": words,
    "strided": strided,
    "converted": converted,
}


def by_steps(made: Made, epochs: int, shuffle: bool, generator: np.random.Generator) -> tuple[list[float], list[float]]:
    """(the loss of each step, the mean of each epoch): what `fit` means, step by step."""
    trainer, data = made
    rows = max(len(a) for a in data.values() if np.ndim(a))
    size = trainer.batch_size or rows
    losses, means = [], []
    for _ in range(epochs):
        order, total = np.arange(rows), 0.0
        if shuffle and trainer.batch_size:
            order = generator.permutation(rows)
        for first in range(0, rows, size):
            chosen = order[first : first + size]
            losses.append(trainer.step(**{n: np.asarray(a)[chosen] if np.ndim(a) else a for n, a in data.items()}))
            total += len(chosen) * losses[-1]
        means.append(total / rows if trainer.batch_size else losses[-1])
    return losses, means


def state(trainer: gn.Trainer) -> dict[str, bytes]:
    return {name: np.array(value).tobytes() for name, value in trainer.network.state.items()}


@pytest.mark.parametrize("case", CASES)
def test_fit_is_a_loop_over_steps(case: str) -> None:
    expected, (trainer, data) = CASES[case](), CASES[case]()
    generator = np.random.default_rng(trainer.seed)
    for shuffle in (True, False):
        losses, means = by_steps(expected, 2, shuffle, generator)
        history = trainer.fit(data, 2, shuffle=shuffle, progress=False)
        assert history.steps == losses
        assert history.loss == means
        assert state(trainer) == state(expected[0])
        assert losses[-1] != losses[0]


class Every(gn.Callback):
    def __init__(self, steps: int) -> None:
        self.steps, self.heard = steps, []

    def due(self, made: int) -> float:
        return self.steps - made % self.steps

    def step(self, trainer: gn.Trainer, loss: float) -> None:
        self.heard.append(len(trainer.history.steps))


@pytest.mark.parametrize(
    ("steps", "heard"), [(1, [*range(1, 15)]), (3, [3, 6, 7, 9, 12, 13, 14]), (99, [6, 7, 13, 14])]
)
def test_stretches_end_where_a_callback_is_due(steps: int, heard: list[int]) -> None:
    plain, data = classifier()
    plain.fit(data, 2, progress=False)
    trainer, callback = classifier()[0], Every(steps)
    trainer.fit(data, 2, callbacks=[callback], progress=False)
    assert callback.heard == heard  # 53 rows are six batches and a smaller one
    assert trainer.history.to_dict() == plain.history.to_dict()
    assert state(trainer) == state(plain)


def test_a_plain_callback_hears_of_each_step_and_others_of_none() -> None:
    class Counts(gn.Callback):
        def step(self, trainer: gn.Trainer, loss: float) -> None:
            pass

    assert Counts().due(7) == 1
    assert gn.Callback().due(7) == np.inf
    assert gn.Checkpoint("c").due(7) == np.inf
    assert gn.Checkpoint("c", every_steps=5).due(7) == 3


def test_what_a_callback_writes_into_the_data_is_read() -> None:
    """Labels are looked at before each native call that reads them."""
    trainer, data = classifier()

    def spoil(trainer: gn.Trainer, history: gn.History) -> None:
        data["y"][20] = 4

    with pytest.raises(BoundaryError, match=r"y: int64\[8\]: the value 4 .* is not in \[0, 4\)"):
        trainer.fit(data, 3, callbacks=[spoil], progress=False)
    assert (trainer.history.epochs, len(trainer.history.steps)) == (1, 7)


def test_the_data_are_let_go_of() -> None:
    trainer, data = classifier()
    held = weakref.ref(data["x"])
    trainer.fit(data, progress=False)
    del data
    assert held() is None


@pytest.mark.parametrize("case", ["small", "sgd", "strided"])
def test_fits_of_the_same_arrays_read_what_they_hold_by_then(case: str) -> None:
    """The second fit knows the arrays already; the fourth is on other ones, and the fifth on the first again."""
    expected, (trainer, data) = CASES[case](), CASES[case]()
    for scale in (1, 2, 3):
        data["x"][...] = scale * expected[1]["x"]
        by_steps((expected[0], data), 1, False, np.random.default_rng(0))
        trainer.fit(data, shuffle=False, progress=False)
        assert state(trainer) == state(expected[0])
    for given in ({**data, "x": data["x"] + 1}, data):
        by_steps((expected[0], given), 1, False, np.random.default_rng(0))
        trainer.fit(given, shuffle=False, progress=False)
        assert state(trainer) == state(expected[0])


def test_labels_are_looked_at_by_each_fit() -> None:
    trainer, data = classifier()
    trainer.fit(data, progress=False)
    data["y"][20] = 4
    before = state(trainer)
    with pytest.raises(BoundaryError, match=r"y: int64\[8\]: the value 4 .* is not in \[0, 4\)"):
        trainer.fit(data, progress=False)
    assert state(trainer) == before


def test_a_step_that_is_not_finite_ends_the_stretch_before_it() -> None:
    trainer, data = classifier()
    data["x"][20] = np.nan
    with pytest.raises(NumericError, match=r"epoch 1, step 3: the input 'x' has 3 of 24 .* row 20 by itself"):
        trainer.fit(data, shuffle=False, progress=False)
    expected, _ = classifier()
    first = {name: array[:16] for name, array in data.items()}
    losses, _ = by_steps((expected, first), 1, False, np.random.default_rng(0))
    assert trainer.history.steps == losses
    assert trainer.position.batch == 2
    assert state(trainer) == state(expected)


STEPS = 1_000_000  # of an epoch that takes half a second, so that what is to happen meanwhile does so on a busy machine


@cache
def many_rows() -> Arrays:
    rng, rows = np.random.default_rng(5), 4 * STEPS
    return {"x": rng.normal(size=(rows, 3)).astype(np.float32), "y": rng.integers(0, 4, rows)}


def long() -> Made:
    """A trainer that takes STEPS steps an epoch."""
    return classifier(gn.Adam(0.01), batch_size=4)[0], many_rows()


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, bytes]:
    trainer, data = long()
    trainer.fit(data, 2, progress=False)
    return state(trainer)


def during(trainer: gn.Trainer, steps: int, act: Callable[[], object]) -> threading.Thread:
    """Act when the fit has made so many steps of its first stretch."""
    loop = trainer.steps(4)

    def wait() -> None:
        while loop.done < steps:
            time.sleep(0.001)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_an_interrupt_stops_between_two_steps_and_the_fit_can_go_on(uninterrupted: dict[str, bytes]) -> None:
    trainer, data = long()
    thread = during(trainer, 1000, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, 2, progress=False)
    thread.join()
    made = len(trainer.history.steps)
    assert 1000 <= made < STEPS
    assert trainer.network.state["adam.t"] == trainer.position.batch == made
    trainer.fit(data, 2, progress=False, resume=True)
    assert state(trainer) == uninterrupted


def test_the_error_of_another_signal_handler_stops_it_likewise(uninterrupted: dict[str, bytes]) -> None:
    def handler(number: int, frame: object) -> None:
        raise TimeoutError("enough")

    trainer, data = long()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        thread = during(trainer, 1000, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        with pytest.raises(TimeoutError, match="enough"):
            trainer.fit(data, 2, progress=False)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert trainer.network.state["adam.t"] == trainer.position.batch == len(trainer.history.steps) < STEPS
    trainer.fit(data, 2, progress=False, resume=True)
    assert state(trainer) == uninterrupted


def test_a_signal_handler_may_save_while_steps_are_made(tmp_path: Path, uninterrupted: dict[str, bytes]) -> None:
    trainer, data = long()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: trainer.save(tmp_path / "saved"))
    try:
        thread = during(trainer, 1000, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        trainer.fit(data, 2, progress=False)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert state(trainer) == uninterrupted
    again = long()[0]
    again.restore(tmp_path / "saved")
    made = len(again.history.steps)
    assert 1000 <= made == again.position.batch == again.network.state["adam.t"] < STEPS
    again.fit(data, 2, progress=False, resume=True)
    assert state(again) == uninterrupted
    assert again.history.to_dict() == trainer.history.to_dict()


def test_fits_in_several_threads_at_once(uninterrupted: dict[str, bytes]) -> None:
    made = [long() for _ in range(3)]
    threads = [threading.Thread(target=t.fit, args=(data, 2), kwargs={"progress": False}) for t, data in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(state(trainer) == uninterrupted for trainer, _ in made)


def test_progress_is_shown_while_native_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr("graphnn.run.steps.TICK", 1e-3)
    monkeypatch.setattr("graphnn.nn.training.progress.Bar.show", lambda self, steps: shown.append(steps))
    trainer, data = long()
    trainer.fit(data, 1, progress=False)
    assert len(shown) > 2
    assert shown == sorted(shown)
    assert shown[-1] == STEPS


INTERRUPTED = """
import time
import numpy as np
import graphnn as gn
from tests.nn.test_fit_loop import during

net = gn.Network("large")
loss = gn.mean(gn.square(gn.dense(gn.dense(net.input("x", ("N", 4)), 512, gn.tanh, name="h"), 1, name="z")))
trainer = gn.Trainer(loss, gn.Adam(1e-3), batch_size=4)
during(trainer, 1000, lambda: print("running", flush=True))
try:
    trainer.fit({"x": np.ones((4_000_000, 4), np.float32)}, progress=False)
except KeyboardInterrupt:
    made = len(trainer.history.steps)
    print(time.time(), made == trainer.network.state["adam.t"] == trainer.position.batch, flush=True)
"""


def test_ctrl_c_ends_a_process_soon() -> None:
    """200 ms are promised on a machine that is free; this one may be busy. The epoch takes several seconds."""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        sent = time.time()
        process.send_signal(signal.SIGINT)
        returned, consistent = process.stdout.read().split()
    assert consistent == "True"
    assert float(returned) - sent < 2
    assert process.returncode == 0

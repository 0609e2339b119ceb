"""Steps in one native call against `Trainer.step`, what `fit` costs beside them, and how soon Ctrl-C ends it.

    python -m tests.benchmarks.epochs [--threads N]

Microseconds of one step, the best of several turns: `step` is a call of `Trainer.step` on one batch that stays in the
cache; `in order` and `shuffled` are steps of an epoch, over data that may not; `fit` adds what Python does for the fit
and the epoch.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np

from graphnn.run.steps import Stretch
from tests.benchmarks.peers.graphnn_peer import declare, trainer
from tests.benchmarks.timing import seconds
from tests.benchmarks.works import WORKS, Net, dense

TURNS = 15
INTERRUPTS = 10


def epoch(work: str | Net, steps: int) -> Net:
    """The epoch of so many steps of a work."""
    net = WORKS[work] if isinstance(work, str) else work
    assert isinstance(net, Net)
    return Net("epoch", net.batch, net.shape, net.activation, net.layers, net.quadratic, steps, net.rate)


NETS = {
    "tiny": epoch("tiny", 5000),
    "classic": epoch(Net("step", 10, (784,), "sigmoid", dense(30, 10), quadratic=True), 1000),
    "mlp64": epoch("mlp64", 100),
}


def best(run: Callable[[], object], steps: int) -> float:
    """Microseconds of one of the steps that a run makes."""
    return 1e6 * min(seconds(run) for _ in range(TURNS)) / steps


def measure(work: Net, threads: int) -> dict[str, float]:
    made = trainer(declare(work, work.weights())[1], work, threads)
    x, y = work.data()
    data, first = {"x": x, "y": y}, {"x": x[: work.batch], "y": y[: work.batch]}
    made.fit(data, 2, progress=False)  # compiles
    loop, rows = made.steps(work.batch), frozenset(data)
    shuffled = np.random.default_rng(0).permutation(len(x))
    stretches = {
        name: Stretch(data, rows, work.batch, 0, work.steps, order)
        for name, order in (("in order", None), ("shuffled", shuffled))
    }
    for _ in range(20):  # until the native entry is there
        made.step(**first)
    found = {"step": best(lambda: [made.step(**first) for _ in range(work.steps)], work.steps)}
    for name, stretch in stretches.items():
        found[name] = best(lambda: loop.run(stretch, 0, work.steps, 0.0), work.steps)  # noqa: B023
    found["fit"] = best(lambda: made.fit(data, progress=False), work.steps)
    return found


def interrupt(fit: Callable[[], object]) -> float:
    """Milliseconds from SIGINT, some time after the fit began, to the KeyboardInterrupt that it raises."""
    sent = 0.0

    def send() -> None:
        nonlocal sent
        sent = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.05, send).start()
    try:
        fit()
    except KeyboardInterrupt:
        return 1e3 * (time.perf_counter() - sent)
    raise RuntimeError("the fit was over before the signal came: give it more epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rows = {name: measure(work, options.threads) for name, work in NETS.items()}
    print("us a step".ljust(10), *(column.rjust(9) for column in next(iter(rows.values()))))
    for name, found in rows.items():
        print(name.ljust(10), *(f"{value:9.3f}" for value in found.values()))
    for name in ("tiny", "mlp64"):
        work = NETS[name]
        made, (x, y) = trainer(declare(work, work.weights())[1], work, options.threads), work.data()
        made.fit({"x": x, "y": y}, progress=False)
        if name == "tiny":
            one = {"x": x[:1], "y": y[:1]}
            each = best(lambda: made.fit(one, 200, progress=False), 200)  # noqa: B023
            print(f"\nan epoch of one step of tiny: {each:.1f}")
    waits = [interrupt(lambda: made.fit({"x": x, "y": y}, 10_000, progress=False)) for _ in range(INTERRUPTS)]
    print(f"\nCtrl-C during a fit of mlp64: {statistics.median(waits):.2f} ms, at most {max(waits):.2f}")


if __name__ == "__main__":
    main()

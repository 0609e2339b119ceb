"""What a second core is worth: steps of graphnn alone, on one thread and on two in turns.

    python -m tests.benchmarks.second_core [WORK ...]

The best turn of each counts. Two processors of a virtual machine may be one core for seconds: then both threads compute
all the time (the process takes twice the time of the clock), and a step takes as long as on one.
"""

from __future__ import annotations

import statistics
import sys
import time

from tests.benchmarks.peers.graphnn_peer import declare, trainer
from tests.benchmarks.works import WORKS, Net

DEFAULT = ("mlp64", "mlp512", "lenet64", "vgg64")
TURNS, SECONDS = 10, 0.3  # of each turn
WARM = 3  # steps


def measure(name: str) -> tuple[float, float]:
    """Seconds of a step on one thread and on two: the median of the best turn of each."""
    work = WORKS[name]
    if not isinstance(work, Net) or work.kind != "step":
        raise SystemExit(f"{name} is no training step")
    x, y = work.data()
    trainers = [trainer(declare(work, work.weights())[1], work, threads) for threads in (1, 2)]
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for trained, times in zip(trainers, found, strict=True):
            for _ in range(WARM):
                trained.step(x=x, y=y)
            steps, end = list[float](), time.perf_counter() + SECONDS
            while (start := time.perf_counter()) < end:
                trained.step(x=x, y=y)
                steps.append(time.perf_counter() - start)
            times.append(statistics.median(steps))
    return min(found[0]), min(found[1])


def main() -> None:
    print("| | one core, ms | two, ms | ratio |\n|---|---|---|---|")
    for name in sys.argv[1:] or DEFAULT:
        one, two = measure(name)
        print(f"| {name} | {1e3 * one:.3f} | {1e3 * two:.3f} | {one / two:.2f} |", flush=True)


if __name__ == "__main__":
    main()

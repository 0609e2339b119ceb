"""What a second core is worth: steps of graphnn alone, on one thread and on two in turns.

    python -m tests.benchmarks.second_core [WORK ...]

Two processors of a virtual machine may be one core for seconds at a time. So each turn first asks what a loop of
multiply-adds, which shares no memory and waits for nobody, gains from the second one: a step can't gain more.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass

from graphnn.nn.training.trainer import Trainer
from tests.benchmarks.peak import multiply_adds
from tests.benchmarks.peers.graphnn_peer import declare, trainer
from tests.benchmarks.works import WORKS, Array, Net

DEFAULT = ("mlp64", "mlp512", "lenet64", "vgg64")
TURNS, SECONDS = 20, 0.2  # of each turn on each number of threads
WARM = 3  # steps
RUNS = 9  # of the multiply-adds, some 7 ms each
TWO_CORES = 1.9  # from which on the loop of multiply-adds had two cores


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds of a step on one thread and on two, and how many times the multiply-adds of one core two cores did."""

    one: float
    two: float
    cores: float

    @property
    def gain(self) -> float:
        return self.one / self.two


def step_seconds(trained: Trainer, x: Array, y: Array) -> float:
    """The median over SECONDS, after some steps that wake the threads."""
    for _ in range(WARM):
        trained.step(x=x, y=y)
    steps, end = list[float](), time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        trained.step(x=x, y=y)
        steps.append(time.perf_counter() - start)
    return statistics.median(steps)


def measure(name: str) -> list[Turn]:
    work = WORKS[name]
    if not isinstance(work, Net) or work.kind != "step":
        raise SystemExit(f"{name} is no training step")
    x, y = work.data()
    trainers = [trainer(declare(work, work.weights())[1], work, threads) for threads in (1, 2)]
    turns = []
    for _ in range(TURNS):
        one, two = (statistics.median(multiply_adds(threads, RUNS)) for threads in (1, 2))
        turns.append(Turn(*(step_seconds(trained, x, y) for trained in trainers), cores=two / one))
    return turns


def row(name: str, turns: list[Turn]) -> str:
    doubled = [turn.gain for turn in turns if turn.cores >= TWO_CORES]
    with_two = f"{statistics.median(doubled):.2f} ({len(doubled)} of {TURNS})" if doubled else f"- (0 of {TURNS})"
    one, two = (1e3 * min(times) for times in zip(*((t.one, t.two) for t in turns), strict=True))
    gain, cores = (statistics.median(values) for values in zip(*((t.gain, t.cores) for t in turns), strict=True))
    return f"| {name} | {one:.3f} | {two:.3f} | {one / two:.2f} | {gain:.2f} | {cores:.2f} | {with_two} |"


def main() -> None:
    print("| | one core, ms | two, ms | best turns | median gain | of multiply-adds | median where those doubled |")
    print("|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or DEFAULT:
        print(row(name, measure(name)), flush=True)


if __name__ == "__main__":
    main()

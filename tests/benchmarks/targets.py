"""What graphnn is to reach: against the best peer, and against what the machine can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.benchmarks.works import WORKS, Net

Results = dict[str, Any]  # what `python -m tests.benchmarks` writes as JSON


@dataclass(frozen=True, slots=True)
class Target:
    """A work, by how much the best peer's time is to exceed graphnn's, and one of the bounds.

    seconds  at most that long; peak, copied  at least that part of the multiply-add peak, of the copy bandwidth
    """

    work: str
    ahead: float | None
    seconds: float | None = None
    peak: float | None = None
    copied: float | None = None


TARGETS = (
    Target("tiny", 10, seconds=0.5e-6),
    Target("tiny epoch", 1.5, seconds=0.05e-6),
    Target("mlp64", 1.4, peak=0.80),
    Target("mlp512", 1.08, peak=0.88),
    Target("lenet64", 3.5, seconds=1.1e-3),
    Target("lenet64 inference", 2.2),
    Target("vgg64", 1.4, peak=1.0),
    Target("vgg64 inference", 1.3, peak=1.0),
    Target("alexnet1 inference", 1.0),
    Target("alexnet16", 1.15),
    *(Target(f"{formula} 4k", 1.5) for formula in ("sigmoid", "gelu", "adam", "softmax")),
    *(Target(f"{formula} 16M", None, copied=0.9) for formula in ("sigmoid", "gelu", "adam", "softmax")),
)
SECOND_CORE = 1.8, ("lenet64", "vgg64", "mlp512")  # one core's time over two cores', and the works
COMPILED = {"mlp64": 0.2, "lenet64": 0.5, "alexnet16": 1.5}  # seconds of a cold compile; and below jax.jit's
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
CACHED, IMPORTED, STARTED = 0.015, 0.1, 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row of the table: what was wanted, what was measured, the best peer, and whether it is met."""

    row: str
    wanted: str
    graphnn: str
    peer: str
    ratio: str
    met: bool


def best_peer(times: dict[str, Any]) -> tuple[str, float] | None:
    """The fastest of the others that has a figure."""
    others = {name: t for name, t in times.items() if name != "graphnn" and isinstance(t, float)}
    return min(others.items(), key=lambda pair: pair[1], default=None)


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    value = seconds / size
    digits = 3 if value < 0.1 else max(0, 2 - (value >= 10) - (value >= 100))
    return f"{value:.{digits}f} {unit}"


def against(times: dict[str, Any], own: float) -> tuple[str, str]:
    """The best peer with its time, and that over our own; empty where there is none."""
    best = best_peer(times)
    return (f"{best[0]}, {duration(best[1])}", f"{best[1] / own:.2f}") if best else ("", "")


def judge(results: Results, threads: str) -> list[Verdict]:
    """The works' rows at a number of threads; those that were not measured are left out."""
    found = []
    for target in TARGETS:
        times = results["times"].get(threads, {}).get(target.work, {})
        own, best = times.get("graphnn"), best_peer(times)
        if not isinstance(own, float):
            continue
        wanted, measured, met = [], [duration(own)], []
        if target.ahead is not None:
            wanted.append(f"{target.ahead:g}x")
            met.append(best is None or best[1] / own >= target.ahead)
        if target.seconds is not None and threads == "1":
            wanted.append(f"under {duration(target.seconds)}")
            met.append(own < target.seconds)
        reached = part_of_limit(results, target.work, own, threads)
        if reached and (target.peak or target.copied):
            limit = target.peak or target.copied or 0.0
            name = "peak" if target.peak else "copy bandwidth"
            wanted.append(f"{limit:.0%} of {name}")
            measured.append(f"{reached:.0%} of {name}")
            met.append(round(reached, 2) >= limit)
        texts = "; ".join(wanted), "; ".join(measured), *against(times, own)
        found.append(Verdict(target.work, *texts, all(met)))
    return found


def part_of_limit(results: Results, work: str, seconds: float, threads: str) -> float | None:
    """Of the multiply-add peak for networks, of the copy bandwidth for large chains."""
    asked, machine = WORKS[work], results["machine"]
    if isinstance(asked, Net):
        return 1e-9 * asked.flops / seconds / machine["peak"][threads]
    if asked.elements > 2**20:
        return 4e-9 * asked.traffic * asked.elements / seconds / machine["copy"][threads]
    return None


def judge_second_core(results: Results) -> list[Verdict]:
    one, two = (results["times"].get(threads, {}) for threads in ("1", "2"))
    limit, works = SECOND_CORE
    found = []
    for work in works:
        times = [times.get(work, {}).get("graphnn") for times in (one, two)]
        if all(isinstance(t, float) for t in times):
            ratio = times[0] / times[1]
            row = f"second core: {work}", f"{limit}x", duration(times[1]), "graphnn on one core", f"{ratio:.2f}"
            found.append(Verdict(*row, round(ratio, 2) >= limit))
    return found


def judge_fresh(results: Results) -> list[Verdict]:
    """Compiles, starts and memory."""
    found = []
    for work, limit in COMPILED.items():
        times = results["compile"].get(work, {})
        if isinstance(own := times.get("graphnn"), float):
            jax = {name: t for name, t in times.items() if name == "jax"}
            met = own < limit and own < (best_peer(jax) or ("", own + 1))[1]
            wanted = f"below jax; under {duration(limit)}"
            found.append(Verdict(f"cold compile: {work}", wanted, duration(own), *against(jax, own), met))
    floors = ("python", "numpy")
    limited = [(f"compile from disk: {work}", CACHED, times) for work, times in results["cached"].items()]
    limited += [("import", IMPORTED, results["imports"]), ("start to first result", STARTED, results["starts"])]
    for row, limit, times in limited:
        if isinstance(own := times.get("graphnn"), float):
            others = against({name: t for name, t in times.items() if name not in floors}, own)
            found.append(Verdict(row, f"under {duration(limit)}", duration(own), *others, own < limit))
    for work, figures in results["memory"].items():
        peaks = {name: figure["process"] for name, figure in figures.items() if isinstance(figure, dict)}
        if own := peaks.pop("graphnn", None):
            name, least = min(peaks.items(), key=lambda pair: pair[1], default=("", own + 1))
            others = f"{name}, {least:.0f} MB", f"{least / own:.2f}"
            found.append(Verdict(f"memory: {work}", "least of all", f"{own:.0f} MB", *others, own < least))
    return found

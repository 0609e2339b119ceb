"""A training step of graphnn against the same step in NumPy, and where a cold compile spends its time.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.works [--rounds 60] [--json FILE]

The two alternate within one run, so that a slow minute of the machine meets both; the ratio is the median of the
ratios of neighbours. `floor` is the time of the step's multiply-adds alone at the measured peak of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.networks import WORKS, Work, numpy_step, trainer
from tests.benchmarks.peak import peak
from tests.benchmarks.stages import cold_compile, cold_import
from tests.benchmarks.timing import seconds

SLICE = 5e-3  # seconds that one side runs before the other takes its turn
COLD = 3  # fresh processes


def steps(work: Work) -> tuple[Callable[[], float], Callable[[], float]]:
    """One step in graphnn and one in NumPy, from the same weights; CompileError and the like as they come."""
    native, data = trainer(work.declare(), work), work.data()
    state = {name: np.array(value) for name, value in native.network.state.items()}
    return lambda: native.step(**data), numpy_step(work, state, **data)


def alternate(first: Callable[[], object], second: Callable[[], object], rounds: int) -> list[tuple[float, float]]:
    """Seconds a call of both, `rounds` times in turns."""
    repeats = [max(1, round(SLICE / max(seconds(f), seconds(f), 1e-7))) for f in (first, second)]

    def many(function: Callable[[], object], count: int) -> float:
        return seconds(lambda: [function() for _ in range(count)]) / count

    return [(many(first, repeats[0]), many(second, repeats[1])) for _ in range(rounds)]


def compare(work: Work, rounds: int) -> dict[str, float]:
    """Medians in microseconds, the median ratio, and the floor. AssertionError where the two disagree."""
    native, numpy = steps(work)
    for _ in range(3):
        np.testing.assert_allclose(native(), numpy(), rtol=1e-4)
    pairs = alternate(native, numpy, rounds)
    return {
        "graphnn_us": 1e6 * statistics.median(a for a, _ in pairs),
        "numpy_us": 1e6 * statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
        "best_us": 1e6 * min(a for a, _ in pairs),
        "floor_us": 1e-3 * work.flops / peak(),
    }


def medians(samples: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}


def table(rows: dict[str, dict[str, float]], digits: int) -> str:
    """| work | column | ... with a row for each work."""
    columns = list(next(iter(rows.values())))
    lines = [["work", *columns]] + [[name, *(f"{row[c]:.{digits}f}" for c in columns)] for name, row in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["| " + " | ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, default=Path(".benchmarks/works.json"))
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OPENBLAS_NUM_THREADS=1: the comparison is on one core")
    found: dict[str, Any] = {
        "steps": {name: compare(work, options.rounds) for name, work in WORKS.items()},
        "compile_seconds": {name: medians([cold_compile(name) for _ in range(COLD)]) for name in WORKS},
        "import_seconds": statistics.median(cold_import("graphnn") for _ in range(COLD)),
        "peak_gflops": peak(),
    }
    print(table(found["steps"], 2), table(found["compile_seconds"], 3), sep="\n\n")
    print(f"\nimport graphnn: {found['import_seconds']:.3f} s; multiply-add peak: {found['peak_gflops']:.0f} GF/s")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Seconds of the stages of a cold compile, each in a fresh process that has imported everything; median of three.

python -m tests.benchmarks.stages mlp64 lenet64
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from time import process_time
from typing import Any
from unittest.mock import patch

from tests.benchmarks.peers.graphnn_peer import COMPILER, PUT_OFF, declare, trainer
from tests.benchmarks.peers.server import compiling
from tests.benchmarks.timing import seconds
from tests.benchmarks.works import STEPS, WORKS, Net

# The functions that a compile calls, under the name of the stage that they are.
STAGES = {
    "simplify": "simplify",
    "lower": "lower",
    "schedule": "schedule",
    "emit": "emit",
    "llvm": "finish",
    "load": "Executable",
}


def cold_compile(name: str) -> dict[str, float]:
    """Seconds of each stage for a work, from a process of its own; `total` is all of them without the imports."""
    child = [sys.executable, "-m", "tests.benchmarks.stages", "--here", name]
    found: dict[str, float] = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    return found


def measure(name: str) -> dict[str, float]:
    """The seconds in this process: honest only the first time.

    `imports` is what the lazy `import graphnn` puts off; `rest` lies between the stages: the update rules, the texts.
    LLVM works beside `emit`, too: `llvm` is what is left when all text is written. `cpu` is of all threads. The copying
    of first weights is not in `declare`, as in `fresh`.
    """
    os.environ["GRAPHNN_CACHE"] = "0"  # nothing is found on disk, and nothing is kept
    work = WORKS[name]
    assert isinstance(work, Net)
    weights = work.weights()
    imports = seconds(lambda: [importlib.import_module(module) for module in (*PUT_OFF, *COMPILER)])
    compiling.start()
    _, loss = declare(work, weights)
    spent = {"declare": compiling.seconds}
    with _timed(spent):
        before = process_time()
        total = spent["declare"] + seconds(lambda: trainer(loss, work).executable())
        busy = process_time() - before
    found = {stage: spent[stage] for stage in ("declare", "derive", *STAGES)}
    rest, cpu = total - sum(found.values()), spent["declare"] + busy
    return {"imports": imports, **found, "rest": rest, "total": total, "cpu": cpu}


@contextmanager
def _timed(spent: dict[str, float]) -> Iterator[None]:
    """Count the seconds of each stage's function while it is called by the module that runs it."""
    stages, pipeline = importlib.import_module("graphnn.stages"), importlib.import_module("graphnn.pipeline")
    apart: dict[str, Any] = {"llvm": stages.Codegen, "load": pipeline}
    places = {stage: (apart.get(stage, stages), function) for stage, function in STAGES.items()}
    places["derive"] = importlib.import_module("graphnn.derive.reverse"), "add_adjoints"
    started = []
    for stage, (target, function) in places.items():
        started.append(patch.object(target, function, _counted(getattr(target, function), stage, spent)))
    for patcher in started:
        patcher.start()
    try:
        yield
    finally:
        for patcher in started:
            patcher.stop()


def _counted(function: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        result: list[Any] = []
        spent[stage] = spent.get(stage, 0.0) + seconds(lambda: result.append(function(*arguments, **options)))
        return result[0]

    return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("works", nargs="+", choices=STEPS)
    parser.add_argument("--here", action="store_true", help="in this process, once, as JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.works[0])))
        return
    for n, name in enumerate(options.works):
        samples = [cold_compile(name) for _ in range(3)]
        stages = list(samples[0])
        if not n:
            print(" " * 10 + " ".join(f"{stage:>8}" for stage in stages))
        print(f"{name:10}" + " ".join(f"{statistics.median(s[stage] for s in samples):8.3f}" for stage in stages))


if __name__ == "__main__":
    main()

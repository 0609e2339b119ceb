"""A process that builds a library's works and times slices of them when asked, so that libraries alternate in one run.

It answers each line of its input with a line of JSON:

    build WORK   builds it, runs it a few times; "first" is seconds from the formulas to the first result, "result" the
                 file with what is compared, or "cannot" the reason why this library doesn't do that work
    slice        seconds per run over about SLICE seconds
    memory       the resident megabytes of five runs: see `resident`
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.works import WORKS, Work

SLICE = 0.05
RUNS = 3  # whose results are compared
COMPARED = 1 << 16  # elements of a result, taken at equal distances
Run = Callable[[], Any]  # one run of a work; gives its loss or its result, computed when it returns
Built = Run | tuple[Run, Run]  # with a second one that reads the result, where a run doesn't give it


class Cannot(Exception):
    """A library that doesn't do a work."""


class Stopwatch:
    """Started by a peer where it has its data and begins with formulas: what comes before isn't compiling."""

    _begun = 0.0

    def start(self) -> None:
        self._begun = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While a library takes over first weights that it can take after the formulas only; others do so before."""
        stopped = time.perf_counter()
        try:
            yield
        finally:
            self._begun += time.perf_counter() - stopped

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun


compiling = Stopwatch()


def values(result: Any) -> np.ndarray[Any, Any]:
    """What is compared of a result: a number, an array or a tuple of arrays."""
    parts = result if isinstance(result, tuple | list) else [result]
    flat = [np.asarray(part, np.float64).ravel() for part in parts]
    return np.concatenate([part[:: max(1, part.size // COMPARED)] for part in flat])


def seconds(run: Run, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def resident(run: Run) -> dict[str, float]:
    """Megabytes: `before` the library's own after its import, `peak` of five runs, `process` of all since the start.

    The kernel's mark of the largest resident set (VmHWM) is put back before the five runs, so that what compiling took
    and gave back isn't in `peak`; it is in `process`. (ru_maxrss would begin with that of the parent process.)
    """
    process = _status("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(5):
        run()
    return {"before": _BEFORE, "peak": _status("VmHWM"), "process": max(process, _status("VmHWM"))}


def _status(field: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{field}:")[1].split()[0]) / 1024


_BEFORE = 0.0


def serve(build: Callable[[Work], Built]) -> None:
    """Answer until the input ends; `build` makes what runs a work, or raises Cannot."""
    global _BEFORE  # noqa: PLW0603
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    _BEFORE = _status("VmRSS")
    library = Path(sys.argv[0]).stem.removesuffix("_peer")
    print(json.dumps({"version": sys.modules[library].__version__}), file=answers)
    run: Run = _nothing
    repeats, built = 1, ""
    for line in sys.stdin:
        order, _, name = line.strip().partition(" ")
        if order == "build":
            run = _nothing  # the work before is freed
            answer, run, repeats = _prepare(build, name)
        elif order == "slice":
            once = seconds(run, repeats)
            answer, repeats = {"seconds": once / WORKS[built].steps}, repetitions(once)
        else:
            answer = resident(run)
        built = name or built
        print(json.dumps(answer), file=answers)


def _prepare(build: Callable[[Work], Built], name: str) -> tuple[dict[str, Any], Run, int]:
    """The answer to `build`, the function, and how often it runs in a slice."""
    compiling.start()
    try:
        built = build(WORKS[name])
        run, read = built if isinstance(built, tuple) else (built, None)
        result = run()
    except Cannot as reason:
        return {"cannot": str(reason)}, _nothing, 1
    first = compiling.seconds
    found, once = [values(read() if read else result)], first
    for _ in range(RUNS - 1):
        start = time.perf_counter()
        result = run()
        once = min(once, time.perf_counter() - start)
        found.append(values(read() if read else result))
    # The clock is coarse beside a call of a microsecond.
    once = seconds(run, 1000) if once < 1e-4 else once
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
        np.save(file, np.concatenate(found))
    return {"first": first - once, "result": file.name}, run, repetitions(once)


def repetitions(once: float) -> int:
    return max(1, round(SLICE / max(once, 1e-7)))


def _nothing() -> None:
    """What runs where nothing is built."""

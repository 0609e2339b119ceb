"""A process that times one library's step when asked, so that libraries alternate within one run.

It prints "ready" and the loss of the first steps, then for each line of its input runs steps for about SLICE seconds
and prints the seconds per step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

SLICE = 0.1
WARM_UP = 3


def serve(step: Callable[[], float]) -> None:
    """`step` makes one training step and gives its loss, computed when it returns."""
    losses = [float(step()) for _ in range(WARM_UP)]
    start = time.perf_counter()
    step()
    repeats = max(1, round(SLICE / max(time.perf_counter() - start, 1e-7)))
    print("ready", *losses, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        print((time.perf_counter() - start) / repeats, flush=True)

"""One stopwatch, in a module that imports nothing of graphnn: what a cold process imports is part of what is timed."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

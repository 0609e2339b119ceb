"""Python's collector of cycles, left off where much is made that stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Leave the collector off, as far as this block goes.

    A compile makes a million nodes that form no cycles, and each full collection walks through all of them and through
    sympy: a fifth of the time of a deep network, for 4% of its memory. A program found on disk takes 10 ms to load, and
    one such collection 60. What the block leaves counts as old at once: else the collection of the young that is due by
    then walks through all of it, up to a tenth of the compile.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # nothing that somebody has frozen is thawed
                gc.freeze()
                gc.unfreeze()
            gc.enable()

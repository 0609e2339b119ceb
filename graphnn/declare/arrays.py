"""Arrays that start at a cache line: a vector of a matrix that comes from memory is then one line and not two."""

from __future__ import annotations

import os
from contextvars import copy_context
from math import prod
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
# Bytes of a copy for each thread. To start one takes some 50 us; what it saves is the system's first touch of the new
# pages, 0.1 ms a MB, and 3 where a virtual machine's host has to find them, too.
SHARE = 1 << 22


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An uninitialised C-contiguous array of `shape` in `dtype` whose first element lies at a multiple of 64 bytes.

    `graphnn/run/arrays.py` has the same for arrays that no network owns: a saved program starts without this package.
    """
    kind = np.dtype(dtype)
    return _aligned(np.empty(prod(shape) * kind.itemsize + ALIGNMENT, np.uint8), shape, kind)


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Such an array of zeros. The pages of a large one are the system's, and take no memory until they are written."""
    kind = np.dtype(dtype)
    return _aligned(np.zeros(prod(shape) * kind.itemsize + ALIGNMENT, np.uint8), shape, kind)


def _aligned(raw: npt.NDArray[np.uint8], shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.ndarray(shape, kind, raw, -raw.ctypes.data % ALIGNMENT)


def aligned_copy(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Such an array with given values."""
    copy = aligned_empty(values.shape, dtype)
    copy_into(copy, values)
    return copy


def copy_into(target: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
    """`target[...] = values` for two arrays of one shape; what is large is divided among the processors."""
    threads = min(processors(), target.nbytes // SHARE)
    if threads < 2 or np.may_share_memory(target, values):  # NumPy keeps the order of what it reads and writes
        target[...] = values
        return
    along = 0 if target.shape[0] >= threads else int(np.argmax(target.shape))
    parts = zip(*(np.array_split(a, threads, along) for a in (target, values)), strict=True)
    first, *others = (_Copy(*part) for part in parts)
    running = [Thread(target=copy_context().run, args=(other.run,)) for other in others]  # np.errstate as it is here
    for thread in running:
        thread.start()
    first.run()
    for thread in running:
        thread.join()
    for copy in (first, *others):
        if copy.error is not None:
            raise copy.error


class _Copy:
    """A part of a copy, and what it raised: a cast that overflows warns, and warnings may be errors."""

    def __init__(self, target: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        self.target, self.values = target, values
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.target[...] = self.values
        except BaseException as error:
            self.error = error


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

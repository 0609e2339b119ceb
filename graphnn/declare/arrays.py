"""Arrays that start at a cache line: a vector of a matrix that comes from memory is then one line and not two."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An uninitialised C-contiguous array of `shape` in `dtype` whose first element lies at a multiple of 64 bytes.

    `graphnn/run/arrays.py` has the same for arrays that no network owns: a saved program starts without this package.
    """
    kind = np.dtype(dtype)
    raw = np.empty(prod(shape) * kind.itemsize + ALIGNMENT, np.uint8)
    return np.ndarray(shape, kind, raw, -raw.ctypes.data % ALIGNMENT)


def aligned_copy(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Such an array with given values."""
    copy = aligned_empty(values.shape, dtype)
    copy[...] = values
    return copy

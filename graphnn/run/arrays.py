"""Addresses of NumPy arrays, and arrays that start where vectors like to start."""

from __future__ import annotations

import ctypes
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from graphnn.schedule.memory import ALIGNMENT

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

# `array.flags.num & PLAIN == PLAIN`: native code can read the array as it is. One attribute instead of two saves 40 ns.
PLAIN = 0x101  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED, part of NumPy's binary interface

_PAGE = 4096
_BYTE = np.dtype(np.uint8)
_word = ctypes.c_size_t.from_address
_DATA = object.__basicsize__  # `char *data` is the first field of PyArrayObject, after the object's own


def documented_address(array: Array) -> int:
    """The address of the first element by the array interface protocol: 1.3 us."""
    return int(array.__array_interface__["data"][0])


def field_address(array: Array) -> int:
    """The address of the first element, read from the array object itself: 0.1 us."""
    return _word(id(array) + _DATA).value


def _field_agrees() -> bool:
    """Whether the field lies where the C API has had it since NumPy 1.7, on arrays whose data is elsewhere."""
    base = np.zeros((3, 4))
    return all(field_address(a) == documented_address(a) for a in (base, base[1:], base.T[2], base[:, ::-1]))


address = field_address if _field_agrees() else documented_address


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An uninitialised C-contiguous array whose first element lies at a multiple of 64 bytes."""
    raw = np.empty(prod(shape) * dtype.itemsize + ALIGNMENT, _BYTE)
    return np.ndarray(shape, dtype, raw, -address(raw) % ALIGNMENT)


def allocator(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], Array]:
    """What makes uninitialised C-contiguous arrays of a shape; above a page, where it is worth 0.7 us, aligned ones."""
    return partial(np.empty if is_small(shape, dtype) else aligned_empty, shape, dtype)


def is_small(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an output of this shape is allocated as NumPy does."""
    return prod(shape) * dtype.itemsize <= _PAGE


def span(array: Array) -> tuple[int, int]:
    """The half-open interval of addresses of a C-contiguous array; exact, so two arrays overlap where these do."""
    start = address(array)
    return start, start + array.nbytes


def described(array: Array) -> tuple[object, ...]:
    """What native code may be told of an array, all but its values: equal for arrays that it cannot tell apart."""
    return type(array), address(array), array.shape, array.dtype, array.flags.num


class Spans:
    """Where some disjoint arrays lie in memory."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        spans = sorted(span(array) for array in arrays if array.nbytes)
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def meet(self, start: int, end: int) -> bool:
        """Whether an address of [start, end) belongs to one of the arrays."""
        before = bisect_left(self._starts, end)  # those that start in front of `end`; the last of them reaches furthest
        return start < end and before > 0 and self._ends[before - 1] > start

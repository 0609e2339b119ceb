"""Arrays by input name, checked once, and mini-batches of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.errors import BoundaryError, GraphError

Arrays = dict[str, npt.NDArray[Any]]


def batch_symbol(inputs: Sequence[Tensor]) -> sympy.Symbol | None:
    """The symbolic size that the inputs lead with: the number of rows of a batch. None where all extents are ints."""
    leading = [t.shape_exprs[0] for t in inputs if t.ndim and t.shape_exprs[0].is_Symbol]
    if len(set(leading)) > 1:
        shapes = ", ".join(f"'{t.name}' {t.shape}" for t in inputs)
        raise GraphError(
            f"mini-batches need one leading size, the inputs have several: {shapes}; batch_size=None takes whole arrays"
        )
    return leading[0] if leading else None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the array of an input must be.

    `rows` tells that its first extent is the number of rows of a batch, `open` that this extent is no fixed one.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]
    rows: bool
    open: bool


def expect(inputs: Sequence[Tensor], batch: sympy.Symbol | None, dtype: str | None) -> dict[str, Expected]:
    """What the array of each input must be, by name; floats are `dtype` where it is given."""
    found = {}
    for tensor in inputs:
        chosen = dtype if dtype is not None and tensor.dtype in FLOATS else tensor.dtype
        leading = tensor.shape_exprs[0] if tensor.ndim else None
        rows, is_open = leading is not None and leading == batch, leading is not None and not leading.is_Integer
        found[tensor.name] = Expected(tensor.name, np.dtype(chosen), tensor.shape, rows, is_open)
    return found


def check_arrays(expected: Mapping[str, Expected], data: object, what: str) -> tuple[Arrays, int]:
    """(the arrays of `data`, their number of rows; 1 without a batch size).

    Raises BoundaryError, naming `what`, for arrays without names, a missing or unknown name, another dtype, another
    number of dimensions, different lengths, or no rows. Fixed extents and the values of labels are checked by the
    executable.
    """
    if not isinstance(data, Mapping):
        named = ", ".join(f"{name!r}: ..." for name in expected)
        raise BoundaryError(f"{what}: give the arrays by name: {{{named}}}, not a bare {type(data).__name__}")
    for name in data:
        if name not in expected:
            raise BoundaryError(f"{what}: there is no input '{name}'; the inputs are {', '.join(expected)}")
    arrays: Arrays = {}
    lengths: dict[str, int] = {}
    for name, needed in expected.items():
        if name not in data:
            raise BoundaryError(f"{what}: no array is given for the input '{name}'")
        array = arrays[name] = np.asarray(data[name])
        if array.dtype != needed.dtype:
            raise BoundaryError(f"{what}: '{name}' is {array.dtype}, not {needed.dtype}; use .astype('{needed.dtype}')")
        if array.ndim != len(needed.shape):
            raise BoundaryError(f"{what}: '{name}' has shape {array.shape}, the input is {needed.shape}")
        if needed.open and len(array) == 0:
            raise BoundaryError(f"{what}: '{name}' has shape {array.shape}: there are no rows; give at least one")
        if needed.rows:
            lengths[name] = len(array)
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise BoundaryError(f"{what}: the arrays have different lengths: {listed}")
    return arrays, next(iter(lengths.values()), 1)


class Batches:
    """Mini-batches of `size` rows, the last one as long as what is left.

    Rows are gathered into buffers made once, so a batch is good until the next one is asked for.
    """

    def __init__(self, arrays: Arrays, batched: Sequence[str], rows: int, size: int) -> None:
        self._arrays, self._rows, self._size = arrays, rows, min(size, rows)
        self._buffers = {n: np.empty((self._size, *arrays[n].shape[1:]), arrays[n].dtype) for n in batched}

    def __len__(self) -> int:
        return math.ceil(self._rows / self._size)

    def over(self, order: npt.NDArray[np.int64]) -> Iterator[tuple[Arrays, int]]:
        """(arrays, number of rows) of each batch, the rows in this order."""
        for start in range(0, self._rows, self._size):
            chosen = order[start : start + self._size]
            batch = dict(self._arrays)
            for name, buffer in self._buffers.items():
                # The indices are a permutation's: mode="clip" only spares NumPy the copy that "raise" makes with out=.
                batch[name] = np.take(self._arrays[name], chosen, axis=0, out=buffer[: len(chosen)], mode="clip")
            yield batch, len(chosen)

"""An array under another dtype and scale, converted when its rows are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.errors import DTypeError, ShapeError

Array = npt.NDArray[Any]
_DTYPES = ("float32", "float64", "int64", "bool")


class Converted:
    """array * scale + offset in `dtype`, row by row: bytes in a memory map become floats in a batch.

    `array` is an ndarray or a memory map of bools or numbers, in any byte order; `scale` and `offset` are numbers or
    arrays that broadcast to one row (a mean image, a factor per channel). Indexing gives plain arrays of the rows
    asked for; nothing else is ever converted, and `array` is not copied. `Trainer.fit` takes it as it takes arrays.

    Raises DTypeError for a dtype that no input has, for floats as integers, and for a scale of integers; ShapeError
    for a scalar, and where `scale` or `offset` do not broadcast to a row.
    """

    def __init__(
        self, array: Array, dtype: str = "float32", scale: npt.ArrayLike = 1, offset: npt.ArrayLike = 0
    ) -> None:
        if not isinstance(array, np.ndarray):
            raise DTypeError(f"Converted takes an ndarray or a memory map, not a {type(array).__name__}")
        if dtype not in _DTYPES:
            raise DTypeError(f"Converted: dtype {dtype!r} is not one of {', '.join(_DTYPES)}")
        if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, dtype, "same_kind"):
            raise DTypeError(f"Converted: an array of {array.dtype} cannot become {dtype}")
        if array.ndim == 0:
            raise ShapeError("Converted: a scalar has no rows")
        self._array, self.dtype = array, np.dtype(dtype)
        self._scale, self._offset = self._factor("scale", scale, 1), self._factor("offset", offset, 0)

    def _factor(self, what: str, value: npt.ArrayLike, neutral: int) -> Array | None:
        """The value in `dtype`; None where it changes nothing."""
        given = np.asarray(value)
        if given.ndim == 0 and given == neutral:
            return None
        if self.dtype.kind != "f":
            raise DTypeError(f"Converted: {what} is for floats; the rows become {self.dtype}")
        if given.dtype.kind not in "biuf":
            raise DTypeError(f"Converted: {what} is a number or an array of numbers, not {given.dtype}")
        row = self._array.shape[1:]
        if given.ndim > len(row) or any(e not in (1, r) for e, r in zip(given.shape[::-1], row[::-1], strict=False)):
            raise ShapeError(f"Converted: {what} of shape {given.shape} does not broadcast to a row of shape {row}")
        return given.astype(self.dtype)

    def __repr__(self) -> str:
        return f"<{self._array.dtype} {list(self.shape)} as {self.dtype}>"

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: Any) -> Array:
        """The rows of a slice, or of an array of row numbers or bools, converted."""
        taken = self._array[rows] if isinstance(rows, slice) else self._array[np.asarray(rows)]
        return self.convert(taken, np.empty(taken.shape, self.dtype))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All rows at once, as NumPy asks for them."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def convert(self, rows: Array, out: Array) -> Array:
        """`out`, filled with the conversion of `rows`: some rows of the array."""
        np.copyto(out, rows, casting="same_kind")
        if self._scale is not None:
            out *= self._scale
        if self._offset is not None:
            out += self._offset
        return out

    def take(self, chosen: npt.NDArray[np.int64], out: Array) -> Array:
        """`out`, filled with the chosen rows."""
        return self.convert(self._array[chosen], out)

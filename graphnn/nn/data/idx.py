"""The IDX format, in which MNIST comes: two zero bytes, a type, the number of dimensions, their sizes, the values.

Everything is big-endian, sizes are unsigned 32-bit integers, the last dimension varies fastest. Y. LeCun, C. Cortes,
C. J. C. Burges, "The MNIST database of handwritten digits", section "The IDX file format".
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from graphnn.errors import BoundaryError, DTypeError, ShapeError
from graphnn.run.atomic import replacing

Array = npt.NDArray[Any]

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(text).newbyteorder("="): code for code, text in DTYPES.items()}
_GZIP = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # zlib's documentation: a deflated stream is at least 1/1032 of what it stands for
_MOST_DIMENSIONS = 64  # of a NumPy array
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def start(self) -> int:
        """The offset of the first value."""
        return 4 + 4 * len(self.shape)

    @property
    def values(self) -> int:
        """How many bytes the values take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def sizes(self) -> str:
        return f"sizes {' x '.join(map(str, self.shape)) or 'of no dimension'} of {self.dtype.newbyteorder('=')}"


def read_idx(path: str | PathLike[str], memory_map: bool = False) -> Array:
    """The array in an IDX file, gzipped or not, in this machine's byte order.

    With memory_map=True the file stays on the disk and the result is a read-only numpy.memmap in the file's own byte
    order; `Converted` gives its rows to `fit` as another dtype. BoundaryError, with the offset, what was expected and
    what was found: for a file that is truncated, has trailing bytes, another magic number, type or number of
    dimensions, or sizes that do not fit its length, for damaged or mapped gzip data. OSError as `open`.
    """
    with Path(path).open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        packed = file.read(2) == _GZIP
        file.seek(0)
        if not packed:
            header = _read_header(path, file)
            _check_length(path, header, length)
            if memory_map and header.values:
                return np.memmap(path, header.dtype, "r", header.start, header.shape)
            return _read_values(path, file, header)
        if memory_map:
            raise _refusal(path, "is gzipped and cannot be mapped; unpack it first")
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                header = _read_header(path, unpacked)
                if header.start + header.values > length * _DEFLATE_RATIO:
                    raise _refusal(path, f"announces {header.sizes()}: {length} gzipped bytes cannot hold them")
                values = _read_values(path, unpacked, header)
                if unpacked.read(1):  # the end of the stream is also where its checksum is compared
                    raise _refusal(path, f"goes on at offset {header.start + header.values}: expected its end")
                return values
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _refusal(path, f"is damaged: {error}") from error


def write_idx(path: str | PathLike[str], array: npt.ArrayLike) -> None:
    """Write an array as an IDX file, whole or not at all; gzipped where the name ends in .gz.

    dtypes: uint8, int8, int16, int32, float32, float64, in any byte order; DTypeError for others. ShapeError for an
    extent above 2**32 - 1.
    """
    values = np.asarray(array)
    code = _CODES.get(values.dtype.newbyteorder("="))
    if code is None:
        raise DTypeError(
            f"write_idx: the array is {values.dtype}; IDX holds {', '.join(map(str, _CODES))}: convert it with .astype"
        )
    if any(extent >= 2**32 for extent in values.shape):
        raise ShapeError(f"write_idx: the array has shape {values.shape}; IDX holds extents up to 2**32 - 1")
    head = bytes((0, 0, code, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    with replacing(path) as file:
        if Path(path).suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:  # equal arrays, equal bytes
                _write_values(packed, head, values, DTYPES[code])
        else:
            _write_values(file, head, values, DTYPES[code])


def _write_values(file: BinaryIO | gzip.GzipFile, head: bytes, values: Array, dtype: str) -> None:
    file.write(head)
    # Some rows at a time: the array may be a memory map.
    rows = values.reshape(1) if values.ndim == 0 else values
    step = max(1, _CHUNK * len(rows) // max(1, rows.nbytes))
    for start in range(0, len(rows), step):
        file.write(rows[start : start + step].astype(dtype).tobytes())


def _read_header(path: str | PathLike[str], file: BinaryIO | gzip.GzipFile) -> _Header:
    magic = _read_exactly(path, file, 0, 4, "the magic number")
    if magic[:2] != b"\0\0":
        raise _refusal(path, f"starts with {magic.hex(' ')}: at offset 0 expected 00 00")
    if magic[2] not in DTYPES:
        known = ", ".join(f"{code:02x} {np.dtype(text).name}" for code, text in DTYPES.items())
        raise _refusal(path, f"has the type {magic[2]:02x} at offset 2: expected one of {known}")
    if magic[3] > _MOST_DIMENSIONS:
        raise _refusal(path, f"has {magic[3]} dimensions at offset 3: expected at most {_MOST_DIMENSIONS}")
    sizes = _read_exactly(path, file, 4, 4 * magic[3], f"the sizes of {magic[3]} dimensions")
    header = _Header(np.dtype(DTYPES[magic[2]]), tuple(map(int, np.frombuffer(sizes, ">u4"))))
    if math.prod(filter(None, header.shape)) * header.dtype.itemsize >= 2**63:  # NumPy refuses this even with a 0
        raise _refusal(path, f"announces {header.sizes()}: more than any array holds")
    return header


def _check_length(path: str | PathLike[str], header: _Header, length: int) -> None:
    expected = header.start + header.values
    if length < expected:
        raise _refusal(
            path, f"ends at offset {length}: {header.sizes()} after {header.start} bytes of header end at {expected}"
        )
    if length > expected:
        raise _refusal(path, f"goes on to offset {length}: {header.sizes()} end at {expected}")


def _read_values(path: str | PathLike[str], file: BinaryIO | gzip.GzipFile, header: _Header) -> Array:
    values = np.empty(header.shape, header.dtype)
    room = values.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < header.values:
        count = file.readinto(room[filled : filled + _CHUNK])  # type: ignore[union-attr]
        if not count:
            offset = header.start + filled
            raise _refusal(path, f"ends at offset {offset}: {header.sizes()} end at {header.start + header.values}")
        filled += count
    native = values.dtype.newbyteorder("=")
    return values if values.dtype == native else values.byteswap(inplace=True).view(native)


def _read_exactly(
    path: str | PathLike[str], file: BinaryIO | gzip.GzipFile, offset: int, count: int, what: str
) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise _refusal(
            path, f"ends at offset {offset + len(data)}: expected {what}, {count} bytes from offset {offset}"
        )
    return data


def _refusal(path: str | PathLike[str], why: str) -> BoundaryError:
    return BoundaryError(f"{os.fspath(path)!r} is no IDX file that can be read: it {why}")

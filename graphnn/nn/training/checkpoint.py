"""The file of a checkpoint: safetensors, with JSON in its metadata and a digest over all of its bytes.

    metadata  {"graphnn": JSON text, "sha256": hex digits}
    tensors   state/<variable>, history/steps, callback/<number>/<name>

The digest is that of the whole file with 64 zeros in its place, so one flipped bit anywhere shows. Any reader of
safetensors opens the file. Reading evaluates nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.errors import BoundaryError
from graphnn.run.atomic import replacing

FORMAT = 1
_NONE = "0" * 64


@dataclass(frozen=True, slots=True)
class Saved:
    """What a checkpoint holds: plain data as JSON takes it, and arrays by name."""

    content: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


def write_checkpoint(path: str | PathLike[str], saved: Saved) -> None:
    """Write the file whole or not at all: a reader finds the old one or the new one. OSError as `open` raises it."""
    import safetensors.numpy  # for fits that are saved

    _check_path(path)
    text = json.dumps({"format": FORMAT, **saved.content})
    arrays = {name: np.array(array, order="C") for name, array in saved.arrays.items()}
    data = bytearray(safetensors.numpy.save(arrays, {"graphnn": text, "sha256": _NONE}))
    place = _digest_place(data, _NONE)
    data[place : place + 64] = hashlib.sha256(data).hexdigest().encode()
    with replacing(path) as file:
        file.write(data)


def read_checkpoint(path: str | PathLike[str]) -> Saved:
    """Read and verify a file. Raises BoundaryError where it is damaged, of another format or none.

    OSError as `open` raises it.
    """
    import safetensors.numpy

    _check_path(path)
    data = bytearray(Path(path).read_bytes())
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > len(data) - 8:
            raise ValueError(f"its header is cut off: it has {len(data)} bytes")
        metadata = json.loads(bytes(data[8 : 8 + length])).get("__metadata__", {})
        if not isinstance(metadata, Mapping) or not isinstance(metadata.get("graphnn"), str):
            raise ValueError("it is no graphnn checkpoint")
        digest = metadata.get("sha256")
        if not isinstance(digest, str) or len(digest) != 64 or not digest.isascii():
            raise ValueError("it has no SHA-256 digest")
        place = _digest_place(data, digest)
        data[place : place + 64] = _NONE.encode()
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise ValueError(f"the SHA-256 recorded is {digest[:12]}..., that of its {len(data)} bytes {found[:12]}...")
        content = json.loads(metadata["graphnn"])
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise ValueError("its content has no format")
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, this version reads format {FORMAT}")
        return Saved(content, safetensors.numpy.load(bytes(data)))
    except (ValueError, AttributeError, RecursionError, MemoryError, safetensors.SafetensorError) as error:
        raise refusal(path, f"{error!s:.300}", "take an older checkpoint, or copy the file again") from error


def refusal(path: str | PathLike[str], why: str, hint: str) -> BoundaryError:
    """The error of a checkpoint that cannot be used."""
    return BoundaryError(f"cannot restore {os.fspath(path)!r}: {why}; nothing was changed: {hint}")


def _check_path(path: Any) -> None:
    if not isinstance(path, str | PathLike):
        raise BoundaryError(f"a checkpoint's path is the name of a file, not {path!r:.40}")


def _digest_place(data: bytearray, digest: str) -> int:
    """Where the digest stands in the header. ValueError where it does not stand there exactly once."""
    text = f'"sha256":"{digest}"'.encode()
    end = 8 + int.from_bytes(data[:8], "little")
    place = data.find(text, 8, end)
    if place < 0 or data.find(text, place + 1, end) >= 0:
        raise ValueError("its digest is damaged")
    return place + len('"sha256":"')

"""The texts of a program's stages in its file: compressed, and read when somebody asks for one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property

from graphnn.errors import BoundaryError
from graphnn.run.readers import read_table

_GZIP = 31  # zlib's word for the container of gzip, without a time in it


def pack(texts: Mapping[str, str]) -> bytes:
    """The texts as JSON in gzip's format."""
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(json.dumps(dict(texts)).encode()) + packer.flush()


class PackedTexts(Mapping[str, str]):
    """What `pack` gave, unpacked at the first look, which raises BoundaryError where it is something else."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def _texts(self) -> dict[str, str]:
        try:
            return read_table(json.loads(zlib.decompress(self._data, wbits=_GZIP)))
        except (zlib.error, ValueError, TypeError) as error:
            raise BoundaryError(f"the texts of the program's stages are damaged ({error}); compile it again") from error

    def __getitem__(self, stage: str) -> str:
        return self._texts[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

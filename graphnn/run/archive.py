"""The file of a saved program: one zip archive whose manifest holds the SHA-256 of every member with content.

    sha256          that of manifest.json
    manifest.json   {"format": 6, "key": "", "members": {name: digest}, "program": {...}}
    code.o          the object, as LLVM emitted it
    texts.json.gz   {stage: text}, with the LLVM text that the object was made from
    state/0.npy     a state variable's value; numbered, since names are the user's

Reading executes nothing of the file: no pickle, no eval. *Running* a loaded program runs its machine code, so a file
deserves the trust of a program; the digests find damage, not malice.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zlib
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_magic

from graphnn.errors import BoundaryError
from graphnn.run.arrays import Array, aligned_empty
from graphnn.run.atomic import replacing
from graphnn.run.container import read_members
from graphnn.run.manifest import Manifest
from graphnn.run.texts import PackedTexts, pack

FORMAT = 6
_DIGEST, _MANIFEST, _CODE, _TEXTS = "sha256", "manifest.json", "code.o", "texts.json.gz"
_HEAD = 1 << 12  # bytes in which an array's shape and dtype stand
# What zlib, struct, json (by its depth: RecursionError) and NumPy raise on damaged data.
_DAMAGE = (zlib.error, struct.error, RuntimeError, OSError, EOFError, ValueError, KeyError, OverflowError)


class Archive(NamedTuple):
    """What a file holds. `states` are in the manifest's order; an entry of the cache has none, but its `key`."""

    manifest: Manifest
    code: bytes
    states: dict[str, Array]
    key: str = ""


def write(path: str | PathLike[str], archive: Archive, mode: int = 0o666) -> None:
    """Write the file whole or not at all: a reader sees the old one or the new one. Equal archives give equal bytes.

    `mode` are its permissions, of which the process's umask takes some.
    """
    import zipfile  # reading does without

    program = archive.manifest.to_json()
    members = {_CODE: archive.code, _TEXTS: pack(program.pop("stages"))}
    for number, state in enumerate(archive.states.values()):
        buffer = io.BytesIO()
        np.save(buffer, state, allow_pickle=False)
        members[_state_member(number)] = buffer.getvalue()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    head = json.dumps({"format": FORMAT, "key": archive.key, "members": digests, "program": program}, sort_keys=True)
    members = {_DIGEST: _sha256(head.encode()), _MANIFEST: head.encode(), **members}

    with replacing(path, mode) as file, zipfile.ZipFile(file, "w") as container:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980: the bytes do not depend on the clock
            info.compress_type = zipfile.ZIP_DEFLATED if name == _MANIFEST else zipfile.ZIP_STORED
            container.writestr(info, data)


def read(path: str | PathLike[str]) -> Archive:
    """Read and verify a file. Raises BoundaryError where it is damaged or no such file's format, OSError as `open`."""
    return parse(Path(path).read_bytes(), path)


def parse(data: bytes, path: str | PathLike[str]) -> Archive:
    """The archive of a file's bytes. Raises BoundaryError, naming `path`, where they are damaged or of another form."""
    try:
        found_members = read_members(data)
        names, members = [name for name, _ in found_members], dict(found_members)
        found, text = (bytes(members.pop(name)) for name in (_DIGEST, _MANIFEST))
        head = json.loads(text)
    except _DAMAGE as error:
        raise _refusal(path, f"it is damaged or no graphnn program ({error})") from error
    match head:
        case {"format": int(number), **rest} if number != FORMAT:
            raise _refusal(path, f"its format is {number}, this version reads format {FORMAT}")
        case {"format": int(), "key": str(key), "members": dict(digests), "program": program, **rest} if not rest:
            pass
        case _:
            raise _refusal(path, "its manifest has another form")
    if found != _sha256(text):
        raise _refusal(path, f"the SHA-256 of its {_MANIFEST} is not the one recorded")
    if sorted(names) != sorted([_DIGEST, _MANIFEST, *digests]):
        raise _refusal(path, f"its members {names} are not those of its manifest, {list(digests)}")
    for name, content in members.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise _refusal(path, f"the SHA-256 of its member {name} is not the one recorded")
    try:
        manifest = Manifest.from_json({**program, "stages": PackedTexts(bytes(members[_TEXTS]))})
        states = {
            spec.name: _read_array(members[_state_member(number)])
            for number, spec in enumerate(() if key else manifest.states)
        }
        return Archive(manifest, bytes(members[_CODE]), states, key)
    except (*_DAMAGE, BoundaryError) as error:
        raise _refusal(path, f"{error}") from error


def _read_array(data: memoryview) -> Array:
    """The array that `np.save` wrote, at a cache line, as the states of a network are; `np.load` copies it twice.

    Raises ValueError for what is no C-contiguous array of numbers.
    """
    head = io.BytesIO(data[:_HEAD])
    if read_magic(head) != (1, 0):
        raise ValueError("an array is written in another version of NumPy's format")
    shape, fortran, dtype = read_array_header_1_0(head)
    if fortran:
        raise ValueError("an array is not written in row-major order")
    array = np.frombuffer(data[head.tell() :], dtype).reshape(shape)
    copy = aligned_empty(shape, dtype)
    copy[...] = array
    return copy


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _state_member(number: int) -> str:
    return f"state/{number}.npy"


def _refusal(path: Any, why: str) -> BoundaryError:
    return BoundaryError(
        f"cannot load {os.fspath(path)!r}: {why}; compile and save the program again, or copy the file again"
    )

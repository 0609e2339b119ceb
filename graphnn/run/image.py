"""An object file placed in memory without LLVM, for processes that compile nothing: LLVM's library takes 50 ms to load.

    code        .text, then a jump to each function of the process that it calls    read, execute
    constants   .rodata, .eh_frame                                                  read
    variables   .data, .bss                                                         read, write

`place` takes ELF objects for x86-64 as the emitter makes them: all that they have to be told is how far their sections
lie from each other and from the functions that they call. Any other object is left to LLVM. Memory is written first and
gets its permissions then, so that no page can ever be both written to and executed.

Calls through this code can be unwound, but debuggers are not told of it; of what LLVM links, they are.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from weakref import finalize

import numpy as np

from graphnn.run import elf
from graphnn.run.arrays import Array, documented_address

_KIND = (elf.MAGIC, 2, 1, 1, 0, 0, 1, 62, 1)  # of 64 bits, little-endian, System V, relocatable, x86-64
_DISTANCE, _CALL = 2, 4  # R_X86_64_PC32 and R_X86_64_PLT32
_JUMP, _TO_THE_ADDRESS_BEHIND = struct.Struct("<6sQ2x"), b"\xff\x25\0\0\0\0"
_END_OF_FRAMES = 4  # bytes of zeros
_PROTECTIONS = (mmap.PROT_READ | mmap.PROT_EXEC, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)
# What reading raises where an object is damaged or of another kind, and placing where the system lacks something.
_LEFT_TO_LLVM = (ValueError, IndexError, KeyError, OverflowError, struct.error, OSError, AttributeError)


class Image:
    """An object in memory: `image[symbol]` is an address. The code lives as long as the image does."""

    __slots__ = ("__weakref__", "_addresses", "_memory")

    def __init__(self, memory: Array, addresses: Mapping[str, int]) -> None:
        self._memory, self._addresses = memory, addresses

    def __getitem__(self, symbol: str) -> int:
        return self._addresses[symbol]


def place(data: bytes, wanted: Sequence[str]) -> Image | None:
    """The object, ready to be called; None where it is of a kind, or needs something, that only LLVM knows.

    None, too, where one of the `wanted` symbols is missing, or the system grants no memory that can be executed.
    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return None
    try:
        image = _place(_Object(data))
        return image if all(image[symbol] for symbol in wanted) else None
    except _LEFT_TO_LLVM:
        return None


class _Object:
    """The tables of an object file."""

    def __init__(self, data: bytes) -> None:
        *kind, table, _, _, _, _, size, count, _ = elf.HEADER.unpack_from(data)
        _require(tuple(kind) == _KIND and size == elf.SECTION.itemsize)
        self.data = data
        self.sections = np.frombuffer(data, elf.SECTION, count, table)
        (section,) = self.sections[self.sections["kind"] == elf.SYMBOLS]
        self.symbols = np.frombuffer(self.content(section), elf.SYMBOL)
        strings = self.content(self.sections[section["link"]])
        self.names = [strings[first : strings.index(b"\0", first)].decode() for first in self.symbols["name"].tolist()]
        # The first symbol stands for none.
        self.outside = [k for k, home in enumerate(self.symbols["section"].tolist()) if k and home == 0]

    def content(self, section: Any) -> bytes:
        first, size = int(section["offset"]), int(section["size"])
        _require(first + size <= len(self.data))
        return self.data[first : first + size]


def _place(read: _Object) -> Image:
    starts, firsts = _lay_out(read)
    pages = mmap.mmap(-1, firsts[-1], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory = np.frombuffer(pages, np.uint8)
    base = documented_address(memory)
    for number, start in starts.items():
        section = read.sections[number]
        if section["kind"] != elf.ZEROS:
            pages[start : start + int(section["size"])] = read.content(section)

    # Where each symbol lies, from the base; -1 for those that are not in memory.
    homes, values = read.symbols["section"].tolist(), read.symbols["value"].tolist()
    found = [starts[home] + value if home in starts else -1 for home, value in zip(homes, values, strict=True)]
    jump, process = firsts[1] - len(read.outside) * _JUMP.size, ctypes.CDLL(None)
    for symbol in read.outside:
        function = ctypes.cast(process[read.names[symbol]], ctypes.c_void_p).value
        _JUMP.pack_into(pages, jump, _TO_THE_ADDRESS_BEHIND, function)
        found[symbol], jump = jump, jump + _JUMP.size
    _relocate(read, memory, starts, np.array(found))

    for (first, end), protection in zip(pairwise(firsts), _PROTECTIONS, strict=True):
        _require(process.mprotect(ctypes.c_void_p(base + first), ctypes.c_size_t(end - first), protection) == 0)
    image = Image(memory, {name: base + at for name, at in zip(read.names, found, strict=True) if at >= 0})
    for number, start in starts.items():
        if read.sections[number]["kind"] == elf.UNWINDING:
            _let_unwind(image, base + start)
    return image


def _lay_out(read: _Object) -> tuple[dict[int, int], tuple[int, ...]]:
    """Where each section that is to be in memory begins, and where code, constants and variables do, and end."""
    groups: tuple[list[int], ...] = ([], [], [])
    for number, flags in enumerate(read.sections["flags"].tolist()):
        if flags & elf.ALLOCATED:
            _require(int(read.sections[number]["kind"]) in (elf.DATA, elf.ZEROS, elf.UNWINDING))
            _require(not flags & elf.PER_THREAD and flags & (elf.WRITE | elf.EXECUTE) != elf.WRITE | elf.EXECUTE)
            groups[0 if flags & elf.EXECUTE else 2 if flags & elf.WRITE else 1].append(number)
    starts, firsts, end = {}, [0], 0
    for numbers in groups:
        for number in numbers:
            section = read.sections[number]
            starts[number] = _up(end, max(1, int(section["alignment"])))
            terminator = _END_OF_FRAMES if section["kind"] == elf.UNWINDING else 0
            end = starts[number] + int(section["size"]) + terminator
        if numbers is groups[0]:
            end = _up(end, _JUMP.size) + len(read.outside) * _JUMP.size
        end = _up(max(end, firsts[-1] + 1), mmap.PAGESIZE)
        firsts.append(end)
    return starts, tuple(firsts)


def _relocate(read: _Object, memory: Array, starts: Mapping[int, int], found: Array) -> None:
    """Write the distances to where symbols were `found`."""
    outside = np.isin(np.arange(len(found)), read.outside)
    for section in read.sections[(read.sections["flags"] & elf.RELOCATES) != 0]:
        number = int(section["info"])
        if number not in starts:  # for debuggers
            continue
        _require(section["kind"] == elf.RELOCATIONS)
        entries = np.frombuffer(read.content(section), elf.RELOCATION)
        to, at = found[entries["symbol"]], entries["place"].astype(np.int64)
        near = (entries["kind"] == _DISTANCE) & ~outside[entries["symbol"]]
        _require(np.all((near | (entries["kind"] == _CALL)) & (to >= 0)))
        _require(np.all((at >= 0) & (at <= int(read.sections[number]["size"]) - 4)))
        at += starts[number]
        exact = to + entries["addend"] - at
        distances = exact.astype("<i4")
        _require(np.all(distances == exact))
        memory[at[:, None] + np.arange(4)] = distances.view(np.uint8).reshape(-1, 4)


def _let_unwind(image: Image, frames: int) -> None:
    """Tell the C runtime what the frames of this code look like, until it is gone."""
    runtime, argument = ctypes.CDLL("libgcc_s.so.1"), ctypes.c_void_p(frames)
    leave = runtime["__deregister_frame"]
    runtime["__register_frame"](argument)
    finalize(image, leave, argument).atexit = False


def _up(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _require(condition: object) -> None:
    if not condition:
        raise ValueError("an object of another kind")

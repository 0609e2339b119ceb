"""Objects -> one object with the sections of all, as a linker's `-r` makes it: code that was generated in parts.

    a.o: .text 100 bytes, f calls g    b.o: .text 60 bytes, g    ->    .text 112 + 60 bytes, f at 0, g at 112

Whatever reads the result sees what one module would have given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from graphnn.errors import CompileError
from graphnn.run import elf
from graphnn.run.arrays import Array

_LOCAL, _FUNCTION, _OF_SECTION, _OF_FILE = 0, 2, 3, 4  # a symbol's binding, and its kinds


def join(objects: Sequence[bytes]) -> bytes:
    """One object. Equal objects give equal bytes; a single one is the result itself.

    Raises CompileError where two objects define one symbol, and for objects that are not ELF of 64 bits.
    """
    if len(objects) == 1:
        return objects[0]
    joined = _Joined()
    for data in objects:
        joined.add(data)
    return joined.written(objects[0])


class _Head(NamedTuple):
    """A row of the table of sections."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class _Symbol(NamedTuple):
    """A row of the table of symbols, with its name spelt out."""

    name: str
    info: int
    other: int
    section: int
    value: int
    size: int


@dataclass(slots=True)
class _Section:
    """A section of the result: pieces of one name and kind, and the relocations in them. Zeros have no `data`."""

    number: int
    name: str
    head: _Head
    data: bytearray = field(default_factory=bytearray)
    size: int = 0
    alignment: int = 1
    relocations: list[Array] = field(default_factory=list)

    def append(self, content: bytes, size: int, alignment: int) -> int:
        """Where the piece begins."""
        first = -(-self.size // alignment) * alignment
        if self.head.kind != elf.ZEROS:
            self.data += bytes(first - self.size) + content
        self.size, self.alignment = first + size, max(self.alignment, alignment)
        return first


class _Joined:
    def __init__(self) -> None:
        self.sections: dict[tuple[str, int, int, int], _Section] = {}
        self.symbols: list[_Symbol] = []
        self.known: dict[str | int, int] = {}  # the position of a global symbol by name, of a section's by number

    def add(self, data: bytes) -> None:
        *kind, table, _, _, _, _, size, count, names = elf.HEADER.unpack_from(data)
        if kind[:4] != [elf.MAGIC, 2, 1, 1] or size != elf.SECTION.itemsize:
            raise CompileError("LLVM generated an object of another kind than ELF of 64 bits")
        heads = [_Head(*row) for row in np.frombuffer(data, elf.SECTION, count, table).tolist()]
        homes = {}
        for number, head in enumerate(heads):
            if head.kind == elf.GROUP:
                raise CompileError("LLVM generated an object with a group of sections")
            if head.kind in (elf.DATA, elf.ZEROS, elf.UNWINDING):
                if head.flags & elf.ALLOCATED:  # a linker that merges equal constants would have to know them by label
                    head = head._replace(flags=head.flags & ~elf.MERGES, entry=0)  # noqa: PLW2901
                name = _text(data, heads[names], head.name)
                key = name, head.kind, head.flags, head.entry
                home = self.sections.setdefault(key, _Section(len(self.sections) + 1, name, head))
                homes[number] = home, home.append(_content(data, head), head.size, max(1, head.alignment))
        (symbols,) = (head for head in heads if head.kind == elf.SYMBOLS)
        positions, shifts = self._take_symbols(data, symbols, heads[symbols.link], homes)
        for head in heads:
            if head.kind == elf.RELOCATIONS:
                home, first = homes[head.info]
                entries = np.frombuffer(_content(data, head), elf.RELOCATION).copy()
                entries["place"] += np.uint64(first)
                entries["addend"] += shifts[entries["symbol"]]
                entries["symbol"] = positions[entries["symbol"]]
                home.relocations.append(entries)

    def _take_symbols(
        self, data: bytes, head: _Head, strings: _Head, homes: dict[int, tuple[_Section, int]]
    ) -> tuple[Array, Array]:
        """The position of each of an object's symbols among those of the result, and how far it is from there."""
        positions, shifts = [0], [0]  # the first symbol stands for none
        for name, info, other, section, value, size in np.frombuffer(_content(data, head), elf.SYMBOL)[1:].tolist():
            home, first = homes.get(section, (None, 0))
            kind, number = info & 15, 0 if home is None else home.number
            if kind != _OF_FILE and (home is None) != (section == 0):
                raise CompileError("LLVM generated an object with a symbol outside of all sections")
            symbol = _Symbol(_text(data, strings, name), info, other, number, value + first, size)
            # LLVM's linker confuses labels of one name, so a constant is known by its place in the section.
            placed = home is not None and info >> 4 == _LOCAL and kind != _FUNCTION
            if placed:
                symbol = _Symbol("", _OF_SECTION, 0, number, 0, 0)
            positions.append(0 if kind == _OF_FILE else self._position(symbol))
            shifts.append(value + first if placed else 0)
        return np.array(positions), np.array(shifts)

    def _position(self, symbol: _Symbol) -> int:
        key: str | int | None = symbol.name if symbol.info >> 4 != _LOCAL else None
        if symbol.info & 15 == _OF_SECTION:
            key = symbol.section
        at = len(self.symbols) if key is None else self.known.setdefault(key, len(self.symbols))
        if at == len(self.symbols):
            self.symbols.append(symbol)
        elif isinstance(key, str) and symbol.section:
            if self.symbols[at].section:
                raise CompileError(f"two parts of a program define {key}")
            self.symbols[at] = symbol
        return at

    def written(self, like: bytes) -> bytes:
        """The bytes of the result, whose machine is that of the object `like`."""
        text = bytearray(elf.HEADER.size)
        strings = _Strings()
        sections, heads = list(self.sections.values()), [_Head(*[0] * 10)]
        # Local symbols come first.
        order = sorted(range(len(self.symbols)), key=lambda at: self.symbols[at].info >> 4 != _LOCAL)
        numbers = np.empty(len(order), "<u4")
        numbers[order] = np.arange(1, len(order) + 1)
        table = 1 + len(sections) + sum(bool(section.relocations) for section in sections)

        def place(head: _Head, content: bytes | bytearray, size: int, **changes: int) -> None:
            alignment = max(1, changes["alignment"])
            text.extend(bytes(-len(text) % alignment))
            heads.append(head._replace(offset=len(text), size=size, **changes))
            text.extend(content)

        for section in sections:
            place(section.head, section.data, section.size, name=strings.add(section.name), alignment=section.alignment)
        for section in sections:
            if section.relocations:
                entries = np.concatenate(section.relocations)
                entries["symbol"] = numbers[entries["symbol"]]
                name = strings.add(f".rela{section.name}")
                head = _Head(name, elf.RELOCATIONS, elf.RELOCATES, 0, 0, 0, table, section.number, 8, entries.itemsize)
                place(head, entries.tobytes(), entries.nbytes, alignment=8)
        rows = [(0, 0, 0, 0, 0, 0), *((strings.add(s.name), *s[1:]) for s in map(self.symbols.__getitem__, order))]
        symbols = np.array(rows, elf.SYMBOL)
        local = 1 + sum(symbol.info >> 4 == _LOCAL for symbol in self.symbols)
        head = _Head(strings.add(".symtab"), elf.SYMBOLS, 0, 0, 0, 0, table + 1, local, 8, symbols.itemsize)
        place(head, symbols.tobytes(), symbols.nbytes, alignment=8)
        head = _Head(strings.add(".strtab"), elf.STRINGS, 0, 0, 0, 0, 0, 0, 1, 0)
        place(head, bytes(strings.text), len(strings.text), alignment=1)
        text.extend(bytes(-len(text) % 8))
        *kind, _, flags, own, _, _, size, _, _ = elf.HEADER.unpack_from(like)
        elf.HEADER.pack_into(text, 0, *kind, len(text), flags, own, 0, 0, size, len(heads), len(heads) - 1)
        return bytes(text) + np.array(heads, elf.SECTION).tobytes()


class _Strings:
    """A table of strings that end in a zero."""

    def __init__(self) -> None:
        self.text = bytearray(1)

    def add(self, string: str) -> int:
        first = len(self.text)
        self.text += string.encode() + b"\0"
        return first if string else 0


def _content(data: bytes, head: _Head) -> bytes:
    return b"" if head.kind == elf.ZEROS else data[head.offset : head.offset + head.size]


def _text(data: bytes, strings: _Head, at: int) -> str:
    first = strings.offset + at
    return data[first : data.index(b"\0", first)].decode()

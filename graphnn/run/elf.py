"""The structures and numbers of ELF object files of 64 bits, little-endian, from its specification and supplements."""

from __future__ import annotations

import struct

import numpy as np

# Kind (magic, class, data, version, system, its version, type, machine, version), section table, flags, count, names.
HEADER = struct.Struct("<4s5B7xHHI16xQIHHHHHH")
MAGIC = b"\x7fELF"
SECTION = np.dtype(
    [
        ("name", "<u4"),
        ("kind", "<u4"),
        ("flags", "<u8"),
        ("address", "<u8"),
        ("offset", "<u8"),
        ("size", "<u8"),
        ("link", "<u4"),
        ("info", "<u4"),
        ("alignment", "<u8"),
        ("entry", "<u8"),
    ]
)
SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
RELOCATION = np.dtype([("place", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])

# Kinds of sections.
DATA, SYMBOLS, STRINGS, RELOCATIONS, ZEROS, GROUP, UNWINDING = 1, 2, 3, 4, 8, 17, 0x70000001
# Flags of sections.
WRITE, ALLOCATED, EXECUTE, MERGES, RELOCATES, PER_THREAD = 1, 2, 4, 0x10, 0x40, 0x400

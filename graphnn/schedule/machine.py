"""What a schedule needs to know of the machine: plain numbers, no LLVM."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graphnn.simplify.expr import DType

if TYPE_CHECKING:  # loaded programs run without the loop IR
    from graphnn.lower.ir import Stored

BYTES: dict[Stored, int] = {"float32": 4, "float64": 8, "int64": 8, "bool": 1, "int8": 1}


class Machine(NamedTuple):  # a tuple is hashed fast: costs are kept by machine
    """`vector_bytes` is the widest vector in use, `vector_registers` how many there are (default: AVX-512)."""

    vector_bytes: int = 64
    vector_registers: int = 32

    def lanes(self, dtype: DType) -> int:
        """How many elements of `dtype` fill one vector; a bool travels beside 4-byte elements."""
        return self.vector_bytes // max(4, BYTES[dtype])

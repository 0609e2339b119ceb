"""Object code -> addresses in this process: by LLVM where it is loaded, else placed in memory here."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from graphnn.run.image import place


class Library(Protocol):
    """Linked code, which lives as long as this does."""

    def __getitem__(self, symbol: str, /) -> int:
        """The address of a symbol that was asked for."""


class NativeFunction(NamedTuple):
    """A loaded function `i64 f(ptr, ptr)`, another one that prepares arrays for it, and one that makes many steps.

    An address is 0 where there is none. The code lives as long as `library` does.
    """

    address: int
    library: Library
    prepare: int = 0
    steps: int = 0

    def __call__(self, buffers: int, sizes: int) -> int:
        """Call with the addresses of the array of buffer pointers and of the array of int64 sizes."""
        return call_at(self.address, buffers, sizes)


def call_at(address: int, buffers: int, sizes: int) -> int:
    """Call the function `i64 f(ptr, ptr)` at an address, without the GIL."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address)(buffers, sizes))


def load_object(data: bytes, symbol: str) -> NativeFunction:
    """Link an object into this process and find a function of type `i64 (ptr, ptr)`.

    Raises CompileError where the object needs a symbol that the process does not have.
    """
    library = link_object(data, (symbol,))
    return NativeFunction(library[symbol], library)


def link_object(data: bytes, symbols: Sequence[str]) -> Library:
    """Link an object into this process: what gives the address of each of the symbols, and keeps the code alive.

    A process that has LLVM links by it, and a debugger then knows the code. One that only runs what was compiled
    before does not load LLVM, unless the object is one that `place` leaves to it.

    Raises CompileError where the object needs a symbol that the process does not have.
    """
    if "llvmlite.binding" not in sys.modules:
        image = place(data, symbols)
        if image is not None:
            return image
    from graphnn.run.jit import link_by_llvm

    return link_by_llvm(data, symbols)

"""A module in parts, each a module of its own: code is generated for one while the next is being written.

    tile, kernel0, kernel1, kernel2, entry  ->  (tile, kernel0, kernel1), (kernel2, entry)

A part declares all functions of the parts before it; they are hidden, so linked together the parts are the module.
Where it is cut is decided by the length of the text alone, so the same program gives the same parts. There is one
part only where the objects would not be ELF of 64 bits, which `graphnn/run/join.py` makes one object of again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from graphnn.emit.writer import Module

# In lines, each some 40 us of LLVM's time: a part of that length is short beside a compile, and long beside what a
# part costs, 1 ms.
LENGTH = 800
FUNCTION = 30  # what LLVM does for a function without a line


class Parts:
    """Cuts a module that is being written, and hands each part to `take`, if there is one."""

    def __init__(self, module: Module, triple: str, take: Callable[[str], None] | None) -> None:
        """What the module holds by now is in every part."""
        self.module, self.take = module, take
        self.length = LENGTH if _makes_elf(triple) else math.inf
        self.common = self.described = len(module.metadata)
        self.defined = 0

    def cut(self, last: bool = False) -> None:
        """End a part here, where it is long enough or the `last`: between two kernels, or after the entry."""
        if self.take is None:
            return
        module = self.module
        new = module.functions[self.defined :]
        if not last and sum(text.count("\n") + FUNCTION for text in new) < self.length:
            return
        before = [_declaration(text) for text in module.functions[: self.defined]]
        constants = [line for name, line in module.constants.items() if any(f"@{name}" in text for text in new)]
        metadata = [*module.metadata[: self.common], *module.metadata[self.described :]]
        self.take("\n".join([*module.head, *module.declarations.values(), *before, *constants, *new, *metadata, ""]))
        self.defined, self.described = len(module.functions), len(module.metadata)


def _makes_elf(triple: str) -> bool:
    return "linux" in triple and sys.byteorder == "little" and sys.maxsize > 2**32


def _declaration(function: str) -> str:
    """define hidden i64 @f(ptr %x) #0 { ... }  ->  declare hidden i64 @f(ptr %x)"""
    return "declare" + function[len("define") : function.index(")") + 1]

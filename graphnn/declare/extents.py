"""Extents as a network holds them: ints, and texts of sizes that are known at the call. They need no sympy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from graphnn.errors import GraphError

Dim = int | str
Dims = tuple[Dim, ...]
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(r"[irtp][0-9]+")  # canonical axes and accesses of a Definition


def check_size(name: str) -> str:
    """The name of a symbolic size. GraphError where it is no identifier or stands for something else."""
    if not IDENTIFIER.fullmatch(name):
        raise GraphError(f"the symbolic size '{name}' is not an identifier; use letters, digits and _")
    if _RESERVED.fullmatch(name):
        raise GraphError(f"the symbolic size '{name}' is reserved for axes and accesses; write '{name.upper()}'")
    return name


class Size(str):
    """A size by its text. `formula` is None for a name, else the expression of named sizes or its tree.

    Sizes of one text are equal; `sizes.py` makes expressions of them.
    """

    __slots__ = ("formula",)
    formula: Any

    def __new__(cls, text: str, formula: Any = None) -> Size:
        size = super().__new__(cls, text)
        size.formula = formula
        return size

    def __getnewargs__(self) -> tuple[Any, ...]:  # for copies
        return str(self), self.formula


class TensorType(NamedTuple):
    """What is known of a tensor before there is one."""

    shape: Dims
    dtype: str


def from_plain(data: Iterable[Any]) -> Dims:
    """Extents from what `sizes.to_plain` made of them."""
    return tuple(d if isinstance(d, int) else Size(d) if isinstance(d, str) else Size(*d) for d in data)

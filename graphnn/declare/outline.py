"""Outlines: what declaring asks of a definition. Where one is known, the definition is made when somebody looks at it.

An outline is read off a definition (`describe.py`), or kept from an earlier process (`outlines.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphnn.declare.extents import TensorType

if TYPE_CHECKING:
    from graphnn.declare.definition import Definition

Ways = tuple[tuple[int, int], ...]  # (number of an access, number of its operand)


@dataclass(frozen=True, slots=True)
class Outline:
    """The type of a result, the SHA-256 of all of its definition, and how it depends on what it reads.

    The elements of `ways` stand in the body as values; those of `held` within conditions and steps of it only.
    """

    type: TensorType
    digest: str
    ways: Ways
    held: Ways


class LateDefinition:
    """A definition that is made when somebody looks at it, by `make`."""

    __slots__ = ("make", "outline")

    def __init__(self, outline: Outline, make: Callable[[], Definition]) -> None:
        self.outline, self.make = outline, make


@dataclass(frozen=True, slots=True)
class LateStep:
    """A step of a recipe, as `Step`, whose definition is made late."""

    definition: LateDefinition
    sources: tuple[int, ...]

    @property
    def type(self) -> TensorType:
        return self.definition.outline.type

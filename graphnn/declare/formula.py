"""Formulas of ops: index notation with formal operands, before it is bound to any shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from graphnn.late import sympy


@dataclass(frozen=True, slots=True)
class Formula:
    """out[axes] = body, with entries of formal operands. A leading ELLIPSIS in `out` stands for broadcast dimensions.

    `extents` has the sizes of axes that no operand gives, in terms of `dimension`s and attributes.
    """

    out: tuple[sympy.Symbol, ...]
    body: Any
    extents: Mapping[sympy.Symbol, sympy.Expr]


def written(out: Iterable[Any], body: Any, extents: Mapping[Any, Any] | None = None) -> Formula:
    """A formula as a person writes it: with `...` for ELLIPSIS, and numbers."""
    from graphnn.declare.entries import ELLIPSIS, as_formula  # where sympy is

    axes = tuple(ELLIPSIS if isinstance(a, EllipsisType) else a for a in out)
    return Formula(axes, as_formula(body), {axis: as_formula(size) for axis, size in (extents or {}).items()})

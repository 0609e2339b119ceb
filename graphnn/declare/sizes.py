"""Extents of a network as sympy's expressions, and back; and as plain data, to be kept."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from graphnn.declare.extents import Dim, Dims, Size
from graphnn.declare.notation import size_symbol
from graphnn.late import sympy


def as_exprs(dims: Iterable[Dim]) -> tuple[sympy.Expr, ...]:
    """The extents as integers and expressions of size symbols."""
    return tuple(sympy.Integer(dim) if isinstance(dim, int) else _expression(dim) for dim in dims)


def _expression(size: Dim) -> sympy.Expr:
    formula = getattr(size, "formula", None)
    if formula is None:
        return _symbol(str(size))
    from graphnn.declare.trees import decode  # most sizes are names

    return decode(formula, {}, f"the size {size}") if isinstance(formula, list) else formula


_symbol = lru_cache(size_symbol)


def as_dims(exprs: Iterable[sympy.Expr]) -> Dims:
    """The extents as ints and sizes."""
    return tuple(int(e) if e.is_Integer else Size(e.name) if e.is_Symbol else Size(str(e), e) for e in exprs)


def to_plain(dims: Dims) -> list[Any]:
    """Ints, names, and [text, tree] for expressions, for `from_plain`. GraphError for what no tree holds."""
    from graphnn.declare.trees import encode

    return [[str(d), encode(as_exprs([d])[0], {})] if getattr(d, "formula", None) is not None else d for d in dims]

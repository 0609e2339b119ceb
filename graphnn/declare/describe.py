"""The outline of a definition, read off its formula."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.definition import Definition
from graphnn.declare.extents import TensorType
from graphnn.declare.outline import Outline
from graphnn.declare.sizes import as_dims
from graphnn.declare.text import definition_text

_FLAT = (sympy.floor, sympy.ceiling, sympy.sign, sympy.Heaviside, Boolean)


@lru_cache(2**12)
def describe(definition: Definition) -> Outline:
    """The outline of a definition."""
    body = definition.body
    read = [(n, a) for n, a in enumerate(definition.accesses) if a.symbol in body.free_symbols]
    ways = [(n, a.operand) for n, a in read if _is_value(body, a.symbol)]
    return Outline(
        TensorType(as_dims(definition.shape), definition.dtype),
        hashlib.sha256(definition_text(definition).encode()).hexdigest(),
        tuple(ways),
        tuple((n, a.operand) for n, a in read if (n, a.operand) not in ways),
    )


def _is_value(part: sympy.Basic, symbol: sympy.Symbol) -> bool:
    """Whether `symbol` stands in it outside of steps and conditions."""
    return part == symbol or (not isinstance(part, _FLAT) and any(_is_value(a, symbol) for a in part.args))

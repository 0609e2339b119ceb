"""Texts of formulas and definitions that tell each from every other, for digests. Nothing ever reads them back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import sympy

from graphnn.declare.definition import Definition

_MARKS: WeakKeyDictionary[type[Any], str] = WeakKeyDictionary()  # of users' functions


def definition_text(definition: Definition) -> str:
    """All of a definition but its label; equal texts mean equal definitions."""
    operands = [[_formulas(o.shape), o.dtype] for o in definition.operands]
    axes, reduced = ([[e.axis.name, formula(e.size)] for e in es] for es in (definition.axes, definition.reduced))
    accesses = [[a.symbol.name, a.operand, _formulas(a.index)] for a in definition.accesses]
    body = [definition.reducer, formula(definition.guard), formula(definition.body), definition.dtype]
    return json.dumps([operands, axes, reduced, accesses, *body])


def _formulas(parts: Sequence[sympy.Basic]) -> list[str]:
    return [formula(part) for part in parts]


def formula(expr: sympy.Basic) -> str:
    """add(mul(2, t0), 1/2) in sympy's own names and order. A float is written to its last bit."""
    if expr.args:
        return f"{head_text(type(expr))}({','.join(map(formula, expr.args))})"
    if isinstance(expr, sympy.Dummy):  # two of one name differ, and no other process has either
        return f"{expr.name}#{expr.dummy_index}"
    if isinstance(expr, sympy.Symbol):
        return str(expr.name)
    if isinstance(expr, sympy.Rational):
        return f"{expr.p}/{expr.q}"
    if isinstance(expr, sympy.Float):
        return f"{float(expr).hex()}@{expr._prec}"
    return _atom(expr)


@cache
def _atom(expr: sympy.Basic) -> str:
    """true, pi: sympy's printer takes longer for them than all the rest."""
    return str(expr)


def head_text(function: type[Any]) -> str:
    """A function's name: sympy's by itself, and one of this package with its home.

    A user's function, of which another may have name and home, is told from all others of this and any other process.
    """
    home = function.__module__ or ""  # sympy.Function("f") has none
    if home.startswith("sympy."):
        return function.__qualname__
    mark = "" if home.startswith("graphnn.") else _MARKS.setdefault(function, f"#{uuid4().hex}")
    return f"{home}.{function.__qualname__}{mark}"

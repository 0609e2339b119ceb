"""Each instance of a rewrite is checked: both sides are evaluated at random points, to 40 digits.

An access stands for a number, so that `before` and `after` are closed. Where a rewrite uses what an access stands for
(a saved output, a shifted sum), the trace says so in the rewrite's facts, which are put in first.
"""

from __future__ import annotations

import random

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.declare.parts import find_parts
from graphnn.errors import CompileError
from graphnn.simplify.heads import HEADS
from graphnn.simplify.rules import Rewrite, Trace

_POINTS, _DIGITS = 4, 40
# These change what is summed or read, not a scalar formula; the tests compare them with brute force.
_STRUCTURAL = ("use the condition", "pull constant factors out", "sum of a one-hot row", "promised sum", "centred sum")


def check_instances(trace: Trace) -> None:
    """CompileError for the first rewrite whose two sides differ."""
    for rewrite in trace.rewrites:
        if rewrite.rule not in _STRUCTURAL:
            check_instance(rewrite)


def check_instance(rewrite: Rewrite) -> None:
    """Compare both sides at points drawn from a generator that is seeded by nothing but a constant."""
    facts = dict(rewrite.facts)
    sides = [rewrite.before, rewrite.after]
    for _ in facts:  # what an access stands for may hold another one
        sides = [side.xreplace(facts) for side in sides]
    sides = [_plain(side) for side in sides]
    free = sorted({a for s in sides for a in find_parts(s, Entry)}, key=sympy.default_sort_key)
    symbols = sorted({a for s in sides for a in s.free_symbols}, key=sympy.default_sort_key)
    draw = random.Random(0)
    for _ in range(_POINTS):
        point: dict[sympy.Basic, sympy.Expr] = {
            entry: sympy.Integer(draw.randrange(3)) if isinstance(entry, IntegerEntry) else _number(draw)
            for entry in _outermost_first(free)
        }
        numbers = {symbol: sympy.Integer(draw.randrange(1, 4)) for symbol in symbols}
        values = [_value(s.xreplace(point).xreplace(numbers)) for s in sides]
        if all(v.is_number and v.is_real for v in values):
            scale = max(abs(values[0]), abs(values[1]), sympy.Integer(1))
            if abs(values[0] - values[1]) > scale * sympy.Float(10) ** (8 - _DIGITS):
                raise CompileError(
                    f"{rewrite.node}: the rewrite '{rewrite.rule}' is wrong: {rewrite.before} is {values[0]}, "
                    f"{rewrite.after} is {values[1]} at {point}"
                )


def _outermost_first(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda e: (-len(find_parts(e, Entry)), sympy.default_sort_key(e)))


def _number(draw: random.Random) -> sympy.Expr:
    """A rational in (0, 1): inside the domain of log(a), log(1 - a), 1/a and 1/(1 - a)."""
    return sympy.Rational(draw.randrange(50, 950), 1000)


def _value(expr: sympy.Basic) -> sympy.Expr:
    """The number that a closed expression is; 1 and 0 for true and false."""
    if isinstance(expr, Boolean):
        return sympy.Integer(int(expr == sympy.true))
    return sympy.N(expr, _DIGITS)


def _plain(expr: sympy.Expr) -> sympy.Expr:
    """Functions of ours by their definitions."""
    for head, definition in HEADS.items():
        expr = expr.replace(head, definition)
    return expr

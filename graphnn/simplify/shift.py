"""Sums of exponentials are shifted by their largest exponent, wherever the shift cancels.

    s[i] = sum(exp(z[i, r]))            m[i] = max(z[i, r]),  s'[i] = sum(exp(z[i, r] - m[i])),  s = s'*exp(m)
    exp(z[i, j])/s[i]                   -> exp(z[i, j] - m[i])/s'[i]
    log(s[i])                           -> m[i] + log(s'[i])

It is an identity of the formula that holds `s`, so reshapes and scalings between do not matter: they are in the indices
and exponents. Where exp(m) would be left over (the sum itself is asked for), s stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from graphnn.declare.entries import Entry
from graphnn.declare.parts import find_parts
from graphnn.simplify.algebra import join_exponentials, map_bottom_up, reduce_rational
from graphnn.simplify.region import Assignment, entries, read
from graphnn.simplify.rules import Trace
from graphnn.simplify.stability import rewrite_log_product


@dataclass(frozen=True, slots=True)
class ShiftedSum:
    """A sum of exponentials with its exponent's maximum and the shifted sum."""

    original: Assignment
    largest: Assignment
    shifted: Assignment


def find_shift(assignment: Assignment, known: Iterable[ShiftedSum] = ()) -> ShiftedSum | None:
    """The shifted form of a sum whose body is w*exp(u), u depending on the reduced axes.

    It shares the maximum of a known one with equal exponents: in the gradient of a softmax, whose
    (g*s - sum(g*exp(z)))*exp(z)/s**2 holds two sums, exp(m) only cancels if it is the same m.
    """
    if assignment.reducer != "sum":
        return None
    factors = sympy.Mul.make_args(assignment.body)
    exponent = sympy.Add(*(f.args[0] for f in factors if isinstance(f, sympy.exp)))
    if not exponent.free_symbols & {e.axis for e in assignment.reduced} or not exponent.has(Entry):
        return None
    index = [e.axis for e in assignment.axes]
    largest = replace(assignment, name=f"{assignment.name}.max", reducer="max", body=exponent)
    bounds = [k.largest for k in known if _bounds(k.largest, largest, weighted=assignment.body != sympy.exp(exponent))]
    largest = max(bounds, key=lambda bound: len(_conditions(bound.guard)), default=largest)
    top = read(largest.name, index, assignment.dtype)
    shifted = replace(
        assignment, name=f"{assignment.name}.shifted", body=join_exponentials(assignment.body * sympy.exp(-top))
    )
    return ShiftedSum(assignment, largest, shifted)


def _bounds(known: Assignment, largest: Assignment, weighted: bool) -> bool:
    """Whether a known maximum does for a sum: it is of the same exponents, or of more, and so as large or larger.

    The latter is for weighted sums, as in the gradient of a slice of a softmax. They are numerators, which may
    underflow where their quotient does; a sum of exponentials alone is a divisor, and holds an exp(0) under its own
    maximum.
    """
    if replace(known, name="", guard=sympy.true) != replace(largest, name="", guard=sympy.true):
        return False
    less, more = _conditions(known.guard), _conditions(largest.guard)
    return less <= more if weighted else less == more


def _conditions(guard: Boolean) -> set[Boolean]:
    """What holds at once; r <= i and i >= r are one condition."""
    parts = sympy.And.make_args(guard) if guard != sympy.true else ()
    return {c.canonical if isinstance(c, Relational) else c for c in parts}


def shift_exponentials(
    node: str,
    expr: sympy.Expr,
    sums: dict[str, ShiftedSum],
    trace: Trace,
    use: Callable[[ShiftedSum], None],
) -> sympy.Expr:
    """Rewrite every sum of exponentials in `expr` whose shift cancels; `use` is told which were shifted."""
    present = sorted({e.operand for e in entries(expr)} & sums.keys())
    for largest in dict.fromkeys(sums[name].largest.name for name in present):
        group = [sums[name] for name in present if sums[name].largest.name == largest]
        exchange: dict[sympy.Expr, sympy.Expr] = {}
        tops: list[sympy.Expr] = []
        facts: dict[sympy.Expr, sympy.Expr] = {}
        for shift in group:
            for entry in (e for e in entries(expr) if e.operand == shift.original.name):
                top = read(largest, entry.index, shift.largest.dtype)
                tops.append(top)
                shifted = read(shift.shifted.name, entry.index, shift.shifted.dtype)
                exchange[entry], facts[shifted] = shifted * sympy.exp(top), entry * sympy.exp(-top)
        candidate = map_bottom_up(_merge(expr.xreplace(exchange)), _release)
        if len(group) > 1:  # exp(m) is a factor of each, and leaves their sum by rational algebra
            candidate = _merge(reduce_rational(candidate))
        if all(_cancels(candidate, top) for top in tops):
            for shift in group:
                use(shift)
            expr = trace.record(node, "shift exponentials", expr, candidate, facts)
    return expr


def _merge(expr: sympy.Expr) -> sympy.Expr:
    """exp(a)*exp(-m) -> exp(a - m), and powers of products spread so that it can happen."""
    spread = map_bottom_up(expr, lambda e: sympy.expand_power_base(e, force=True) if e.is_Pow else e)
    return join_exponentials(spread)


def _release(expr: sympy.Expr) -> sympy.Expr:
    """log(s'*exp(m)) -> m + log(s')."""
    return rewrite_log_product(expr)


def _cancels(expr: sympy.Expr, top: sympy.Expr) -> bool:
    """Whether each maximum in an exponential stands against an exponent: exp(u - m), exp(u + v - 2*m)."""
    for exponential in find_parts(expr, sympy.exp):
        if top in find_parts(exponential.args[0], Entry):
            exponent = sympy.expand(exponential.args[0])
            count = -exponent.coeff(top)
            others = len(sympy.Add.make_args(exponent)) - 1
            if not (count.is_Integer and 0 < count <= others):
                return False
    return True

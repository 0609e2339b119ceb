"""Sums of exponentials are shifted by their largest exponent, wherever the shift cancels.

    s[i] = sum(exp(z[i, r]))            m[i] = max(z[i, r]),  s'[i] = sum(exp(z[i, r] - m[i])),  s = s'*exp(m)
    exp(z[i, j])/s[i]                   -> exp(z[i, j] - m[i])/s'[i]
    log(s[i])                           -> m[i] + log(s'[i])

It is an identity of the formula that holds `s`, so reshapes and scalings between do not matter: they are in the indices
and exponents. Where exp(m) would be left over (the sum itself is asked for), s stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy

from graphnn.declare.notation import Entry
from graphnn.simplify.algebra import join_exponentials, map_bottom_up
from graphnn.simplify.region import Assignment, entries, read
from graphnn.simplify.rules import Trace
from graphnn.simplify.stability import rewrite_log_product


@dataclass(frozen=True, slots=True)
class ShiftedSum:
    """A sum of exponentials with its exponent's maximum and the shifted sum."""

    original: Assignment
    largest: Assignment
    shifted: Assignment


def find_shift(assignment: Assignment) -> ShiftedSum | None:
    """The shifted form of a sum whose body is w*exp(u), u depending on the reduced axes and w not negative."""
    if assignment.reducer != "sum":
        return None
    factors = sympy.Mul.make_args(assignment.body)
    exponent = sympy.Add(*(f.args[0] for f in factors if isinstance(f, sympy.exp)))
    if not exponent.free_symbols & {e.axis for e in assignment.reduced} or not exponent.has(Entry):
        return None
    index = [e.axis for e in assignment.axes]
    largest = replace(assignment, name=f"{assignment.name}.max", reducer="max", body=exponent)
    top = read(largest.name, index, assignment.dtype)
    shifted = replace(
        assignment, name=f"{assignment.name}.shifted", body=join_exponentials(assignment.body * sympy.exp(-top))
    )
    return ShiftedSum(assignment, largest, shifted)


def shift_exponentials(
    node: str,
    expr: sympy.Expr,
    sums: dict[str, ShiftedSum],
    trace: Trace,
    use: Callable[[ShiftedSum], None],
) -> sympy.Expr:
    """Rewrite every sum of exponentials in `expr` whose shift cancels; `use` is told which were shifted."""
    for name in sorted({e.operand for e in entries(expr)} & sums.keys()):
        shift = sums[name]
        exchange: dict[sympy.Expr, sympy.Expr] = {}
        tops: list[sympy.Expr] = []
        facts: dict[sympy.Expr, sympy.Expr] = {}
        for entry in entries(expr):
            if entry.operand == name:
                top = read(shift.largest.name, entry.index, shift.largest.dtype)
                tops.append(top)
                shifted = read(shift.shifted.name, entry.index, shift.shifted.dtype)
                exchange[entry], facts[shifted] = shifted * sympy.exp(top), entry * sympy.exp(-top)
        candidate = map_bottom_up(_merge(expr.xreplace(exchange)), _release)
        if all(_cancels(candidate, top) for top in tops):
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
    """Whether the maximum only occurs next to what it is the maximum of: exp(u - m), or outside of exponentials."""
    for exponential in expr.atoms(sympy.exp):
        terms = sympy.Add.make_args(sympy.expand(exponential.args[0]))
        if top in exponential.args[0].atoms(Entry) and (-top not in terms or len(terms) < 2):
            return False
    return True

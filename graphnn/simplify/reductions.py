"""What leaves a reduction: constant factors, one-hot sums, promised sums, and sums of what has been centred.

sum(c*f(r))                          -> c*sum(f(r))             c does not depend on r
sum(a[i + 1]*f(r) if g)              -> select(i + 1 < A, a[i + 1], 0)*sum(f(r) if g)      only g keeps a[i + 1] inside
sum(c)                               -> c*R                     R terms
sum(select(r == t, f(r), 0))         -> f(t)                    0 <= t < R, known or kept as a condition
sum(select(c, exp(z(r)), 0))         -> sum(exp(z(r)) if c)     which can be shifted by the largest exponent
sum(y[i, r]) over a whole row        -> 1                       where y promises distributions
sum(x(r) - s/R)                      -> 0                       where s = sum(x(r)) is made already
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.definition import Extent
from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.simplify.facts import Facts
from graphnn.simplify.inside import is_inside
from graphnn.simplify.region import Assignment, entries
from graphnn.simplify.rules import Trace


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of a program: `make` gives the access to a new one, `find` to an equal one that is made already.

    `shape` gives the extents of an array that formulas read.
    """

    make: Callable[[Assignment], Entry]
    find: Callable[[Assignment], Entry | None]
    shape: Callable[[str], tuple[sympy.Expr, ...]]


def split_sum(assignment: Assignment, facts: Facts, trace: Trace, sums: Sums) -> sympy.Expr | None:
    """A sum as an expression over simpler sums; None if it is one."""
    if assignment.reducer != "sum":
        return None
    terms = sympy.Add.make_args(assignment.body)
    if len(terms) > 1 and _is_centred(assignment, sums, trace):
        return sympy.S.Zero
    pieces = [replace(assignment, body=term) for term in terms]
    parts = [_split_term(piece, facts, trace, sums) for piece in pieces]
    if len(terms) > 1 and not any(part and part[1] is None for part in parts):
        return None  # splitting a sum of terms pays only where a term disappears
    if not any(parts):
        return None
    result = sympy.S.Zero
    for piece, part in zip(pieces, parts, strict=True):
        factor, rest = part or (sympy.S.One, piece)
        result += factor if rest is None else factor * sums.make(rest)
    return result


def _split_term(
    term: Assignment, facts: Facts, trace: Trace, sums: Sums
) -> tuple[sympy.Expr, Assignment | None] | None:
    """One term as factor * (sum, or nothing); None where nothing leaves it."""
    if term.body.has(sympy.zoo, sympy.oo, sympy.nan):
        return None  # over no terms the sum is 0, and 0 times infinity is not
    factor, changed = sympy.S.One, False
    while True:
        hot = _one_hot(term, facts)
        if hot is not None:
            _note(trace, "sum of a one-hot row", term, hot)
            term, changed = hot, True
            if not term.reduced:
                return factor * _conditional(term), None
            continue
        bare = _guarded(term)
        if bare is not None:
            _note(trace, "skip the terms that are zero", term, bare)
            term, changed = bare, True
        outside, inside = _factors(term)
        if outside != 1:
            _note(trace, "pull constant factors out", term, replace(term, body=inside))
            factor, term, changed = factor * _kept_inside(outside, term, sums), replace(term, body=inside), True
            continue
        if _is_centred(term, sums, trace):
            return sympy.S.Zero, None
        count = _constant_sum(term, facts, trace)
        if count is not None:
            return factor * count, None
        return (factor, term) if changed else None


def _note(trace: Trace, rule: str, before: Assignment, after: Assignment) -> None:
    shown = [
        sympy.Function(a.reducer or "")(a.body, *(e.axis for e in a.reduced)) if a.reduced else a.body
        for a in (before, after)
    ]
    trace.record(before.name, rule, shown[0], shown[1])


def _conditional(term: Assignment) -> sympy.Expr:
    return term.body if term.guard == sympy.true else sympy.Piecewise((term.body, term.guard), (0, True))


def _factors(term: Assignment) -> tuple[sympy.Expr, sympy.Expr]:
    """(factors without a reduced axis, the others)."""
    reduced = {e.axis for e in term.reduced}
    factors = sympy.Mul.make_args(term.body)
    outside = [f for f in factors if not f.free_symbols & reduced]
    if len(outside) == len(factors):
        return sympy.S.One, term.body
    return sympy.Mul(*outside), sympy.Mul(*(f for f in factors if f not in outside))


def _kept_inside(factor: sympy.Expr, term: Assignment, sums: Sums) -> sympy.Expr:
    """The factor, or 0 where it would read outside of an array: the guard excludes every term there."""
    if term.guard == sympy.true:
        return factor
    sizes = {e.axis: e.size for e in term.axes}
    outside = [
        (index, extent)
        for entry in entries(factor)
        for index, extent in zip(entry.index, sums.shape(entry.operand), strict=True)
        if not isinstance(index, IntegerEntry) and not is_inside(index, extent, sizes, ())
    ]
    if not outside:
        return factor
    conditions = (c for index, extent in outside for c in (sympy.Ge(index, 0), sympy.Lt(index, extent)))
    return sympy.Piecewise((factor, sympy.And(*conditions)), (0, True))


def _is_centred(term: Assignment, sums: Sums, trace: Trace) -> bool:
    """Whether the terms cancel by sums that are made already; other differences of sums would lose digits."""
    if not term.body.is_Add or term.guard != sympy.true:
        return False
    count = sympy.Mul(*(e.size for e in term.reduced))
    reduced = {e.axis for e in term.reduced}
    total = sympy.S.Zero
    for part in term.body.args:
        if not part.free_symbols & reduced:
            total += part * count
            continue
        outside, inside = _factors(replace(term, body=part))
        found = sums.find(replace(term, body=inside))
        if found is None:
            return False
        total += outside * found
    if sympy.expand(total) != 0:
        return False
    _note(trace, "centred sum", term, term.as_map(sympy.S.Zero))
    return True


def _constant_sum(term: Assignment, facts: Facts, trace: Trace) -> sympy.Expr | None:
    reduced = {e.axis for e in term.reduced}
    if term.guard != sympy.true:
        return None
    if not term.body.free_symbols & reduced:
        return term.body * sympy.Mul(*(e.size for e in term.reduced))
    body = term.body
    if not isinstance(body, Entry) or [(body.operand, (e.axis, e.size)) for e in term.reduced] != [
        (body.operand, (body.index[-1], facts.distributions.get(body.operand)))
    ]:
        return None
    if any(i.free_symbols & reduced for i in body.index[:-1]):
        return None
    trace.record(term.name, "promised sum", sympy.Function("sum")(body), sympy.S.One)
    return sympy.S.One


def _one_hot(term: Assignment, facts: Facts) -> Assignment | None:
    """Use an equation `axis == value` that the guard or the body's condition holds to eliminate that axis."""
    body, conditions = _bare(term)
    for extent in term.reduced:
        for equation in conditions:
            value = _solved(equation, extent.axis)
            if value is None:
                continue
            others = [c for c in conditions if c != equation]
            reach = [] if _inside(value, extent, facts) else [sympy.Ge(value, 0), sympy.Lt(value, extent.size)]
            new_guard = sympy.And(*(c.xreplace({extent.axis: value}) for c in others), *reach)
            left = tuple(e for e in term.reduced if e != extent)
            return replace(term, body=body.xreplace({extent.axis: value}), guard=new_guard, reduced=left)
    return None


def _bare(term: Assignment) -> tuple[sympy.Expr, list[Boolean]]:
    """The body without selects of 0 among its factors, and the conditions under which it counts."""
    factors = sympy.Mul.make_args(term.body)
    pieces = [f for f in factors if isinstance(f, sympy.Piecewise) and f.args[1:] == ((0, True),)]
    conditions = list(sympy.And.make_args(term.guard)) if term.guard != sympy.true else []
    if not pieces:
        return term.body, conditions
    # never divided out: 1/select(c, f, 0) is infinite
    body = sympy.Mul(*(f for f in factors if f not in pieces), *(piece.args[0][0] for piece in pieces))
    return body, conditions + [c for piece in pieces for c in sympy.And.make_args(piece.args[0][1])]


def _guarded(term: Assignment) -> Assignment | None:
    """A select of 0 around an exponential as the sum's guard: the largest exponent is one of those that count."""
    body, conditions = _bare(term)
    if body == term.body or not body.has(sympy.exp):
        return None
    return replace(term, body=body, guard=sympy.And(*conditions))


def _solved(equation: Boolean, axis: sympy.Symbol) -> sympy.Expr | None:
    """axis == value, with the axis nowhere else."""
    if not isinstance(equation, sympy.Eq) or not equation.has(axis):
        return None
    if equation.lhs == axis and not equation.rhs.has(axis):
        return equation.rhs
    if equation.rhs == axis and not equation.lhs.has(axis):
        return equation.lhs
    return None


def _inside(value: sympy.Expr, extent: Extent, facts: Facts) -> bool:
    return isinstance(value, IntegerEntry) and facts.bounds.get(value.operand) == extent.size

"""Tighten the ranges of folds by their guards.

    sum[0 <= r0 < O if 0 <= p - 2*r0 and p - 2*r0 < K](t)
                                        ->  sum[max(0, (p - K + 2) // 2) <= r0 < min(O, p // 2 + 1)](t)
    sum[0 <= r0 < V if r0 == token[n]](x[r0])
                                        ->  select(0 <= token[n] and token[n] < V, x[token[n]], 0)
    sum[0 <= r0 < A, 0 <= r1 < B if r0 + r1 == p](t(r1))
                                        ->  sum[max(0, p - B + 1) <= r0 < min(A, p + 1)](t(p - r0))

A guard that holds for every point of the loops around it is dropped; any other that does not solve for an axis stays.
Conditions of `select(condition, x, identity)` count as guards, but go back to where they came from if they stay.
Bounds never depend on loaded values (a scheduler may move them), nor divide by a size (which may be zero, and a
bound is computed even where no term is).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphnn.lower.affine import Affine, affine, never_positive, split
from graphnn.lower.guards import conjunction, conjuncts, guarded, is_total, nonpositive_forms, peel, solve_unit
from graphnn.lower.ir import Contract, Fold, For, If, Let, Program, Stmt
from graphnn.simplify.expr import (
    Axis,
    Const,
    Expr,
    Load,
    Local,
    Op,
    Range,
    axes_of,
    identity_of,
    index_constant,
    substitute,
    walk,
)

Conditions = tuple[Expr, ...]


def tighten(program: Program) -> Program:
    """Every fold with the ranges that its guard leaves (see the module's docstring). Order of terms stays."""
    return replace(program, body=_tighten_body(program.body, {}))


def _tighten_body(body: Iterable[Stmt], around: Mapping[str, Range]) -> tuple[Stmt, ...]:
    return tuple(_tighten_stmt(stmt, around) for stmt in body)


def _tighten_stmt(stmt: Stmt, around: Mapping[str, Range]) -> Stmt:
    match stmt:
        case For(axis=axis, lo=lo, hi=hi, body=body):
            return replace(stmt, body=_tighten_body(body, {**around, axis: Range(axis, lo, hi)}))
        case If(body=body):
            return replace(stmt, body=_tighten_body(body, around))
        case Contract(m=m, n=n, body=body):
            return replace(stmt, body=_tighten_body(body, {**around, m.axis: m, n.axis: n}))
        case Fold():
            return tighten_fold(stmt, around)
        case _:
            return stmt


@dataclass(frozen=True, slots=True)
class _Terms:
    """A fold's terms: `guard` and `inner` are conditions of the guard and of a select that gives the identity."""

    ranges: tuple[Range, ...]
    guard: Conditions
    inner: Conditions
    value: Expr


def tighten_fold(fold: Fold, around: Mapping[str, Range]) -> Fold | Let:
    """The fold over fewer points; a Let where one term is left. `around` are the loops that enclose it."""
    inner, value = peel(fold.reducer, fold.value)
    before = terms = _Terms(fold.ranges, conjuncts(fold.guard), inner, value)
    while (found := _substitute_one_term(terms)) is not None:
        terms = found
    terms = _narrow(terms)
    known = {**around, **{r.axis: r for r in terms.ranges}}
    terms = replace(terms, guard=_unproven(terms.guard, known), inner=_unproven(terms.inner, known))
    if terms == before:
        return fold
    identity = identity_of(fold.reducer, fold.value.dtype)
    if not terms.ranges:
        condition = guarded(conjunction(terms.guard), conjunction(terms.inner))
        return Let(fold.name, _where(condition, terms.value, identity))
    value = _where(conjunction(terms.inner), terms.value, identity)
    return replace(fold, ranges=terms.ranges, guard=conjunction(terms.guard), value=value)


def _where(condition: Expr | None, value: Expr, identity: Const) -> Expr:
    return value if condition is None else Op("select", (condition, value, identity), value.dtype)


def _unproven(conditions: Conditions, known: Mapping[str, Range]) -> Conditions:
    """The conditions that the loops around do not imply: i0 < N goes where i0 runs over [0, N)."""

    def implied(condition: Expr) -> bool:
        forms = nonpositive_forms(condition)
        return forms is not None and all(never_positive(f, known) for f in forms)

    return tuple(c for c in conditions if not implied(c))


# One term: an equation with a unit coefficient.


def _substitute_one_term(terms: _Terms) -> _Terms | None:
    """sum[lo <= r < hi if r == e](t(r))  ->  sum[if lo <= e and e < hi](t(e)); e may be loaded."""
    for condition in (*terms.guard, *terms.inner):
        solution = _solve(condition, terms.ranges)
        if solution is not None:
            position, e = solution
            break
    else:
        return None
    r = terms.ranges[position]
    inside = (Op("le", (r.lo, e), "bool"), Op("lt", (e, r.hi), "bool"))

    def rest(conditions: Conditions) -> Conditions:
        return tuple(substitute(c, {Axis(r.axis): e}) for c in conditions if c is not condition)

    guard = guarded(conjunction(inside), conjunction(rest(terms.guard)))
    return _Terms(
        terms.ranges[:position] + terms.ranges[position + 1 :],
        conjuncts(guard),
        rest(terms.inner),
        substitute(terms.value, {Axis(r.axis): e}),
    )


def _solve(condition: Expr, ranges: Sequence[Range]) -> tuple[int, Expr] | None:
    """r0 == e -> (position of r0, e). Only where substituting keeps the order of terms and every bound unloaded:
    e holds no axis of a later range, and no later bound holds r0."""
    for position, r in enumerate(ranges):
        e = solve_unit(condition, r.axis)
        later = ranges[position + 1 :]
        if e is None or axes_of(e) & {other.axis for other in later}:
            continue
        if not any(r.axis in axes_of(bound) for other in later for bound in (other.lo, other.hi)):
            return position, e
    return None


# Inequalities, and equations without a unit coefficient.


def _narrow(terms: _Terms) -> _Terms:
    ranges = list(terms.ranges)

    def left(conditions: Conditions) -> Conditions:
        return tuple(c for c in conditions if not _apply(c, ranges))

    guard, inner = left(terms.guard), left(terms.inner)
    return _Terms(tuple(ranges), guard, inner, terms.value)


def _apply(condition: Expr, ranges: list[Range]) -> bool:
    """Clip the innermost range whose axis the condition holds; False where it cannot be solved for that axis."""
    forms = nonpositive_forms(condition)
    held = [k for k, r in enumerate(ranges) if r.axis in axes_of(condition)]
    if forms is None or not held:
        return False
    axis = ranges[held[-1]].axis
    parts = [split(form, axis) for form in forms]
    clipped = ranges[held[-1]]
    for part in parts:
        if part is None or part[0] == 0 or not _may_bound(part[1].expr()):
            return False
        clipped = _clip(clipped, *part)
    ranges[held[-1]] = clipped
    return True


def _may_bound(expr: Expr) -> bool:
    return is_total(expr) and not any(isinstance(e, Load | Local) for e in walk(expr))


def _clip(r: Range, coefficient: int, rest: Affine) -> Range:
    """The part of r where coefficient*axis + rest <= 0.

    coefficient > 0:  axis < floor(-rest / coefficient) + 1       coefficient < 0:  axis >= ceil(rest / -coefficient)
    """
    if coefficient > 0:
        whole = _divided(rest.negated(), coefficient)
        return replace(r, hi=_extreme("min", r.hi, whole.shifted(1)))
    return replace(r, lo=_extreme("max", r.lo, _divided(rest.shifted(-coefficient - 1), -coefficient)))


def _divided(form: Affine, divisor: int) -> Affine:
    """floor(form / divisor), with what divides evenly taken out: floor((2*q + p + 4) / 2) -> floor((p + 4) / 2) + q."""
    evenly = Affine(tuple((a, c // divisor) for a, c in form.terms if c % divisor == 0), 0)
    left = Affine(tuple((a, c) for a, c in form.terms if c % divisor), form.constant)
    if not left.terms:
        return evenly.shifted(left.constant // divisor)
    quotient = Op("floordiv", (left.expr(), index_constant(divisor)), "int64")
    return affine(quotient).plus(evenly)


def _extreme(fn: str, old: Expr, new: Affine) -> Expr:
    """max(old, new) or min(old, new); one of the two where their difference is a constant."""
    difference = new.plus(affine(old), -1)
    if difference.terms:
        return Op(fn, (old, new.expr()), "int64")
    return new.expr() if (difference.constant > 0) == (fn == "max") and difference.constant else old

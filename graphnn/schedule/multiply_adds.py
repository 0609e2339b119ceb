"""Additions that wait for a product become multiply-adds, where nothing hides how long they take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import inf, prod

from graphnn.lower.ir import Fold, For, Let, Program, Stmt, Store, fused_factors
from graphnn.lower.types import FLOATS
from graphnn.schedule.affine import known_extent
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import Body, bound_ranges, bounds, own_expressions, statements, writes
from graphnn.simplify.expr import (
    NOTHING,
    Const,
    Expr,
    Local,
    Op,
    children,
    index_constant,
    loads_of,
    locals_of,
    place_axes,
    substitute,
    transform,
    walk,
)

FEW = 4  # terms: each is rounded at the size of what the sum begins with, which is not its own


def multiply_adds(program: Program, machine: Machine) -> Program:
    """Join products with what they are added to, and begin sums of at most FEW products with a bias.

    fold s = sum[0 <= r < 2] fma(W[r, i], x[0, r], s)      let s = fma(W[1, i], x[0, 1], fma(W[0, i], x[0, 0], b[i]))
    h[0, i] = tanh((b[i] + s))                         ->  h[0, i] = tanh(s)
    b[i] = (b[i] - 0.1*g[0, i])                            b[i] = fma((-0.1), g[0, i], b[i])

    Only in loops that are one vector in all: there each step waits for the one before, and in larger ones, whose
    iterations overlap, it gains little. A bias has to be there before the factors are: it is read from arrays that
    nothing has written yet. No square is joined, nor a product with another: x*x - y of equal x*x and y stays 0.
    """
    body: list[Stmt] = []
    written = NOTHING
    for stmt in program.body:
        written |= writes((stmt,))
        body.append(_inside(stmt, 1, written, machine))
    return replace(program, body=tuple(body))


def _inside(stmt: Stmt, points: float, written: frozenset[str], machine: Machine) -> Stmt:
    """The statement, which runs `points` times, with its loops rewritten; nothing in `written` may begin a sum."""
    if not isinstance(stmt, For):
        return stmt
    points *= known_extent(bound_ranges(stmt)[0]) or inf
    body = tuple(_inside(part, points, written, machine) for part in stmt.body)
    for place, part in enumerate(body):
        if isinstance(part, Fold) and points <= machine.lanes(part.value.dtype):
            body = (*body[:place], *_begun(part, body[place + 1 :], written))
    return replace(stmt, body=tuple(_joined(part, points, machine) for part in body))


def _joined(stmt: Stmt, points: float, machine: Machine) -> Stmt:
    if not isinstance(stmt, Let | Store) or points > machine.lanes(stmt.value.dtype):
        return stmt
    return replace(stmt, value=transform(stmt.value, _multiply_add))


def _multiply_add(e: Expr) -> Expr | None:
    """a*b + c, c - a*b and a*b - c as one operation."""
    if not isinstance(e, Op) or e.fn not in ("add", "sub") or e.dtype not in FLOATS:
        return None
    products = [part.args if isinstance(part, Op) and part.fn == "mul" else None for part in e.args]
    match products:
        case ((a, b), None) if a != b:
            c = e.args[1]
            return Op("fma", (a, b, c if e.fn == "add" else Op("neg", (c,), e.dtype)), e.dtype, e.origin)
        case (None, (a, b)) if a != b:
            return Op("fma", (a if e.fn == "add" else Op("neg", (a,), e.dtype), b, e.args[0]), e.dtype, e.origin)
    return None


def _begun(fold: Fold, after: Body, written: frozenset[str]) -> Body:
    """A fold and the statements that follow it, or what takes their place."""
    factors, sum_ = fused_factors(fold), Local(fold.name, fold.value.dtype)
    uses = [e for stmt in statements(after) for root in own_expressions(stmt) for e in walk(root) if e == sum_]
    if factors is None or fold.guard is not None or len(uses) > 1 or not _are_few(fold):
        return (fold, *after)
    for place, stmt in enumerate(after):
        if not isinstance(stmt, Let | Store):
            continue
        for e in _always_evaluated(stmt.value):
            start = _other_term(e, sum_)
            if start is not None and not locals_of(start) and written.isdisjoint(x.buffer for x in loads_of(start)):
                user = replace(stmt, value=substitute(stmt.value, {e: sum_}))
                return (Let(fold.name, _chain(fold, factors, start)), *after[:place], user, *after[place + 1 :])
    return (fold, *after)


def _other_term(e: Expr, term: Expr) -> Expr | None:
    """What an addition adds to a term; None for anything else."""
    match e:
        case Op(fn="add", args=(a, b)) if term in (a, b):
            return a if b == term else b
    return None


def _chain(fold: Fold, factors: tuple[Expr, Expr], total: Expr) -> Expr:
    """`total` and the terms of a fold, one after the other."""
    ends = [int(end.value) for end in bounds(fold.ranges) if isinstance(end, Const)]
    for point in product(*map(range, ends[::2], ends[1::2])):
        places = {r.axis: index_constant(at) for r, at in zip(fold.ranges, point, strict=True)}
        a, b = (place_axes(factor, places) for factor in factors)
        total = Op("fma", (a, b, total), total.dtype, fold.origin)
    return total


def _are_few(fold: Fold) -> bool:
    constant = all(isinstance(bound, Const) for bound in bounds(fold.ranges))
    return constant and 0 < prod(known_extent(r) or 0 for r in fold.ranges) <= FEW


def _always_evaluated(expr: Expr) -> Iterator[Expr]:
    """The parts of an expression but for the arms of its selects, one of which is not run."""
    yield expr
    for child in expr.args[:1] if isinstance(expr, Op) and expr.fn == "select" else children(expr):
        yield from _always_evaluated(child)

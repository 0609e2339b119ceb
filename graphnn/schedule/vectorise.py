"""Loops get their kind: vector lanes innermost, threads outermost."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import For, Kind, Program, Stmt
from graphnn.schedule.affine import apart, folded, known_extent
from graphnn.schedule.cost import CostModel
from graphnn.schedule.loops import best_lanes
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import extents_inside, meetings_inside
from graphnn.schedule.statements import Body, locals_bound, rewrite
from graphnn.simplify.expr import Expr, Range, axes_of, place_axes


def vectorise(program: Program, machine: Machine) -> Program:
    """Mark in each nest the loops whose lanes make it cheapest, and the outermost independent loops as parallel.

    for i0: for i1: y[i0, i1] = x[i0, i1]*2  ->  for i0 (parallel): for i1 (vector): y[i0, i1] = x[i0, i1]*2
    """
    model = CostModel.of(program.buffers, machine)
    marked = (best_lanes(stmt, model) for stmt in program.body)
    return replace(program, body=tuple(_mark_parallel(part) for stmt in marked for part in _opened(stmt)))


def _opened(stmt: Stmt) -> Body:
    """The statements of a loop of one iteration, which leaves nothing to share; each of them may.

    for i0 in 0 .. 1: (for i1: ...; for i2: ...)  ->  for i1: ...; for i2: ...     (i0 is 0)
    """
    if not isinstance(stmt, For) or stmt.kind == "vector" or known_extent(Range(stmt.axis, stmt.lo, stmt.hi)) != 1:
        return (stmt,)
    if locals_bound(stmt.body):  # they would hold the statements together
        return (stmt,)
    place = {stmt.axis: stmt.lo}

    def visit(expr: Expr) -> Expr:
        return folded(place_axes(expr, place)) if stmt.axis in axes_of(expr) else expr

    return tuple(part for inner in rewrite(stmt.body, visit) for part in _opened(inner))


def _mark_parallel(stmt: Stmt) -> Stmt:
    """Mark the independent loops in here."""
    if not isinstance(stmt, For) or stmt.kind == "vector":
        return stmt
    loop = Range(stmt.axis, stmt.lo, stmt.hi)
    kind: Kind = "parallel" if apart(loop, meetings_inside(stmt), extents_inside(stmt.body)) else "serial"
    return For(stmt.axis, stmt.lo, stmt.hi, tuple(map(_mark_parallel, stmt.body)), kind)

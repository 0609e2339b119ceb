"""Loops get their kind: vector lanes innermost, threads outermost."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import For, Kind, Program, Stmt
from graphnn.schedule.affine import independent
from graphnn.schedule.cost import CostModel
from graphnn.schedule.loops import best_lanes
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import extents_inside
from graphnn.simplify.expr import Range


def vectorise(program: Program, machine: Machine) -> Program:
    """Mark in each nest the loops whose lanes make it cheapest, and the outermost independent loops as parallel.

    for i0: for i1: y[i0, i1] = x[i0, i1]*2  ->  for i0 (parallel): for i1 (vector): y[i0, i1] = x[i0, i1]*2
    """
    model = CostModel.of(program.buffers, machine)
    return replace(program, body=tuple(_mark_parallel(best_lanes(stmt, model)[1]) for stmt in program.body))


def _mark_parallel(stmt: Stmt) -> Stmt:
    """Mark the independent loops of the perfect chain that starts here."""
    if not isinstance(stmt, For) or stmt.kind == "vector":
        return stmt
    loop = Range(stmt.axis, stmt.lo, stmt.hi)
    kind: Kind = "parallel" if independent(loop, stmt.body, extents_inside(stmt.body)) else "serial"
    inner = tuple(map(_mark_parallel, stmt.body)) if len(stmt.body) == 1 else stmt.body
    return For(stmt.axis, stmt.lo, stmt.hi, inner, kind)

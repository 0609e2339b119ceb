"""Reductions along memory get their terms into the lanes."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import Fold, For, Program, Stmt
from graphnn.schedule.cost import CostModel
from graphnn.schedule.crossing import always_loaded
from graphnn.schedule.extents import extent
from graphnn.schedule.machine import Machine
from graphnn.simplify.expr import Load, axes_of, walk


def fold_in_lanes(program: Program, machine: Machine) -> Program:
    """Give a fold a chain in each lane where its terms lie one after the other, and those of its loop do not.

    for i vector: fold s = sum[r] x[i, r]  ->  for i vector: fold s = sum[r in 16 lanes] x[i, r]

    With rows in the lanes each row is then read as it lies, and 16 vectors of sums become one by 30 shuffles; to
    exchange rows and columns takes 64 for each 16 terms. A row by itself no longer waits for one add after the other.
    """
    model = CostModel.of(program.buffers, machine)
    return replace(program, body=tuple(_in_lanes(stmt, model, None) for stmt in program.body))


def _in_lanes(stmt: Stmt, model: CostModel, vector: str | None) -> Stmt:
    match stmt:
        case For(axis=axis, kind=kind, body=body):
            around = axis if kind == "vector" else vector
            new = tuple(_in_lanes(s, model, around) for s in body)
            return stmt if all(a is b for a, b in zip(body, new, strict=True)) else replace(stmt, body=new)
        case Fold() if _lies_along(stmt, model, vector):
            return replace(stmt, lanes=model.machine.lanes(stmt.value.dtype))
        case _:
            return stmt


def _lies_along(fold: Fold, model: CostModel, vector: str | None) -> bool:
    """Whether all terms lie along memory with the last range, and so many that lanes pay."""
    if fold.guard is not None or fold.value.dtype == "bool":
        return False
    last, lanes = fold.ranges[-1], model.machine.lanes(fold.value.dtype)
    moving = [e for e in walk(fold.value) if isinstance(e, Load) and any(last.axis in axes_of(i) for i in e.index)]
    if extent(last.lo, last.hi) <= lanes or not moving:
        return False
    along = all(model.stride(e.buffer, e.index, last.axis) == 1 for e in moving)
    crosses = vector is None or any(
        model.stride(e.buffer, e.index, vector) is None for e in always_loaded(fold.value) if e in moving
    )
    return along and crosses

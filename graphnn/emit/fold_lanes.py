"""Folds with their terms in the lanes: `Fold.lanes` chains side by side, whose results are combined by halves.

fold s = sum[r in 16 lanes] x[i, r], i in the lanes
  ->  for each lane i: 16 sums of the row i, onto the stack; then 16 vectors of sums become one, of a sum each
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphnn.emit.access import expressions_in, names_in, offset_of
from graphnn.emit.crossing import Lanes, loads_by_rows
from graphnn.emit.halves import halved
from graphnn.emit.scalar import emit_scalar
from graphnn.emit.writer import Value, constant, lanes_of
from graphnn.lower.ir import Fold
from graphnn.schedule.affine import known_extent
from graphnn.schedule.memory import ALIGNMENT
from graphnn.simplify.expr import COMBINE, Const, Load, Range, identity_of

if TYPE_CHECKING:
    from graphnn.emit.folds import Folds  # it dispatches to this module

MOST = 8  # vectors of terms that are written one after the other


def fold_in_lanes(context: Folds, fold: Fold) -> Value:
    """The value of a fold with lanes: a scalar in scalar code, in vector code one in each lane."""

    def combine(a: Value, b: Value) -> Value:
        return emit_scalar(context.writer, COMBINE[fold.reducer], (a, b))

    if context.lanes == 1:
        whole = halved(context.writer, [_chains(context, fold)], combine)
        return context.writer.ins(context.type_of(fold.value.dtype), f"extractelement {whole}, i32 0")
    rows = _by_rows(context, fold)
    found = [halved(context.writer, rows[k : k + fold.lanes], combine) for k in range(0, len(rows), fold.lanes)]
    while len(found) > 1:
        found = [_joined(context, a, b) for a, b in zip(found[::2], found[1::2], strict=True)]
    return context.writer.shuffle(found[0], found[0], range(context.lanes))


def _by_rows(context: Folds, fold: Fold) -> list[Value]:
    """The chains of each lane's fold: as many vectors of `fold.lanes` as there are lanes."""
    w, across = context.writer, context.vector_axis
    assert across is not None
    type_ = context.type_of(fold.value.dtype, fold.lanes)
    stack = w.alloca(type_, context.lanes, ALIGNMENT)
    places = [w.gep(type_, stack, constant("i64", k)) for k in range(context.lanes)]
    used = frozenset[str]().union(*map(names_in, expressions_in((fold,)))) & context.varying - {across}
    lanes = {name: Lanes.of(context, context.locals[name]) for name in sorted(used)}
    mask = None if context.mask is None else Lanes.of(context, context.mask.value)
    if mask is not None:
        for place in places:
            w.do(f"store {type_} zeroinitializer, {place}, align {ALIGNMENT}")
    loads = tuple(e for e in loads_by_rows(context, fold) if not context.declared[e.buffer].local_to)
    count = context.lanes
    with w.loop(constant("i64", 0), constant("i64", count)) as row, context.scope():
        active = nullcontext() if mask is None else w.when(mask.element(context, row.index))
        position = w.binary("add", context.axes[across], row.index)
        with active, context.scope(), context.axis(across, position), context.lockstep(across, position, 1):
            for name, values in lanes.items():
                context.bind(name, values.element(context, row.index))
            chains = _chains(context, fold, _Ahead(across, w.binary("add", position, constant("i64", count)), loads))
            w.do(f"store {chains}, {w.gep(type_, stack, row.index)}, align {ALIGNMENT}")
    return [w.ins(type_, f"load {type_}, {place}, align {ALIGNMENT}") for place in places]


def _chains(context: Folds, fold: Fold, ahead: _Ahead | None = None) -> Value:
    """In scalar code: the chains of a fold, one in each of its lanes."""
    start = context.writer.splat(context.value(identity_of(fold.reducer, fold.value.dtype)), fold.lanes)
    return _over(context, fold, fold.ranges, start, ahead)


def _over(context: Folds, fold: Fold, ranges: tuple[Range, ...], total: Value, ahead: _Ahead | None) -> Value:
    """`total` with the terms of the ranges that are left, a vector of them at a time along the last one."""
    w, lanes = context.writer, fold.lanes
    first, *rest = ranges
    lo, hi = context.value(first.lo), context.value(first.hi)
    if rest:
        with context.loop(first.axis, lo, hi, carry=[total]) as loop:
            loop.next = [_over(context, fold, tuple(rest), loop.carried[0], ahead)]
        return loop.results[0]
    length = known_extent(first) if isinstance(first.lo, Const) else None
    if length is None:
        extent = w.intrinsic("smax.i64", "i64", w.binary("sub", hi, lo), constant("i64", 0))
        whole = w.binary("add", lo, w.binary("and", extent, constant("i64", -lanes)))
    else:
        whole = constant("i64", int(lo.ref) + length // lanes * lanes)
    if length is not None and length <= MOST * lanes:
        for start in range(int(lo.ref), int(whole.ref), lanes):
            total = _vector(context, fold, constant("i64", start), total, ahead)
    else:
        with context.scope(), w.loop(lo, whole, step=lanes, carry=[total]) as loop:
            loop.next = [_vector(context, fold, loop.index, loop.carried[0], ahead)]
        (total,) = loop.results
    if length is None or length % lanes:
        total = _vector(context, fold, whole, total, ahead, end=hi)
    return total


def _vector(
    context: Folds, fold: Fold, first: Value, total: Value, ahead: _Ahead | None, end: Value | None = None
) -> Value:
    """`total` with the terms from `first` on, one in each lane; with an `end`, those before it."""
    w = context.writer
    with context.scope(), context.lockstep(fold.ranges[-1].axis, first, fold.lanes):
        if ahead is not None:
            ahead.fetch(context, fold.ranges[-1].axis, first, fold.lanes)
        if end is None:
            return context.fold_term(fold, total, context.expr)
        present = w.compare("icmp slt", w.binary("add", context.widen(first), context.iota()), context.widen(end))
        with context.masked(present):
            kept = context.fold_term(fold, total, context.expr)
        return w.select(present, kept, total)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """Loads whose lines are fetched for another row: no hardware follows as many rows as there are lanes."""

    across: str
    row: Value
    loads: tuple[Load, ...]

    def fetch(self, context: Folds, axis: str, first: Value, lanes: int) -> None:
        for load in self.loads:
            offset = offset_of(context.declared[load.buffer], load.index)
            with context.axis(self.across, self.row), context.lockstep(axis, first, lanes):
                context.writer.prefetch(context.address(load.buffer, offset))


def _joined(context: Folds, a: Value, b: Value) -> Value:
    """The lanes of two vectors in one."""
    return context.writer.shuffle(a, b, range(2 * lanes_of(a.type)))

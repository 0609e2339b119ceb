"""Copies across the grain: blocks that are loaded along one axis and stored along the other.

    for r parallel: for i vector: t[r, i] = W[i, r]
      ->  for r0 by 16: for i0 by 16: load 16 vectors along r, exchange rows and columns in registers, put them on the
          stack; for r in r0 .. r0 + 16: the body with a column in the place of each load

Where the body only copies, the columns go to memory at once.

A gather takes as many loads as there are lanes, and at a stride of a power of two they share few cache sets: 65536
elements took 63 us, so 9 us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from graphnn.emit.access import expressions_in, names_in, offset_of, slope, written_by
from graphnn.emit.address import MEMORY
from graphnn.emit.exchange import Square, exchange
from graphnn.emit.writer import Value, constant
from graphnn.lower.ir import Buffer, For, Let, Stmt, Store
from graphnn.schedule.affine import ZERO, integer
from graphnn.schedule.cost import CHEAP, WEIGHTS
from graphnn.schedule.crossing import always_loaded
from graphnn.schedule.statements import accesses, own_expressions
from graphnn.simplify.expr import Expr, Load, Op, index_constant, walk

if TYPE_CHECKING:
    from graphnn.emit.loops import EmitContext  # it dispatches to this module

ONE = index_constant(1)
MAX_WORK = 8  # instructions of the body, which stands in the code once a lane


def crossing_loads(buffers: Mapping[str, Buffer], loop: For) -> tuple[Load, ...]:
    """The loads of a nest that run along memory with its outer loop, but not with the vector loop inside.

    Empty where the nest is not an independent loop around a vector loop of plain stores of little work.
    """
    match loop:
        case For(kind="parallel", body=(For(kind="vector") as inner,)):
            pass
        case _:
            return ()
    if not all(isinstance(s, Let | Store) for s in inner.body):
        return ()
    moving = any(loop.axis in names_in(bound) for bound in (inner.lo, inner.hi))
    local = any(buffers[a.buffer].local_to for a in accesses(inner.body))
    if moving or local or not _is_light(inner.body):
        return ()
    found = dict.fromkeys(
        load
        for root in expressions_in(inner.body)
        for load in always_loaded(root)
        if _crosses(buffers[load.buffer], load, loop, inner)
    )
    return tuple(load for load in found if written_by(inner.body).isdisjoint(names_in(load)))


def _is_light(body: tuple[Stmt, ...]) -> bool:
    """Whether plain statements compute so little that they may be written out for each lane."""
    work = 0
    for stmt in body:
        ops = [e for root in own_expressions(stmt) for e in walk(root) if isinstance(e, Op) and e.dtype != "int64"]
        work += sum(WEIGHTS.get(e.fn, CHEAP) for e in ops)
        if work > MAX_WORK:
            return False
    return True


def _crosses(buffer: Buffer, load: Load, outer: For, inner: For) -> bool:
    offset = offset_of(buffer, load.index)
    along, across = slope(offset, outer.axis), slope(offset, inner.axis)
    return load.dtype != "bool" and along == ONE and across not in (None, ONE, ZERO)


def emit_crossing(context: EmitContext, loop: For, loads: Sequence[Load]) -> None:
    """Emit a nest with `loads` = crossing_loads(nest): whole blocks, and what is left as it would be otherwise."""
    (inner,) = loop.body
    assert isinstance(inner, For)
    lanes = context.lanes_for(inner)
    r_end, i_end = (_whole_blocks(f, lanes) for f in (loop, inner))
    if r_end == loop.lo or i_end == inner.lo:  # fewer iterations than lanes
        context.plain_loop(loop)
        return
    w, changed = context.writer, written_by(inner.body)
    ends = [context.value(e) for e in (loop.lo, r_end, inner.lo, i_end)]
    with (
        context.scope(changed),
        w.loop(ends[0], ends[1], step=lanes) as rows,
        w.loop(ends[2], ends[3], step=lanes) as columns,
        context.scope(changed),
    ):
        _block(context, loop, inner, loads, rows.index, columns.index, lanes)
    if i_end != inner.hi:
        context.plain_loop(replace(loop, hi=r_end, body=(replace(inner, lo=i_end),)))
    if r_end != loop.hi:
        context.plain_loop(replace(loop, lo=r_end))


def _whole_blocks(loop: For, lanes: int) -> Expr:
    """Where the last whole block of a loop ends: lo + (hi - lo)//16*16, or lo where hi is below it."""
    extent = integer("max", integer("sub", loop.hi, loop.lo), ZERO)
    blocks = integer("floordiv", extent, index_constant(lanes))
    return integer("add", loop.lo, integer("mul", blocks, index_constant(lanes)))


def _block(context: EmitContext, loop: For, inner: For, loads: Sequence[Load], r: Value, i: Value, lanes: int) -> None:
    w = context.writer
    if _copy(context, loop, inner, r, i, lanes):
        return
    squares = [Square.of(context, load, lanes) for load in loads]
    for square in squares:
        square.fill(context, (inner.axis, i), (loop.axis, r))
    with w.loop(constant("i64", 0), constant("i64", lanes)) as k, context.scope(written_by(inner.body)):
        position = w.binary("add", r, k.index)
        with context.axis(loop.axis, position), context.lockstep(inner.axis, i, lanes):
            for square in squares:
                square.take(context, k.index)
            context.statements(inner.body)


def _copy(context: EmitContext, loop: For, inner: For, r: Value, i: Value, lanes: int) -> bool:
    """Copy a block from memory to memory, if that is all there is to do and the rows of both lie evenly."""
    match inner.body:
        case (Store(buffer=name, index=index, value=Load() as load) as store,):
            target, source = context.declared[name], context.declared[load.buffer]
        case _:
            return False
    to, of = offset_of(target, index), offset_of(source, load.index)
    pitch, stride = slope(to, loop.axis), slope(of, inner.axis)
    if pitch is None or stride is None or slope(to, inner.axis) != ONE or target.stored != source.stored:
        return False
    with context.at(store.origin), context.axis(loop.axis, r), context.axis(inner.axis, i):
        rows = context.address(load.buffer, of), context.value(stride)
        columns = context.address(name, to), context.value(pitch)
        exchange(context.writer, MEMORY[source.stored], lanes, rows, columns)
    return True

"""Folds and loops in vector code whose accesses run along memory while the lanes run across it: rows in the lanes.

    for i vector: fold s = sum[r in lo .. hi] x[i, r]
      ->  for r0 by 16: load 16 vectors along r, one a row, exchange rows and columns in registers, put them on the
          stack; for r in r0 .. r0 + 16: s += the column of r
          One block of terms is exchanged by a call, which is less code.

    for i vector: for j: y[i, j] = x[i, j]/s  ->  for each lane i: for j vector: y[i, j] = x[i, j]/s

The order of terms and the values are the statement's own. Gathers instead take as many loads as there are lanes for
each term: a softmax of rows of 64 took twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphnn.emit.access import bound_by, expressions_in, invariants, names_in, offset_of, slope, written_by
from graphnn.emit.address import MEMORY
from graphnn.emit.environment import Mask
from graphnn.emit.exchange import Square, exchanged
from graphnn.emit.writer import Value, constant, element_type, vector_type
from graphnn.lower.ir import Fold, For, Let, Stmt, Store
from graphnn.schedule.affine import ONE, ZERO, known_extent
from graphnn.schedule.crossing import Stride, block_loads, crosses, runs_by_rows
from graphnn.schedule.memory import ALIGNMENT
from graphnn.schedule.statements import rewrite
from graphnn.simplify.expr import Const, Expr, Load, Local, Op, Range, substitute

if TYPE_CHECKING:
    from graphnn.emit.folds import Folds
    from graphnn.emit.loops import EmitContext  # it dispatches to this module


def loads_by_rows(context: Folds, fold: Fold) -> tuple[Load, ...]:
    """The loads of a fold in vector code that go across the lanes; none where each access is checked."""
    axis = context.vector_axis
    if context.lanes == 1 or axis is None or context.checks is not None:
        return ()
    along = fold.ranges[-1].axis
    return tuple(
        load
        for load in block_loads(fold)
        if load.dtype != "bool"
        and crosses(_strides(context), load.buffer, load.index, along, axis)
        and names_in(load) & context.varying == {axis}
    )


def fold_across(
    context: Folds, terms: Range, loads: tuple[Load, ...], total: Value, add: Callable[[Value], Value]
) -> Value:
    """`total` with all terms of a fold's last range added, in their order; `loads` = loads_by_rows(fold)."""
    w, lanes = context.writer, context.lanes
    lo, hi = context.value(terms.lo), context.value(terms.hi)
    extent = w.intrinsic("smax.i64", "i64", w.binary("sub", hi, lo), constant("i64", 0))
    whole = w.binary("add", lo, w.binary("and", extent, constant("i64", -lanes)))
    length = known_extent(terms)
    if length is not None and length <= lanes and (squares := _squares(context, loads)):
        across, mask = context.vector_axis, context.mask
        assert across is not None
        rows = constant("i64", lanes) if mask is None or mask.first is None else mask.first
        with context.scope():
            for square in squares:
                square.fill(context, (across, context.axes[across]), (terms.axis, lo), (rows, extent))
            return _add_columns(context, squares, terms.axis, (lo, hi), total, add)
    columns = tuple(_Columns.of(context, load) for load in loads)
    for start, end, ragged in ((lo, whole, False), (whole, hi, True)):
        if length is not None and (length % lanes == 0 if ragged else length < lanes):
            continue
        with context.scope(), w.loop(start, end, step=lanes, carry=[total]) as block:
            first, last = block.index, w.binary("add", block.index, constant("i64", lanes))
            for c in columns:
                c.fill(context, terms.axis, first, hi if ragged else None)
            end_here = hi if ragged else last
            block.next = [_add_columns(context, columns, terms.axis, (first, end_here), block.carried[0], add)]
        total = block.results[0]
    return total


def _squares(context: Folds, loads: tuple[Load, ...]) -> tuple[Square, ...]:
    """The loads as blocks that a call takes, where the rows that run are the first ones and lie evenly; else none."""
    across, mask = context.vector_axis, context.mask
    assert across is not None
    offsets = (offset_of(context.declared[load.buffer], load.index) for load in loads)
    if (mask is not None and mask.first is None) or None in (slope(offset, across) for offset in offsets):
        return ()
    return tuple(Square.of(context, load, context.lanes) for load in loads)


def _add_columns(
    context: Folds,
    columns: Sequence[_Columns] | Sequence[Square],
    axis: str,
    terms: tuple[Value, Value],
    total: Value,
    add: Callable[[Value], Value],
) -> Value:
    """`total` with the terms added for which the columns are on the stack, the first of them for the first term."""
    w = context.writer
    with context.scope(), w.loop(*terms, carry=[total]) as term, context.axis(axis, term.index):
        for c in columns:
            c.take(context, w.binary("sub", term.index, terms[0]))
        term.next = [add(term.carried[0])]
    return term.results[0]


@dataclass(frozen=True, slots=True)
class _Columns:
    """As many columns of a load as there are lanes, on the stack."""

    load: Load
    type: str
    stack: Value

    @classmethod
    def of(cls, context: Folds, load: Load) -> _Columns:
        type_ = context.type_of(load.dtype, context.lanes)
        return cls(load, type_, context.writer.alloca(type_, context.lanes, ALIGNMENT))

    def fill(self, context: Folds, along: str, first: Value, end: Value | None) -> None:
        """Load each row that runs, from `first` to `end`, and store what are columns then."""
        w, lanes, across, mask = context.writer, context.lanes, context.vector_axis, context.mask
        assert across is not None
        present, rows = None, []
        if end is not None:
            positions = w.binary("add", w.splat(first, lanes), context.iota())
            present = w.compare("icmp slt", positions, w.splat(end, lanes))
        buffer = context.declared[self.load.buffer]
        # The rows of the next lanes, too: no hardware follows lines of so many rows. Memory halved the speed without.
        places = self.rows(context, across, along, first, 2 * lanes)
        for k, (place, ahead) in enumerate(zip(places[:lanes], places[lanes:], strict=True)):
            inside = present
            if mask is not None:
                runs = w.splat(w.ins("i1", f"extractelement {mask.value}, i32 {k}"), lanes)
                inside = runs if present is None else w.binary("and", runs, present)
            with context.lockstep(along, first, lanes, None if inside is None else Mask(inside, occupied=False)):
                rows.append(context.load_from(place, buffer))
            if not buffer.local_to:
                w.prefetch(ahead)
        # A call instead would have all vectors of the loop around saved: a softmax took a tenth longer.
        for k, column in enumerate(exchanged(w, rows)):
            w.do(f"store {column}, {w.gep(self.type, self.stack, constant('i64', k))}, align {ALIGNMENT}")

    def rows(self, context: Folds, across: str, along: str, first: Value, count: int) -> list[Value]:
        """Where so many rows begin, of which the first is that of the first lane, at `first` of axis `along`."""
        w, start, places = context.writer, context.axes[across], list[Value]()
        buffer = context.declared[self.load.buffer]
        offset = offset_of(buffer, self.load.index)
        stride = slope(offset, across)
        for k in range(count):
            if k and isinstance(stride, Const):
                distance = constant("i64", k * int(stride.value))
                places.append(w.gep(MEMORY[buffer.stored], places[0], distance))
                continue
            row = w.binary("add", start, constant("i64", k))
            with context.axis(across, row), context.axis(along, first):
                places.append(context.address(buffer.name, offset))
        return places

    def take(self, context: Folds, k: Value) -> None:
        """Let column k be the value of the load."""
        w = context.writer
        place = w.gep(self.type, self.stack, k)
        column = w.ins(self.type, f"load {self.type}, {place}, align {ALIGNMENT}")
        context.remember((self.load, context.lanes), column, names_in(self.load))


def emit_by_rows(context: EmitContext, loop: For) -> bool:
    """Run a loop of vector code lane by lane, its own axis in the lanes. False, and nothing, where that is no gain."""
    across = context.vector_axis
    if context.lanes == 1 or across is None or context.checks is not None:
        return False
    if not runs_by_rows(loop, _strides(context), across):
        return False
    w = context.writer
    runs = w.compare("icmp slt", context.value(loop.lo), context.value(loop.hi))
    with w.when(runs), context.scope(written_by(loop.body)):
        body = _bind_invariants(context, loop)
        used = frozenset[str]().union(*map(names_in, expressions_in(body))) & context.varying - {across}
        lanes = {name: Lanes.of(context, context.locals[name]) for name in sorted(used)}
        mask = None if context.mask is None else Lanes.of(context, context.mask.value)
        with w.loop(constant("i64", 0), constant("i64", context.lanes)) as row, context.scope():
            active = w.when(mask.element(context, row.index)) if mask is not None else nullcontext()
            position = w.binary("add", context.axes[across], row.index)
            with active, context.scope(), context.axis(across, position), context.lockstep(across, position, 1):
                for name, values in lanes.items():
                    context.bind(name, values.element(context, row.index))
                context.statement(replace(loop, body=body, kind="vector"))
    return True


def _bind_invariants(context: EmitContext, loop: For) -> tuple[Stmt, ...]:
    """The body of a loop with what varies by lane, but not with the loop, computed here, in all lanes at once."""
    changing = written_by(loop.body) | bound_by((loop,))
    found = [part for s in loop.body if isinstance(s, Let | Store) for part in invariants(s.value, changing)]
    mapping: dict[Expr, Expr] = {}
    for part in dict.fromkeys(found):
        if isinstance(part, Op) and context.varies(part):
            local = Local(f"{loop.axis}:{len(mapping)}", part.dtype)  # no user's name has a colon
            context.bind(local.name, context.value(part))
            mapping[part] = local
    return rewrite(loop.body, lambda e: substitute(e, mapping))


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of a vector on the stack, for one to be taken."""

    type: str
    stack: Value

    @classmethod
    def of(cls, context: Folds, vector: Value) -> Lanes:
        w = context.writer
        if element_type(vector.type) == "i1":  # in memory they would be bits
            vector = w.convert("zext", vector, vector_type("i8", context.lanes))
        stack = w.alloca(vector.type, 1, ALIGNMENT)
        w.do(f"store {vector}, {stack}, align {ALIGNMENT}")
        return cls(element_type(vector.type), stack)

    def element(self, context: Folds, k: Value) -> Value:
        w = context.writer
        found = w.ins(self.type, f"load {self.type}, {w.gep(self.type, self.stack, k)}")
        return w.convert("trunc", found, "i1") if self.type == "i8" else found


def _strides(context: Folds) -> Stride:
    def stride(buffer: str, index: tuple[Expr, ...], axis: str) -> int | None:
        found = slope(offset_of(context.declared[buffer], index), axis)
        return 0 if found == ZERO else 1 if found == ONE else None

    return stride

"""Long reductions become levels of short chains, in an order that only the program and the sizes decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphnn.lower.ir import Fold, Program, Stmt
from graphnn.schedule.affine import (
    ZERO,
    ceildiv,
    extent_of,
    integer,
    is_size,
    layouts,
    stride,
)
from graphnn.schedule.extents import volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import Nest, peel
from graphnn.schedule.partial_sums import MAX_PARTIALS, Cut, Level, take_apart
from graphnn.schedule.statements import fresh_name, names_in
from graphnn.simplify.expr import Axis, Const, Expr, Load, Op, Range, axes_of, index_constant, walk

CHAIN = 128  # terms of one chain
COLUMNS = 64  # Interleaved chains where the reduced axis is the one with unit stride: 4 vectors of 16 float32 hide
# the latency of an add. Not the machine's lane count: the order of the terms is the same on all.
UNKNOWN = 2**20  # a size that is not known before the call gets as many levels as this many terms need


def split_reductions(program: Program, machine: Machine) -> Program:
    """Split a Fold of more than 128 terms into levels, each a nest of its own over a temp of partial results.

    y[] = sum[r0 < 1024](x[r0])  ->  for c < 64: t[c] = sum[j < 16](x[64*j + c]);   y[] = sum[c < 64](t[c])

    The order of terms. Trailing ranges that together have at most 128 terms form one chain per point of the ranges
    before them, whose results are reduced in turn. A longer last range r of extent T is cut:
    - where an output axis has unit stride, into chunks of 128 consecutive terms, r = 128*q + j;
    - else into blocks of 128*64 terms of which column c is one chain, r = 8192*q + 64*j + c; then the chains of one
      column over all blocks are reduced, and at last the 64 columns, ascending.
    Partial results are reduced by the same rule. A size that is not known before the call gets the levels that
    2^20 terms need: beyond that, the outermost chain grows. Left alone: a Fold of at most 128 terms, one whose
    bounds move with other axes, and one that would need more than MAX_PARTIALS partial results.
    """
    buffers = list(program.buffers)
    names = {b.name for b in buffers} | names_in(program.body) | set(program.sizes)
    memory = layouts(buffers)
    body: list[Stmt] = []
    for stmt in program.body:
        pending = [stmt]
        while pending:
            level = _split(peel(pending[-1]), memory, names)
            if level is None:
                body.append(pending.pop())
            else:
                buffers.append(level.buffer)
                memory[level.buffer.name] = level.buffer.layout
                pending[-1:] = [level.rest, level.partial]
    return replace(program, buffers=tuple(buffers), body=tuple(body))


def _split(nest: Nest, memory: dict[str, tuple[int, ...]], names: set[str]) -> Level | None:
    fold = nest.body[0] if nest.body else None
    if not isinstance(fold, Fold) or nest.contract is not None:
        return None
    if not all(is_size(bound) for r in (*nest.loops, *fold.ranges) for bound in (r.lo, r.hi)):
        return None
    if volume(fold.ranges, UNKNOWN) <= CHAIN:
        return None
    cut = _cut(nest, fold, memory, names)
    if volume((*nest.loops, *cut.stored)) > MAX_PARTIALS:
        return None
    return take_apart(nest, fold, cut, names)


def _cut(nest: Nest, fold: Fold, memory: dict[str, tuple[int, ...]], names: set[str]) -> Cut:
    columns = _runs_along(fold.ranges[-1].axis, nest.loops, fold.value, memory)
    leading = list(fold.ranges)
    short: list[Range] = []
    while volume((leading[-1], *short), UNKNOWN) <= CHAIN:
        short.insert(0, leading.pop())
    if short:
        return Cut(columns, tuple(leading), tuple(leading), tuple(short), None, {})

    last = leading.pop()
    q, c = (fresh_name(f"{last.axis}_{part}", names) for part in ("q", "c"))
    terms = extent_of(last)
    width = COLUMNS if columns else 1
    block = index_constant(CHAIN * width)
    blocks = Range(q, ZERO, ceildiv(terms, CHAIN * width))
    one_block = blocks.hi == index_constant(1)
    start = ZERO if one_block else integer("mul", Axis(q), block)
    left = integer("sub", terms, start)
    rows = ceildiv(left, width)
    if not one_block:
        exact = isinstance(terms, Const) and int(terms.value) % (CHAIN * width) == 0
        rows = index_constant(CHAIN) if exact else integer("min", rows, index_constant(CHAIN))
    offset = integer("mul", Axis(last.axis), index_constant(width))
    if columns:
        offset = integer("add", offset, Axis(c))
    place = integer("add", start, offset)
    ragged = columns and not (isinstance(terms, Const) and int(terms.value) % width == 0)
    guard = Op("lt", (place, terms), "bool") if ragged else None

    outer = () if one_block else (blocks,)
    lanes = (Range(c, ZERO, index_constant(width)),) if columns else ()
    return Cut(
        runs_along=columns,
        stored=(*leading, *outer, *lanes),
        reduced=(*leading, *lanes, *outer),
        chain=(Range(last.axis, ZERO, rows),),
        guard=guard,
        position={Axis(last.axis): integer("add", last.lo, place)},
    )


def _runs_along(axis: str, loops: Sequence[Range], value: Expr, memory: dict[str, tuple[int, ...]]) -> bool:
    """Whether more loads that move with the reduced axis have unit stride in it than in any output axis."""
    loads = [e for e in walk(value) if isinstance(e, Load) and axis in axes_of(e)]
    unit = [sum(stride(e.index, r, memory[e.buffer]) == 1 for e in loads) for r in (axis, *(r.axis for r in loops))]
    return not loops or unit[0] > max(unit[1:])

"""Examples in lanes: images stored with a vector of examples where one element was.

    h[n, c, y, x]  ->  h[n // 16, c, y, 16*x + n % 16]

Channels and image sizes seldom fill vectors; a batch does, at any number of channels. Pooling, padding and
activations run along it without a shuffle, a row of 28 pixels is 28 whole vectors, and one block of 16 images stays in
the second-level cache. Along a row, pixel and lane become one axis j = 16*x + n % 16 wherever nothing takes them
apart, so that a correlation of stride 1 reads h[.., j + 16*v]: unit stride over the whole row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from graphnn.lower.affine import Affine, affine, split
from graphnn.lower.guards import conjunction, nonpositive_forms
from graphnn.lower.ir import Accumulate, Buffer, Fold, For, If, Program, Stmt, Store
from graphnn.schedule.affine import ZERO, default_layout, integer
from graphnn.schedule.contract import contracted
from graphnn.schedule.cost import CostModel
from graphnn.schedule.guards import excluded, rectangular
from graphnn.schedule.loops import least_cost
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel, wrap
from graphnn.schedule.statements import (
    Body,
    accesses,
    bound_ranges,
    fresh_name,
    names_in,
    reads,
    rewrite,
    statements,
    touched,
)
from graphnn.simplify.expr import Axis, Const, Expr, Load, Op, Range, axes_of, index_constant, rebuild, walk


def block_examples(program: Program, machine: Machine) -> Program:
    """Store images with a vector of examples innermost where the whole program gets cheaper by it.

    for n: for y: for x: h[n, y, x] = g[n, y, x]  ->  for b: for y: for j: h[b, y, j] = g[b, y, j]

    All temps of three or more dimensions whose leading extent is the number of examples, and matrices of flat images
    (h[n, 64*c + 8*y + x] somewhere), or none; inputs of such shape are copied into the new order once. Left alone: a
    number of examples that is not known, or no multiple of the lanes.
    Compared are contractions with outputs in lanes: for weight gradients alone the other order never paid.
    """
    blocked = in_blocks(program, machine.lanes("float32"))
    if blocked is None:
        return program
    cost = _cost(_without(blocked, program.body), machine, math.inf)
    return program if _cost(_without(program, blocked.body), machine, cost) <= cost else blocked


def in_blocks(program: Program, lanes: int) -> Program | None:
    """The program with blocks of `lanes` examples, whatever it costs; None where nothing can be stored so."""
    blocks = _Blocks.of(_copy_inputs(program, lanes), lanes)
    return blocks.program() if blocks.names else None


def _without(program: Program, others: Body) -> Program:
    """The program without the statements that are among others, too: they cost the same on both sides."""
    same = set(map(id, others))
    return replace(program, body=tuple(stmt for stmt in program.body if id(stmt) not in same))


def _cost(program: Program, machine: Machine, most: float) -> float:
    """The cost with contractions; of the first statements, where these alone cost more than `most`."""
    model, total = CostModel.of(program.buffers, machine), 0.0
    for body, buffers in contracted(program, machine, dots=False):
        for buffer in buffers:
            model = model.beside(buffer)
        total += sum(least_cost(stmt, model) for stmt in body)
        if total > most:
            break
    return total


def _flat_images(program: Program) -> set[str]:
    """The matrices whose rows somebody reads or writes as images: h[n, 64*c + 8*y + x]."""
    found = [a for a in accesses(program.body) if len(a.index) == 2]
    return {a.buffer for a in found if len(axes_of(a.index[1])) > 1}


def _is_blocked(buffer: Buffer, lanes: int, rank: int = 3) -> bool:
    """Whether a buffer has the shape of a batch of images, in whole vectors of examples, and this rank at least."""
    if len(buffer.shape) < rank or not isinstance(buffer.shape[0], Const):
        return False
    return int(buffer.shape[0].value) >= lanes and int(buffer.shape[0].value) % lanes == 0


def _batches(program: Program) -> set[str]:
    """The inputs, and what is made of them, that one leading axis runs through: h[n] = f(x[n]), g[n] = f(h[n]).

    Not W[o] = sum[n](x[n]), nor an input w of h[n, o] = f(x[n], w[o]).
    """
    inputs = {b.name for b in program.buffers if b.role == "input" and b.shape}
    found: set[str] = set()
    for stmt in program.body:
        made = accesses((stmt,))
        written = {a.index[0] for a in made if a.writes and a.index and isinstance(a.index[0], Axis)}
        read = [a for a in made if not a.writes and a.buffer in inputs | found and a.index[0] in written]
        found |= {a.buffer for a in read}
        found |= {a.buffer for a in made if a.writes and a.index and a.index[0] in {r.index[0] for r in read}}
    return found


def _copy_inputs(program: Program, lanes: int) -> Program:
    """x[n, c, y, x] as an input  ->  a temp x.lanes that is a copy of it, and that everybody reads."""
    names = {b.name for b in program.buffers} | names_in(program.body) | set(program.sizes)
    used = reads(program.body) & _batches(program)
    copies: list[Stmt] = []
    buffers = list(program.buffers)
    body = program.body
    for buffer in program.buffers:
        if buffer.role != "input" or buffer.name not in used or not _is_blocked(buffer, lanes):
            continue
        copy = replace(buffer, name=fresh_name(f"{buffer.name}.lanes", names), role="temp")
        axes = [fresh_name(f"p{d}", names) for d in range(len(buffer.shape))]
        index = tuple(map(Axis, axes))
        ranges = [Range(a, ZERO, size) for a, size in zip(axes, buffer.shape, strict=True)]
        body = rewrite(body, partial(_renamed, old=buffer.name, new=copy.name))
        copies += wrap(ranges, (Store(copy.name, index, Load(buffer.name, index, buffer.dtype)),))
        buffers.append(copy)
    return replace(program, buffers=tuple(buffers), body=(*copies, *body))


def _renamed(expr: Expr, old: str, new: str) -> Expr:
    rebuilt = rebuild(expr, partial(_renamed, old=old, new=new))
    return replace(rebuilt, buffer=new) if isinstance(rebuilt, Load) and rebuilt.buffer == old else rebuilt


Apart = dict[str, tuple[str, str]]  # an axis over examples -> the axes over blocks and over lanes


@dataclass(frozen=True, slots=True)
class _Blocks:
    """A program, the buffers that are stored in blocks, how many examples a block has, and the names that are taken."""

    source: Program
    names: frozenset[str]
    lanes: int
    taken: set[str]

    @classmethod
    def of(cls, program: Program, lanes: int) -> _Blocks:
        """The buffers that everybody reads and writes by a plain axis over all examples."""
        batches = _batches(program)
        flat = _flat_images(program)
        names = {
            b.name: b
            for b in program.buffers
            if b.name in batches and b.role == "temp" and _is_blocked(b, lanes, 2 if b.name in flat else 3)
        }
        for stmt in program.body:
            ranges = {r.axis: r for s in statements((stmt,)) for r in bound_ranges(s)}
            for access in accesses((stmt,)):
                if access.buffer not in names:
                    continue
                first = access.index[0]
                over = ranges.get(first.name) if isinstance(first, Axis) else None
                if over is None or over.lo != ZERO or over.hi != names[access.buffer].shape[0]:
                    del names[access.buffer]
        taken = {b.name for b in program.buffers} | names_in(program.body) | set(program.sizes)
        return cls(program, frozenset(names), lanes, taken)

    def program(self) -> Program:
        body = tuple(s for stmt in self.source.body for s in self._nest(stmt))
        return replace(self.source, buffers=tuple(map(self._buffer, self.source.buffers)), body=body)

    def _buffer(self, buffer: Buffer) -> Buffer:
        if buffer.name not in self.names:
            return buffer
        count, *middle, last = buffer.shape
        width = index_constant(self.lanes)
        shape = (integer("floordiv", count, width), *middle, integer("mul", last, width))
        return replace(buffer, shape=shape, layout=default_layout(shape))

    def _nest(self, stmt: Stmt) -> Body:
        """for n: for y: for x: s  ->  for b: for y: for x: for l: s, and then for b: for y: for j: s"""
        if self.names.isdisjoint(touched(stmt)):
            return (stmt,)
        apart = {a: (fresh_name(f"{a}_b", self.taken), fresh_name(f"{a}_l", self.taken)) for a in self._examples(stmt)}
        nest = peel(stmt)
        loops, lanes = self._split(nest.loops, apart)
        body = self._body(nest.body, apart)
        for lane in lanes:
            for pixel in reversed(loops):
                joined = self._join_loops(pixel, lane, body)
                if joined is not None:
                    others = [r for r in (*loops, *lanes) if r is not pixel and r is not lane]
                    return wrap((*others, joined[0]), joined[1])
        return wrap((*loops, *lanes), body)

    def _examples(self, stmt: Stmt) -> list[str]:
        """The axes over examples to take apart: those of all that is stored in blocks."""
        first = (a.index[0] for a in accesses((stmt,)) if a.buffer in self.names)
        return list(dict.fromkeys(e.name for e in first if isinstance(e, Axis)))

    def _split(self, ranges: tuple[Range, ...], apart: Apart) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
        """The ranges with blocks in the place of examples, and the ranges of lanes."""
        outer, inner = [], []
        for r in ranges:
            if r.axis not in apart:
                outer.append(Range(r.axis, self._visit(r.lo, apart), self._visit(r.hi, apart)))
                continue
            block, lane = apart[r.axis]
            outer.append(Range(block, ZERO, integer("floordiv", r.hi, index_constant(self.lanes))))
            inner.append(Range(lane, ZERO, index_constant(self.lanes)))
        return tuple(outer), tuple(inner)

    def _body(self, body: Body, apart: Apart) -> Body:
        return tuple(s for stmt in body for s in self._statement(stmt, apart))

    def _statement(self, stmt: Stmt, apart: Apart) -> Body:
        def visit(expr: Expr) -> Expr:
            return self._visit(expr, apart)

        match stmt:
            case For(axis=axis, lo=lo, hi=hi, body=body):
                outer, lanes = self._split((Range(axis, lo, hi),), apart)
                return wrap((*outer, *lanes), self._body(body, apart))
            case If(condition=condition, body=body):
                return (replace(stmt, condition=visit(condition), body=self._body(body, apart)),)
            case Store(buffer=buffer, index=index) | Accumulate(buffer=buffer, index=index):
                place = self._place(index, apart) if buffer in self.names else tuple(map(visit, index))
                return (replace(stmt, index=place, value=visit(stmt.value)),)
            case Fold(ranges=ranges, guard=guard, value=value):
                outer, lanes = self._split(ranges, apart)
                guard = None if guard is None else visit(guard)
                fold = replace(stmt, ranges=(*outer, *lanes), guard=guard, value=visit(value))
                return (self._join_ranges(fold, outer, lanes),)
            case _:
                return rewrite((stmt,), visit)

    def _visit(self, expr: Expr, apart: Apart) -> Expr:
        if isinstance(expr, Axis) and expr.name in apart:
            block, lane = apart[expr.name]
            return integer("add", integer("mul", index_constant(self.lanes), Axis(block)), Axis(lane))
        if isinstance(expr, Load) and expr.buffer in self.names:
            return replace(expr, index=self._place(expr.index, apart))
        return rebuild(expr, lambda e: self._visit(e, apart))

    def _place(self, index: tuple[Expr, ...], apart: Apart) -> tuple[Expr, ...]:
        """h[n, c, y, x]  ->  h[b, c, y, 16*x + l]"""
        first, *rest = index
        *middle, last = (self._visit(e, apart) for e in rest)
        assert isinstance(first, Axis)
        block, lane = map(Axis, apart[first.name])
        width = index_constant(self.lanes)
        return (block, *middle, affine(integer("mul", width, last)).plus(affine(lane)).expr())

    def _join_loops(self, pixel: Range, lane: Range, body: Body) -> tuple[Range, Body] | None:
        """for x: for l: h[16*x + l] = g[16*x + l + 16]  ->  for j: h[j] = g[j + 16]"""
        row = _Row.of(pixel, lane, self.lanes, self.taken)
        try:
            return row.range, rewrite(_with_still_bounds(body, pixel), row.visit)
        except _TakenApart:
            return None

    def _join_ranges(self, fold: Fold, outer: tuple[Range, ...], lanes: tuple[Range, ...]) -> Fold:
        """sum[x, l](h[16*x + l])  ->  sum[j](h[j])"""
        for lane in lanes:
            for pixel in reversed(outer):
                row = _Row.of(pixel, lane, self.lanes, self.taken)
                others = tuple(r for r in (*outer, *lanes) if r is not pixel and r is not lane)
                (still,) = _with_still_bounds((replace(fold, ranges=others),), pixel)
                try:
                    (joined,) = rewrite((still,), row.visit)
                except _TakenApart:
                    continue
                assert isinstance(joined, Fold)
                return replace(joined, ranges=(*joined.ranges, row.range))
        return fold


class _TakenApart(Exception):
    """Somebody needs the pixel or the lane by itself."""


def _with_still_bounds(body: Body, pixel: Range) -> Body:
    """Bounds of folds that move with the pixel become conditions.

    sum[max(0, x - 2) <= r < 3](t)  ->  sum[0 <= r < 3 if x - 2 <= r](t)
    """

    def still(stmt: Stmt) -> Stmt:
        if not isinstance(stmt, Fold) or not any(pixel.axis in axes_of(e) for r in stmt.ranges for e in (r.lo, r.hi)):
            return stmt
        ranges = rectangular(stmt, (pixel,))
        if ranges is None:
            raise _TakenApart
        moved = [c for condition in excluded(stmt, ranges) for c in _parts(condition)]
        known = {Op("le", (r.lo, Axis(r.axis)), "bool") for r in ranges}
        known |= {Op("lt", (Axis(r.axis), r.hi), "bool") for r in ranges}
        return replace(stmt, ranges=ranges, guard=conjunction(c for c in moved if c not in known))

    return rewrite(body, lambda e: e, still)


def _parts(condition: Expr) -> list[Expr]:
    """max(0, x - 2) <= r  ->  0 <= r, x - 2 <= r;      r < min(3, x + 1)  ->  r < 3, r < x + 1"""
    match condition:
        case Op(fn="lt" | "le", args=(Op(fn="max", args=parts), other)):
            return [p for part in parts for p in _parts(replace(condition, args=(part, other)))]
        case Op(fn="lt" | "le", args=(other, Op(fn="min", args=parts))):
            return [p for part in parts for p in _parts(replace(condition, args=(other, part)))]
        case _:
            return [condition]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of pixels of `lanes` examples each as one axis: j = lanes*x + l."""

    pixel: str
    lane: str
    lanes: int
    range: Range

    @classmethod
    def of(cls, pixel: Range, lane: Range, lanes: int, taken: set[str]) -> _Row:
        width = index_constant(lanes)
        name = fresh_name(f"{pixel.axis}_row", taken)
        return cls(
            pixel.axis, lane.axis, lanes, Range(name, integer("mul", pixel.lo, width), integer("mul", pixel.hi, width))
        )

    def visit(self, expr: Expr) -> Expr:
        """An expression in j; _TakenApart where it holds x or l otherwise than as 16*x + l."""
        if not axes_of(expr) & {self.pixel, self.lane}:
            return expr
        if expr.dtype == "int64" and not isinstance(expr, Load):
            return self._index(expr)
        forms = nonpositive_forms(expr)
        if forms is not None and not any(isinstance(e, Load) for e in walk(expr)):
            condition = conjunction(map(self._condition, forms))
            assert condition is not None
            return condition
        return rebuild(expr, self.visit)

    def _index(self, expr: Expr) -> Expr:
        """16*x + l + e  ->  j + e"""
        pixel = split(affine(expr), self.pixel)
        lane = None if pixel is None else split(pixel[1], self.lane)
        if pixel is None or lane is None or pixel[0] != self.lanes * lane[0]:
            raise _TakenApart
        return Affine((), 0).plus(affine(Axis(self.range.axis)), lane[0]).plus(lane[1]).expr()

    def _condition(self, form: Affine) -> Expr:
        """x + e <= 0  ->  j < 16*(1 - e);      e - x <= 0  ->  16*e <= j"""
        parts = split(form, self.pixel)
        if parts is None or self.lane in axes_of(form.expr()) or abs(parts[0]) != 1:
            raise _TakenApart
        sign, rest = parts
        none = Affine((), 0)
        if sign == 1:
            return Op("lt", (Axis(self.range.axis), none.shifted(self.lanes).plus(rest, -self.lanes).expr()), "bool")
        return Op("le", (none.plus(rest, self.lanes).expr(), Axis(self.range.axis)), "bool")

"""Zeros around an array are stored once, around the array itself, and not by a copy of all of it.

    for i: t[i] = f(i);      for p in -1 .. N+1: t.packed[p + 1] = select(0 <= p < N, t[p], 0)
      ->  for i: t.packed[i + 1] = f(i);      t.packed[0] = 0;      t.packed[N + 1] = 0

A "same" convolution, and the adjoint of every one, reads its image beyond the edge; contractions read a copy with zeros
there. Whoever makes the image may as well write it into the middle of that copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphnn.lower.affine import affine
from graphnn.lower.guards import conjuncts
from graphnn.lower.ir import Accumulate, Program, Stmt, Store
from graphnn.schedule.affine import ZERO, position_in
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel, wrap
from graphnn.schedule.statements import Body, rewrite, writes
from graphnn.simplify.expr import Axis, Expr, Load, Op, Range, identity_of, rebuild


def keep_borders(program: Program, _: Machine) -> Program:
    """Store a temp inside the copy of it that has zeros around it; further such copies read that one.

    for p in -1 .. N+1: t.packed[p + 1] = select(0 <= p < N, t[p], 0)  ->  t.packed[0] = 0; t.packed[N + 1] = 0

    Only where nothing is stored to the temp after the copy, and both lie in memory in the same order of axes.
    """
    kept: dict[str, _Copy] = {}
    body: list[Stmt] = []
    for place, stmt in enumerate(program.body):
        copy = _Copy.of(program, stmt)
        if copy is None or copy.source in kept or copy.source in writes(program.body[place + 1 :]):
            body.append(stmt)
            continue
        kept[copy.source] = copy
        body += copy.border()
    if not kept:
        return program
    buffers = tuple(b for b in program.buffers if b.name not in kept)
    return replace(program, buffers=buffers, body=_moved(tuple(body), kept))


@dataclass(frozen=True, slots=True)
class _Copy:
    """The nest that copies all of `source` into the middle of `target`: the source's element p lies at p - lo."""

    source: str
    target: str
    ranges: tuple[Range, ...]  # what is stored: lo <= p < hi
    shape: tuple[Expr, ...]  # of the source: what is copied, 0 <= p < extent
    zero: Store

    @classmethod
    def of(cls, program: Program, stmt: Stmt) -> _Copy | None:
        nest = peel(stmt)
        match nest.body:
            case (Store(value=Op(fn="select", args=(condition, Load() as load, zero))) as store,):
                pass
            case _:
                return None
        source, target = program.buffer(load.buffer), program.buffer(store.buffer)
        axes = tuple(Axis(r.axis) for r in nest.loops)
        within = {Op("le", (ZERO, a), "bool") for a in axes}
        within |= {Op("lt", (a, extent), "bool") for a, extent in zip(axes, source.shape, strict=False)}
        fits = load.index == axes and store.index == tuple(map(position_in, nest.loops))
        temps = source.role == target.role == "temp" and source.layout == target.layout
        ends = zip(nest.loops, source.shape, strict=False)
        whole = all(_at_most(r.lo, ZERO) and _at_most(extent, r.hi) for r, extent in ends)  # a crop holds less
        zeros = zero == identity_of("sum", target.dtype)
        if not (fits and temps and whole and zeros and set(conjuncts(condition)) <= within):
            return None
        return cls(source.name, target.name, nest.loops, source.shape, replace(store, value=zero))

    def border(self) -> Iterator[Stmt]:
        """Nests that store the zeros: for each dimension what lies before and behind, of the dimensions ahead of it
        only the middle."""
        for d, (r, extent) in enumerate(zip(self.ranges, self.shape, strict=True)):
            middle = tuple(Range(q.axis, ZERO, e) for q, e in zip(self.ranges[:d], self.shape[:d], strict=True))
            for edge in (Range(r.axis, r.lo, ZERO), Range(r.axis, extent, r.hi)):
                if edge.lo != edge.hi:
                    yield from wrap((*middle, edge, *self.ranges[d + 1 :]), (self.zero,))

    def place(self, index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Where the source's element lies in the target."""
        return tuple(affine(e).plus(affine(r.lo), -1).expr() for e, r in zip(index, self.ranges, strict=True))


def _at_most(low: Expr, high: Expr) -> bool:
    """low <= high for all sizes."""
    gap = affine(high).plus(affine(low), -1)
    return not gap.terms and gap.constant >= 0


def _moved(body: Body, kept: dict[str, _Copy]) -> Body:
    """A body that reads and writes the targets instead of the sources."""

    def visit(expr: Expr) -> Expr:
        rebuilt = rebuild(expr, visit)
        if isinstance(rebuilt, Load) and rebuilt.buffer in kept:
            copy = kept[rebuilt.buffer]
            return replace(rebuilt, buffer=copy.target, index=copy.place(rebuilt.index))
        return rebuilt

    def then(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Store | Accumulate) and stmt.buffer in kept:
            copy = kept[stmt.buffer]
            return replace(stmt, buffer=copy.target, index=copy.place(stmt.index))
        return stmt

    return rewrite(body, visit, then)

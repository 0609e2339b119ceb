"""A sum in two levels: partial sums into a temp, and the sum of those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphnn.lower.affine import affine
from graphnn.lower.guards import guarded
from graphnn.lower.ir import Buffer, Fold, Stmt, Store
from graphnn.schedule.affine import ZERO, default_layout, extent_of, integer, known_extent, position_in
from graphnn.schedule.nest import Nest, wrap
from graphnn.schedule.statements import fresh_name
from graphnn.simplify.expr import Axis, Const, Expr, Load, Local, Range, index_constant, substitute, walk

MAX_PARTIALS = 2**22  # partial results, beyond which a temp of them costs more than the long chain: 16 MB of float32


@dataclass(frozen=True, slots=True)
class Level:
    """One step: the nest that stores partial results, and the old nest, which now reduces those."""

    partial: Stmt
    rest: Stmt
    buffer: Buffer


@dataclass(frozen=True, slots=True)
class Cut:
    """How ranges are cut: axes of the partial results (as stored, as reduced later), and the chain of each.

    `runs_along` tells that the chain was along memory, so that partial results should be too.
    """

    runs_along: bool
    stored: tuple[Range, ...]
    reduced: tuple[Range, ...]
    chain: tuple[Range, ...]
    guard: Expr | None
    position: dict[Expr, Expr]


def take_apart(nest: Nest, fold: Fold, cut: Cut, names: set[str]) -> Level:
    """Both levels of a fold, the first statement of its nest.

    y[i] = sum[r < 1024](x[i, r])  ->  t[q, i] = sum[j < 128](x[i, 128*q + j]);   y[i] = sum[q < 8](t[q, i])
    """
    stored = (*nest.loops, *cut.stored) if cut.runs_along else (*cut.stored, *nest.loops)
    shape = tuple(map(extent_of, stored))
    source = next((e.buffer for e in walk(fold.value) if isinstance(e, Load)), fold.name)
    dtype = fold.value.dtype
    buffer = Buffer(fresh_name(f"{source}.partial", names), dtype, shape, "temp", default_layout(shape))
    index = tuple(map(position_in, stored))
    guard = guarded(cut.guard, None if fold.guard is None else substitute(fold.guard, cut.position))
    name = fresh_name(fold.name, names)
    chain = replace(fold, name=name, ranges=cut.chain, guard=guard, value=substitute(fold.value, cut.position))
    (partial,) = wrap(stored, (chain, Store(buffer.name, index, Local(name, dtype, fold.origin), fold.origin)))
    upper = replace(fold, ranges=cut.reduced, guard=None, value=Load(buffer.name, index, dtype, fold.origin))
    (rest,) = wrap(nest.loops, (upper, *nest.body[1:]))
    return Level(partial, rest, buffer)


def shorter(fold: Fold, names: set[str]) -> Iterator[Cut]:
    """Cuts of a fold, into ever more and shorter chains: each leading range by its divisors, then as a whole.

    r0 < 4, r1 < 28, r2 < 448  ->  chains over r0 < 2, r1, r2;  r1, r2;  r1 < 14, r2;  r1 < 7, r2;  ...  r2
    """
    if not all(isinstance(bound, Const) for r in fold.ranges for bound in (r.lo, r.hi)):
        return
    for done, r in enumerate(fold.ranges[:-1]):
        leading, trailing = fold.ranges[:done], fold.ranges[done + 1 :]
        extent = known_extent(r) or 0
        q = fresh_name(f"{r.axis}_q", names)
        for size in range(extent // 2, 0, -1):
            if extent % size:
                continue
            block = Range(q, ZERO, index_constant(extent // size))
            place = affine(integer("mul", Axis(q), index_constant(size))).plus(affine(r.lo))
            if size == 1:
                chain, position = trailing, place.expr()
            else:
                chain = (Range(r.axis, ZERO, index_constant(size)), *trailing)
                position = place.plus(affine(Axis(r.axis))).expr()
            stored = (*leading, block)
            yield Cut(False, stored, stored, chain, None, {Axis(r.axis): position})

"""Sums of products over affine accesses become contractions, which is what register tiles are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphnn.lower.affine import affine
from graphnn.lower.ir import Buffer, Contract, Fold, Let, Program, Store, fused_factors
from graphnn.schedule.candidates import Estimate, candidates, cheapest
from graphnn.schedule.cost import CostModel
from graphnn.schedule.extents import is_known, volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import Nest, peel, wrap
from graphnn.schedule.operands import Copied, Copies
from graphnn.schedule.partial_sums import MAX_PARTIALS, Level, shorter, take_apart
from graphnn.schedule.statements import Body, names_in, reads, touched, writes
from graphnn.simplify.expr import Axis, Expr, Load, Range, place_axes

# Fewer multiply-adds than a 4 x 8 tile over 4 terms do not pay for a tile's set-up and its masked tails.
MIN_WORK = 4 * 8 * 4


def contract(program: Program, machine: Machine, dots: bool = True) -> Program:
    """Recognise a sum of products, choose its m and n axes, and pack a factor that a tile cannot read in place.

    for i0: for i1: acc = sum[r0](x[i0, r0]*W[r0, i1]); h[i0, i1] = acc
      ->  contract m=i0 n=i1 k=r0: acc = sum(x[i0, r0]*W[r0, i1]); h[i0, i1] = acc

    One m axis that only `a` holds, one n axis that only `b` holds; other output axes stay loops around. `b` is then
    an affine Load with unit stride in n, `a` an affine Load; a factor that is not (transposed, guarded, computed)
    is copied to a temp first, by a nest ahead of the contraction, outside of all loops it does not depend on. A
    guard, or bounds of k that move with m or n, become zeros of that copy: an infinity times such a zero is NaN.
    Among the choices of m, n and roles the cheapest is taken. Left alone: constant extents with fewer than
    MIN_WORK multiply-adds, and sums of which nearly all terms would be such zeros.

    Where the last range of k is whole vectors and both factors have unit stride in it, or can be packed so, terms may
    run in the lanes (unless `dots` is false): then neither m nor n needs to fill vectors. Such a sum may be taken apart
    into blocks whose factors stay in cache, see _in_blocks.
    """
    found = list(contracted(program, machine, dots))
    buffers = (*program.buffers, *(buffer for _, new in found for buffer in new))
    return replace(program, buffers=buffers, body=tuple(stmt for body, _ in found for stmt in body))


def contracted(program: Program, machine: Machine, dots: bool) -> Iterator[tuple[Body, tuple[Buffer, ...]]]:
    """What `contract` puts in the place of each statement, and the buffers that it adds there."""
    names = {b.name for b in program.buffers} | set(program.sizes) | names_in(program.body)
    model = CostModel.of(program.buffers, machine)
    made: Copies = {}
    for stmt in program.body:
        yield _contract_nest(program, peel(stmt), model, names, made, dots) or ((stmt,), ())
        changed = writes((stmt,))
        for key in [key for key, copied in made.items() if not copied.sources.isdisjoint(changed)]:
            del made[key]


def _contract_nest(
    program: Program, nest: Nest, model: CostModel, names: set[str], made: Copies, dots: bool
) -> tuple[Body, tuple[Buffer, ...]] | None:
    if nest.contract is not None or not nest.body or not isinstance(nest.body[0], Fold):
        return None
    fold, rest = nest.body[0], nest.body[1:]
    if fused_factors(fold) is None or not fold.ranges:
        return None
    if not all(isinstance(s, Let | Store) for s in rest) or reads((fold,)) & writes(rest):
        return None
    everything = (*nest.loops, *fold.ranges)
    if all(map(is_known, everything)) and volume(everything) < MIN_WORK:
        return None
    lanes = model.machine.lanes(fold.value.dtype) if dots else 1
    model = model.among(b for s in nest.body for b in touched(s))  # a copy of the whole model for each option is slow
    options = [Estimate.of(c, rest, model, made) for c in candidates(program, nest, names, lanes)]
    if not options:
        return None
    most, best = cheapest(options)
    level = _in_blocks(nest, fold, options, most, names)
    found = None if level is None else _build_blocks(program, level, model.machine, names, made)
    return found or _build(best, fold, rest, names, made)


def _in_blocks(nest: Nest, fold: Fold, options: list[Estimate], most: float, names: set[str]) -> Level | None:
    """The sum in two levels where it is cheaper than `most`: in blocks whose factors stay in cache, terms in lanes.

    sum[b < 4, y < 28, j < 448](g[b, o, y, j]*x[b, c, y + u, j + 16*v])
      ->  for b: for c: for u: contract m=o n=v k=(y, j): t[b, o, c, u, v];      sum[b < 4](t[b, o, c, u, v])
    """
    dots = [option for option in options if option.candidate.lanes > 1]
    taken = [cut for cut in shorter(fold, names) if volume((*nest.loops, *cut.stored)) <= MAX_PARTIALS] if dots else []
    cuts = [(option.cost_in(cut), cut) for cut in taken for option in dots]
    cost, cut = min(cuts, key=lambda pair: pair[0], default=(most, None))
    return take_apart(nest, fold, cut, names) if cut is not None and cost < most else None


def _build_blocks(
    program: Program, level: Level, machine: Machine, names: set[str], made: Copies
) -> tuple[Body, tuple[Buffer, ...]] | None:
    """The contraction that stores partial sums, and the nest that adds them."""
    program = replace(program, buffers=(*program.buffers, level.buffer))
    nest, model = peel(level.partial), CostModel.of(program.buffers, machine)
    fold, rest = nest.body[0], nest.body[1:]
    assert isinstance(fold, Fold)
    names |= {r.axis for r in nest.loops}
    found = candidates(program, nest, names, machine.lanes(fold.value.dtype))
    options = [Estimate.of(c, rest, model, made) for c in found if c.lanes > 1]
    if not options:
        return None
    _, best = cheapest(options)
    body, buffers = _build(best, fold, rest, names, made)
    return (*body, level.rest), (level.buffer, *buffers)


def _build(found: Estimate, fold: Fold, rest: Body, names: set[str], made: Copies) -> tuple[Body, tuple[Buffer, ...]]:
    """Loops around copying nests, each as far out as its axes allow, and the contraction innermost.

    A copy outside of all loops is noted in `made`, and read instead of an equal one that is made already.

    Its terms run so that vectors of `b` come in the order of memory. No hardware prefetcher goes down as well as up:
    the gradient of a 3 x 3 correlation of 32 channels at 32 x 32 takes 10.0 ms downwards and 5.9 upwards.
    """
    c = found.candidate
    mirrors = {r.axis: _mirrored(r) for r in c.k if found.descends(r)}
    factors: list[Expr] = []
    copies: list[tuple[int, Body]] = []
    buffers: list[Buffer] = []
    for side in (c.a, c.b):
        factor = side.factor
        copy = side.copy
        if copy is not None and copy.key in made:
            factor = replace(made[copy.key].load, index=copy.index)
        elif copy is not None:
            factor, buffer, nest = copy.build(names)
            copies.append((copy.depth(c.outer), nest))
            buffers.append(buffer)
            if not copies[-1][0]:
                made[copy.key] = Copied(factor, reads(nest))
        if mirrors and isinstance(factor, Load):
            factor = replace(factor, index=tuple(affine(place_axes(e, mirrors)).expr() for e in factor.index))
        factors.append(factor)
    body: Body = (Contract(fold.name, c.a.own, c.b.own, c.k, factors[0], factors[1], rest, fold.origin, c.lanes),)
    for depth in range(len(c.outer), -1, -1):
        body = (*(stmt for at, nest in copies if at == depth for stmt in nest), *body)
        if depth:
            body = wrap((c.outer[depth - 1],), body)
    return body, tuple(buffers)


def _mirrored(r: Range) -> Expr:
    """What the axis of a range is where its axis counts the other way: 2 <= r < 5 -> 6 - r."""
    return affine(r.lo).plus(affine(r.hi)).plus(affine(Axis(r.axis)), -1).shifted(-1).expr()

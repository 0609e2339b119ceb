"""Sums of products over affine accesses become contractions, which is what register tiles are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

from graphnn.lower.ir import Buffer, Contract, Fold, Let, Program, Stmt, Store, fused_factors
from graphnn.schedule.affine import extent_of
from graphnn.schedule.cost import CostModel, estimate, is_known, volume
from graphnn.schedule.guards import excluded, in_range, place_guards, rectangular
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import Nest, moves_inward, peel, wrap
from graphnn.schedule.operands import Side, Space, prepare
from graphnn.schedule.statements import Body, names_in, reads, writes
from graphnn.simplify.expr import Axis, Expr, Load, Range, axes_of, index_constant, substitute

# Fewer multiply-adds than a 4 x 8 tile over 4 terms do not pay for a tile's set-up and its masked tails.
MIN_WORK = 4 * 8 * 4
# A tile does about 8 times the multiply-adds of a plain loop in the same time; more masked terms than that are a loss.
MAX_MASKED = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    outer: tuple[Range, ...]
    k: tuple[Range, ...]
    a: Side
    b: Side


def contract(program: Program, machine: Machine) -> Program:
    """Recognise a sum of products, choose its m and n axes, and pack a factor that a tile cannot read in place.

    for i0: for i1: acc = sum[r0](x[i0, r0]*W[r0, i1]); h[i0, i1] = acc
      ->  contract m=i0 n=i1 k=r0: acc = sum(x[i0, r0]*W[r0, i1]); h[i0, i1] = acc

    One m axis that only `a` holds, one n axis that only `b` holds; other output axes stay loops around. `b` is then
    an affine Load with unit stride in n, `a` an affine Load; a factor that is not (transposed, guarded, computed)
    is copied to a temp first, by a nest ahead of the contraction, outside of all loops it does not depend on. A
    guard, or bounds of k that move with m or n, become zeros of that copy: an infinity times such a zero is NaN.
    Among the choices of m, n and roles the cheapest is taken. Left alone: constant extents with fewer than
    MIN_WORK multiply-adds, and sums of which nearly all terms would be such zeros.
    """
    names = {b.name for b in program.buffers} | set(program.sizes) | names_in(program.body)
    buffers = list(program.buffers)
    body: list[Stmt] = []
    for stmt in program.body:
        found = _contract_nest(program, peel(stmt), machine, names)
        if found is None:
            body.append(stmt)
        else:
            new_body, new_buffers = found
            body += new_body
            buffers += new_buffers
    return replace(program, buffers=tuple(buffers), body=tuple(body))


def _contract_nest(
    program: Program, nest: Nest, machine: Machine, names: set[str]
) -> tuple[Body, tuple[Buffer, ...]] | None:
    if nest.contract is not None or not nest.body or not isinstance(nest.body[0], Fold):
        return None
    fold, rest = nest.body[0], nest.body[1:]
    if fused_factors(fold) is None or not fold.ranges:
        return None
    if not all(isinstance(s, Let | Store) for s in rest) or reads((fold,)) & writes(rest):
        return None
    everything = (*nest.loops, *fold.ranges)
    if all(is_known(r) for r in everything) and volume(everything) < MIN_WORK:
        return None
    model = CostModel.of(program.buffers, machine)
    candidates = list(_candidates(program, nest, fold, names))
    if not candidates:
        return None
    best = min(candidates, key=lambda c: _cost(c, rest, model))
    return _build(best, fold, rest, names)


def _candidates(program: Program, nest: Nest, fold: Fold, names: set[str]) -> Iterator[Candidate]:
    for a, b in permutations(fused_factors(fold) or (), 2):
        for m, n in permutations(nest.loops, 2):
            if m.axis in axes_of(b) or n.axis in axes_of(a):
                continue
            if m.axis not in axes_of(a) or n.axis not in axes_of(b):
                continue
            if not (moves_inward(_outputs(nest), m.axis) and moves_inward(_outputs(nest), n.axis)):
                continue
            for moving in ((m, n), nest.loops):
                k = rectangular(fold, moving)
                if k is None:
                    break
                if volume(k) > MAX_MASKED * _terms(fold, nest.loops):
                    continue
                safe = [in_range(program, factor, (*nest.loops, *k)) for factor in (a, b)]
                guards = place_guards(excluded(fold, k), (m, n), safe)
                if guards is None:
                    continue  # with all bounds free of the loops, a condition less may be in the way
                space = Space(program, nest.loops, k, rectangular(fold, nest.loops), names)
                a_side = prepare(space, a, guards[0], m, lanes=False)
                b_side = prepare(space, b, guards[1], n, lanes=True)
                if a_side is not None and b_side is not None:
                    yield Candidate(tuple(r for r in nest.loops if r not in (m, n)), k, a_side, b_side)
                    break


def _terms(fold: Fold, loops: tuple[Range, ...]) -> float:
    """How many terms the fold has in the middle of the loops."""
    middle: dict[Expr, Expr] = {}
    for r in loops:
        lo, hi = (estimate(substitute(bound, middle)) for bound in (r.lo, r.hi))
        middle[Axis(r.axis)] = index_constant(int(lo + hi) // 2)
    return max(1.0, volume(Range(r.axis, substitute(r.lo, middle), substitute(r.hi, middle)) for r in fold.ranges))


def _outputs(nest: Nest) -> Nest:
    """The nest without its Fold: bounds of the Fold that move with m or n are turned into guards."""
    return replace(nest, body=nest.body[1:])


def _cost(c: Candidate, rest: Body, model: CostModel) -> float:
    """Vector instructions: the tiles, and the packing of the factors."""
    lanes = model.lanes(rest)
    total, factors = 0.0, []
    for number, side in enumerate((c.a, c.b)):
        copy = side.copy
        if copy is None:
            factors.append(side.factor)
            continue
        name = f"copy {number}"
        shape = tuple(map(extent_of, copy.ranges))
        model = model.beside(Buffer(name, side.factor.dtype, shape, "temp", copy.layout))
        factors.append(Load(name, copy.index, side.factor.dtype))
        total += volume(c.outer[: copy.depth(c.outer)]) * model.copy(copy.ranges, copy.value, lanes)
    return total + volume(c.outer) * model.contraction(c.a.own, c.b.own, c.k, factors[0], factors[1], rest)


def _build(c: Candidate, fold: Fold, rest: Body, names: set[str]) -> tuple[Body, tuple[Buffer, ...]]:
    """Loops around copying nests, each as far out as its axes allow, and the contraction innermost."""
    factors: list[Expr] = []
    copies: list[tuple[int, Body]] = []
    buffers: list[Buffer] = []
    for side in (c.a, c.b):
        factor = side.factor
        if side.copy is not None:
            factor, buffer, nest = side.copy.build(names)
            copies.append((side.copy.depth(c.outer), nest))
            buffers.append(buffer)
        factors.append(factor)
    body: Body = (Contract(fold.name, c.a.own, c.b.own, c.k, factors[0], factors[1], rest, fold.origin),)
    for depth in range(len(c.outer), -1, -1):
        body = (*(stmt for at, nest in copies if at == depth for stmt in nest), *body)
        if depth:
            body = wrap((c.outer[depth - 1],), body)
    return body, tuple(buffers)

"""Sums of products over affine accesses become contractions, which is what register tiles are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

from graphnn.lower.guards import conjunction, conjuncts
from graphnn.lower.ir import Buffer, Contract, Fold, Let, Program, Stmt, Store, fused_factors
from graphnn.schedule.affine import default_layout, extent_of, integer, is_affine, is_size, layouts, stride
from graphnn.schedule.cost import CostModel, volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import Nest, moves_inward, peel, wrap
from graphnn.schedule.statements import Body, fresh_name, reads, writes
from graphnn.simplify.expr import Axis, Const, Expr, Load, Op, Range, axes_of, walk

# Fewer multiply-adds than a 4 x 8 tile over 4 terms do not pay for a tile's set-up and its masked tails.
MIN_WORK = 4 * 8 * 4
TILE_ROWS, TILE_VECTORS = 8, 4  # a typical register tile; as many loads as multiply-adds cost nothing beside them


@dataclass(frozen=True, slots=True)
class Side:
    """A factor of the product, the axis that only it holds, and whether it must be packed to be read by a tile."""

    factor: Expr
    own: Range
    packed: bool


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
    is stored in a temp buffer first, [k..., n] or [m, k...], by a nest ahead of the contraction, outside of all
    loops it does not depend on. A guard, or bounds of k that move with m or n, become zeros of a packed factor.
    Among the choices of m, n and roles the cheapest is taken. Left alone: constant extents with fewer than
    MIN_WORK multiply-adds.
    """
    names = {b.name for b in program.buffers} | set(program.sizes)
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
    if all(is_constant(r) for r in everything) and volume(everything) < MIN_WORK:
        return None
    model = CostModel(layouts(program.buffers), machine)
    candidates = list(_candidates(program, nest, fold))
    if not candidates:
        return None
    best = min(candidates, key=lambda c: _cost(c, rest, model))
    return _build(best, fold, rest, names)


def _candidates(program: Program, nest: Nest, fold: Fold) -> Iterator[Candidate]:
    for a, b in permutations(fused_factors(fold) or (), 2):
        for m, n in permutations(nest.loops, 2):
            if m.axis in axes_of(b) or n.axis in axes_of(a):
                continue
            if m.axis not in axes_of(a) or n.axis not in axes_of(b):
                continue
            if not (moves_inward(_outputs(nest), m.axis) and moves_inward(_outputs(nest), n.axis)):
                continue
            for moving in ((m, n), nest.loops):
                k = _rectangular(fold, moving)
                if k is None:
                    break
                in_range = [_in_range(program, factor, (*nest.loops, *k)) for factor in (a, b)]
                guards = _place_guards(_conditions(fold, k), (m, n), in_range)
                if guards is None:
                    break
                a_side = _side(program, a, m, guards[0], None)
                b_side = _side(program, b, n, guards[1], n.axis)
                if all(_has_static_extents((s.own, *k)) for s in (a_side, b_side) if s.packed):
                    yield Candidate(tuple(r for r in nest.loops if r not in (m, n)), k, a_side, b_side)
                    break


def _outputs(nest: Nest) -> Nest:
    """The nest without its Fold: bounds of the Fold that move with m or n are turned into guards."""
    return replace(nest, body=nest.body[1:])


def _rectangular(fold: Fold, moving: tuple[Range, ...]) -> tuple[Range, ...] | None:
    """The ranges of a fold with bounds that hold for all values of the `moving` axes; None where they have none."""
    axes = {r.axis for r in moving}
    ranges = []
    for r in fold.ranges:
        lo, hi = _without_axes(r.lo, axes, "max"), _without_axes(r.hi, axes, "min")
        if lo is None or hi is None:
            return None
        ranges.append(Range(r.axis, lo, hi))
    return tuple(ranges)


def _conditions(fold: Fold, k: tuple[Range, ...]) -> list[Expr]:
    """What the guard of a fold and its bounds exclude from the wider ranges `k`."""
    conditions = list(conjuncts(fold.guard))
    for old, new in zip(fold.ranges, k, strict=True):
        if old.lo != new.lo:
            conditions.append(Op("le", (old.lo, Axis(old.axis)), "bool"))
        if old.hi != new.hi:
            conditions.append(Op("lt", (Axis(old.axis), old.hi), "bool"))
    return conditions


def _place_guards(
    conditions: list[Expr], own: tuple[Range, Range], in_range: list[bool]
) -> tuple[Expr | None, Expr | None] | None:
    """A guard of each factor. A condition goes to every factor that needs it to stay in range, else to one of the two.

    None where the factor that needs a condition does not hold its axes.
    """
    guards: tuple[list[Expr], list[Expr]] = ([], [])
    for condition in conditions:
        allowed = [own[1 - s].axis not in axes_of(condition) for s in (0, 1)]
        if not any(allowed) or any(not allowed[s] and not in_range[s] for s in (0, 1)):
            return None
        for s in [s for s in (0, 1) if allowed[s] and not in_range[s]] or [allowed.index(True)]:
            guards[s].append(condition)
    return conjunction(guards[0]), conjunction(guards[1])


def _side(program: Program, factor: Expr, own: Range, guard: Expr | None, lanes: str | None) -> Side:
    """A factor of the contraction; it is packed unless it is an affine load, with unit stride in `lanes`."""
    if guard is not None:
        zero = Const(0.0, factor.dtype)
        return Side(Op("select", (guard, factor, zero), factor.dtype, factor.origin), own, True)
    plain = isinstance(factor, Load) and is_affine(factor.index)
    if plain and lanes is not None:
        assert isinstance(factor, Load)
        plain = stride(factor.index, lanes, program.buffer(factor.buffer).layout) == 1
    return Side(factor, own, not plain)


def _without_axes(bound: Expr, moving: set[str], hull: str) -> Expr | None:
    """A bound that holds for all values of the `moving` axes: max(0, i0 - 2) -> 0 from below."""
    if not axes_of(bound) & moving:
        return bound
    if isinstance(bound, Op) and bound.fn == hull:
        for arg in bound.args:
            found = _without_axes(arg, moving, hull)
            if found is not None:
                return found
    return None


def _in_range(program: Program, factor: Expr, ranges: tuple[Range, ...]) -> bool:
    """Whether every load of a factor is in range whatever the guard says: plain axes over whole dimensions."""
    whole = {r.axis: r for r in ranges}
    for node in walk(factor):
        if isinstance(node, Load):
            for expr, size in zip(node.index, program.buffer(node.buffer).shape, strict=True):
                r = whole.get(expr.name) if isinstance(expr, Axis) else None
                if r is None or r.lo != Const(0, "int64") or r.hi != size:
                    return False
    return True


def _has_static_extents(ranges: tuple[Range, ...]) -> bool:
    return all(is_size(r.lo) and is_size(r.hi) for r in ranges)


def is_constant(r: Range) -> bool:
    return isinstance(r.lo, Const) and isinstance(r.hi, Const)


def _cost(c: Candidate, rest: Body, model: CostModel) -> float:
    """Vector instructions: the tile's multiply-adds and loads, the epilogue, and the packing of the factors."""
    m, n = c.a.own, c.b.own
    lanes = model.lanes(rest)
    outer = volume(c.outer)
    rows, terms = volume((m,)), volume(c.k)
    vectors = -(-volume((n,)) // lanes)
    loads = 1 / max(1.0, min(rows, TILE_ROWS)) + 1 / max(1.0, min(vectors, TILE_VECTORS))
    total = outer * rows * vectors * (terms * max(1.0, loads) + model.body(rest, n.axis, lanes))
    for side in (c.a, c.b):
        if side.packed:
            fast = n.axis if side is c.b else c.k[-1].axis
            repeats = volume(r for r in c.outer if r.axis in axes_of(side.factor))
            per_vector = 1 + model.expression(side.factor, fast, lanes)
            total += repeats * volume((side.own, *c.k)) / lanes * per_vector
    return total


def _build(c: Candidate, fold: Fold, rest: Body, names: set[str]) -> tuple[Body, tuple[Buffer, ...]]:
    """Loops around packing nests, each as far out as its axes allow, and the contraction innermost."""
    a, b = c.a.factor, c.b.factor
    packs: list[tuple[int, Body]] = []
    buffers: list[Buffer] = []
    if c.a.packed:
        a, buffer, nest = _pack(a, (c.a.own, *c.k), fold, rest, names)
        packs.append((_depth(c.a.factor, c.outer), nest))
        buffers.append(buffer)
    if c.b.packed:
        b, buffer, nest = _pack(b, (*c.k, c.b.own), fold, rest, names)
        packs.append((_depth(c.b.factor, c.outer), nest))
        buffers.append(buffer)
    body: Body = (Contract(fold.name, c.a.own, c.b.own, c.k, a, b, rest, fold.origin),)
    for depth in range(len(c.outer), -1, -1):
        body = (*(stmt for at, nest in packs if at == depth for stmt in nest), *body)
        if depth:
            body = wrap((c.outer[depth - 1],), body)
    return body, tuple(buffers)


def _depth(factor: Expr, outer: tuple[Range, ...]) -> int:
    """How many of the outer loops a packing nest must be inside of."""
    return max((d + 1 for d, r in enumerate(outer) if r.axis in axes_of(factor)), default=0)


def _pack(
    factor: Expr, ranges: tuple[Range, ...], fold: Fold, rest: Body, names: set[str]
) -> tuple[Load, Buffer, Body]:
    """for i1: for r0: W.packed[r0, i1] = W[i1, r0]   and the load that takes its place."""
    source = next((e.buffer for e in walk(factor) if isinstance(e, Load)), fold.name)
    name = fresh_name(f"{source}.packed", names)
    index = tuple(integer("sub", Axis(r.axis), r.lo) for r in ranges)
    shape = tuple(map(extent_of, ranges))
    buffer = Buffer(name, factor.dtype, shape, "temp", default_layout(shape))
    nest = wrap(ranges, (Store(name, index, factor, factor.origin),))
    return Load(name, index, factor.dtype, fold.origin), buffer, nest

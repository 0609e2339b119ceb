"""In which ways a sum of products can be a contraction, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

from graphnn.lower.ir import Buffer, Contract, Fold, Program, fused_factors
from graphnn.schedule.affine import extent_of, is_size, known_extent
from graphnn.schedule.cost import CostModel
from graphnn.schedule.extents import estimate, volume
from graphnn.schedule.guards import excluded, place_guards, rectangular
from graphnn.schedule.nest import Nest, moves_inward
from graphnn.schedule.operands import Copies, Side, Space, prepare
from graphnn.schedule.partial_sums import Cut
from graphnn.schedule.statements import Body
from graphnn.schedule.traffic import FAR, far_lines
from graphnn.simplify.expr import Expr, Load, Range, axes_of, index_constant, place_axes

# A tile does about 8 times the multiply-adds of a plain loop in the same time; more masked terms than that are a loss.
MAX_MASKED = 8
ADDED = 1  # instructions to add a partial sum: a vector's worth of them at a time, but they come from further away


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contraction over m and n, which are `a.own` and `b.own`, inside of the `outer` loops."""

    outer: tuple[Range, ...]
    k: tuple[Range, ...]
    a: Side
    b: Side
    lanes: int  # in which terms run, see Contract


def candidates(program: Program, nest: Nest, names: set[str], lanes: int) -> Iterator[Candidate]:
    """Every choice of the axes m and n, of the factors' roles and of what runs in lanes that a tile can compute.

    `lanes` are those in which terms may run, 1 for none.
    """
    fold, outputs = nest.body[0], _outputs(nest)
    assert isinstance(fold, Fold)
    hull = rectangular(fold, nest.loops)
    spaces: dict[tuple[Range, ...], Space] = {}
    for a, b in permutations(fused_factors(fold) or (), 2):
        for m, n in permutations(nest.loops, 2):
            if m.axis in axes_of(b) or n.axis in axes_of(a):
                continue
            if m.axis not in axes_of(a) or n.axis not in axes_of(b):
                continue
            if not (moves_inward(outputs, m.axis) and moves_inward(outputs, n.axis)):
                continue
            for moving in ((m, n), nest.loops):
                k = rectangular(fold, moving)
                if k is None:
                    break
                if volume(k) > MAX_MASKED * _terms(fold, nest.loops):
                    continue
                space = spaces.setdefault(k, Space(program, nest.loops, k, hull, names))
                safe = [space.is_safe(factor) for factor in (a, b)]
                guards = place_guards(excluded(fold, k), (m, n), safe)
                if guards is None:
                    continue  # with all bounds free of the loops, a condition less may be in the way
                outer = tuple(r for r in nest.loops if r not in (m, n))
                found = [
                    Candidate(outer, k, a_side, b_side, count)
                    for count, along in _along(k, lanes)
                    if (a_side := prepare(space, a, guards[0], m, along)) is not None
                    and (b_side := prepare(space, b, guards[1], n, along or n)) is not None
                ]
                yield from found
                if found:
                    break


def _along(k: tuple[Range, ...], lanes: int) -> Iterator[tuple[int, Range | None]]:
    """What may run in lanes: n, with terms one by one, or terms along the last of k, where they are whole vectors."""
    yield 1, None
    terms = known_extent(k[-1])
    if lanes > 1 and terms is not None and terms > 0 and terms % lanes == 0:
        yield lanes, k[-1]


def _terms(fold: Fold, loops: tuple[Range, ...]) -> float:
    """How many terms the fold has in the middle of the loops."""
    return max(1.0, volume(_midway(fold.ranges, loops)))


def _midway(ranges: tuple[Range, ...], loops: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges as they are in the middle of the loops."""
    if all(is_size(bound) for r in ranges for bound in (r.lo, r.hi)):
        return ranges
    middle: dict[str, Expr] = {}
    for r in loops:
        lo, hi = (estimate(place_axes(bound, middle)) for bound in (r.lo, r.hi))
        middle[r.axis] = index_constant(int(lo + hi) // 2)
    return tuple(Range(r.axis, place_axes(r.lo, middle), place_axes(r.hi, middle)) for r in ranges)


def _outputs(nest: Nest) -> Nest:
    """The nest without its Fold: bounds of the Fold that move with m or n are turned into guards."""
    return replace(nest, body=nest.body[1:])


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a candidate costs in vector instructions: `copies` to pack factors, and `tiles` for a contraction."""

    candidate: Candidate
    copies: float
    model: CostModel  # of all buffers, packed ones too
    tiles: Contract

    @classmethod
    def of(cls, c: Candidate, rest: Body, model: CostModel, made: Copies) -> Estimate:
        """Copies that are `made` cost nothing."""
        lanes = model.lanes(rest)
        copies, factors = 0.0, []
        for number, side in enumerate((c.a, c.b)):
            copy = side.copy
            if copy is None:
                factors.append(side.factor)
                continue
            name = f"copy {number}"
            shape = tuple(map(extent_of, copy.ranges))
            model = model.beside(Buffer(name, side.factor.dtype, shape, "temp", copy.layout))
            factors.append(Load(name, copy.index, side.factor.dtype))
            if copy.key not in made:
                copies += volume(c.outer[: copy.depth(c.outer)]) * model.copy(copy.ranges, copy.value, lanes)
        tiles = Contract("", c.a.own, c.b.own, _midway(c.k, c.outer), factors[0], factors[1], rest, lanes=c.lanes)
        return cls(c, copies, model, tiles)

    @property
    def near(self) -> float:
        """The cost, were all lines in the second-level cache."""
        return self.copies + volume(self.candidate.outer) * self.model.contraction(self.tiles)

    @property
    def far(self) -> float:
        """What is to be added for lines that are not."""
        return FAR * far_lines(self.candidate.outer, self.tiles, self.model)

    def descends(self, term: Range) -> bool:
        """Whether `b` goes towards lower addresses with the terms, as h[y - r] does with r."""
        return self.model.distance(self.tiles.b, term.axis) < 0

    def cost_in(self, cut: Cut) -> float:
        """The cost where each block of terms is a contraction of its own, and their sums are added afterwards."""
        blocks, c = volume(cut.stored), self.candidate
        added = volume((*c.outer, c.a.own, c.b.own)) * blocks * ADDED
        tiles = replace(self.tiles, k=cut.chain)
        far = FAR * far_lines((*cut.stored, *c.outer), tiles, self.model)
        return self.copies + added + volume(c.outer) * blocks * self.model.contraction(tiles) + far


def cheapest(options: list[Estimate]) -> tuple[float, Estimate]:
    """The cheapest of some estimates, the first of equal ones, and its cost."""
    near = [option.near for option in options]
    best, least = 0, math.inf
    for place in sorted(range(len(options)), key=near.__getitem__):
        if near[place] > least:
            break
        cost = near[place] + options[place].far
        if (cost, place) < (least, best):
            best, least = place, cost
    return least, options[best]

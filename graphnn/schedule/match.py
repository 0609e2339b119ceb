"""Which loops two nests have in common: the legality of fusion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import is_

from graphnn.lower.ir import Contract, Let, Stmt, Store
from graphnn.schedule.affine import Extents, conflicts, pins
from graphnn.schedule.nest import Nest, extents_inside, moves_inward, peel
from graphnn.schedule.reorder import Effects
from graphnn.schedule.statements import Access, fresh_name, names_in, reads, rename, writes
from graphnn.simplify.expr import Axis, Expr, Range, axes_of, place_axes


@dataclass(frozen=True, slots=True)
class Match:
    """Two nests and their common loops, outermost first, under the first one's names.

    `contract` is the contraction whose epilogue both bodies form, where all loops of both are common.
    """

    first: Nest
    second: Nest
    loops: tuple[Range, ...]
    contract: Contract | None = None

    @property
    def complete(self) -> bool:
        return len(self.loops) == len(self.first.loops) == len(self.second.loops)


def match_loops(first: Effects, second: Effects, taken: set[str]) -> Match | None:
    """All loops, in any order, if the two nests can share them, else the longest common prefix; None if there is none.

    A loop of the first and one of the second are common where they have the same bounds, may be moved to that depth,
    and every two conflicting accesses are pinned by their axis. A prefix is taken as it is: an interchange there would
    trade a walk along memory, or a parallel loop, for it. Names of the second that clash with the first are made
    fresh and added to `taken`.
    """
    a, b = peel(first.stmt), peel(second.stmt)
    if not any(_same_bounds(p, c, {}) for p in a.loops for c in b.loops):
        return None
    clashes = names_in((first.stmt,)) & names_in((second.stmt,))
    pair = _Pair.of(first, second, {name: fresh_name(name, taken) for name in sorted(clashes)})
    whole = _match(pair)
    if whole is None or (whole.complete and a.contract is None and b.contract is None):
        return whole
    return _as_epilogue(whole) or _match(pair, prefix=True)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two nests, the fresh names of the second one, and its loops, conflicts and extents under those names."""

    first: Nest
    second: Nest
    stmt: Stmt  # the second one
    apart: dict[str, str]
    conflicts: list[tuple[Access, Access]]
    extents: Extents

    @classmethod
    def of(cls, first: Effects, second: Effects, apart: dict[str, str]) -> _Pair:
        axes = _axes_named(apart)
        met = [(x, _placed(y, axes)) for x, y in conflicts(first.accesses, second.accesses)]
        inside = {apart.get(name, name): extent for name, extent in extents_inside((second.stmt,)).items()}
        extents = extents_inside((first.stmt,)) | inside
        return cls(peel(first.stmt), peel(second.stmt), second.stmt, apart, met, extents)

    def renamed(self, r: Range) -> Range:
        """A loop of the second one under its fresh names."""
        axes = _axes_named(self.apart)
        return Range(self.apart.get(r.axis, r.axis), place_axes(r.lo, axes), place_axes(r.hi, axes))


def _axes_named(names: dict[str, str]) -> dict[str, Expr]:
    return {old: Axis(new) for old, new in names.items()}


def _placed(access: Access, axes: dict[str, Expr]) -> Access:
    """An access under other names of its axes."""
    index = tuple(place_axes(e, axes) for e in access.index)
    return access if all(map(is_, index, access.index)) else replace(access, index=index)


def _match(pair: _Pair, prefix: bool = False) -> Match | None:
    """Match loops greedily from the outside in; each must pin all conflicts given those outside of it.

    With `prefix`, only in the order in which they are, and without the m and n of a contraction.
    """
    a, b = pair.first, pair.second
    left_a, left_b = list(a.outer if prefix else a.loops), list(b.outer if prefix else b.loops)
    fresh = {loop.axis: pair.renamed(loop) for loop in left_b}
    common: list[Range] = []
    names: dict[str, str] = {}
    while True:
        inside = _without(pair.extents, common)
        found = next(
            (
                (p, c)
                for p in left_a[: 1 if prefix else None]
                for c in left_b[: 1 if prefix else None]
                if _same_bounds(p, fresh[c.axis], names)
                and _may_come_next(a, p, left_a)
                and _may_come_next(b, c, left_b)
                and _all_pinned(pair.conflicts, p.axis, names | {fresh[c.axis].axis: p.axis}, inside)
            ),
            None,
        )
        if found is None:
            break
        p, c = found
        common.append(p)
        names[fresh[c.axis].axis] = p.axis
        left_a.remove(p)
        left_b.remove(c)
    if not common:
        return None
    (renamed,) = rename((pair.stmt,), pair.apart | {old: names[r.axis] for old, r in fresh.items() if r.axis in names})
    return Match(a, peel(renamed), tuple(common))


def _same_bounds(p: Range, c: Range, names: dict[str, str]) -> bool:
    axes = _axes_named(names)
    return p.lo == place_axes(c.lo, axes) and p.hi == place_axes(c.hi, axes)


def _may_come_next(nest: Nest, loop: Range, left: list[Range]) -> bool:
    """Whether a loop may be the next one inwards: it is, or it is independent and moves past those before it."""
    if loop == left[0]:
        return True
    if nest.contract is not None:
        return len(left) == 2  # m and n are in no order
    waiting = {r.axis for r in left}
    return not axes_of(loop.lo) & waiting and not axes_of(loop.hi) & waiting and moves_inward(nest, loop.axis)


def _all_pinned(pairs: list[tuple[Access, Access]], axis: str, names: dict[str, str], forbidden: Extents) -> bool:
    axes = _axes_named(names)
    return all(pins(x, _placed(y, axes), axis, forbidden) for x, y in pairs)


def _without(axes: Extents, common: list[Range]) -> Extents:
    """The axes that may differ between two accesses inside of the common loops."""
    shared = {r.axis for r in common}
    return {name: extent for name, extent in axes.items() if name not in shared}


def _as_epilogue(match: Match) -> Match | None:
    """The match as one contraction with both bodies, where one nest is a contraction and the other pointwise."""
    nest, other = (match.first, match.second) if match.first.contract else (match.second, match.first)
    if not match.complete or nest.contract is None or other.contract is not None:
        return None
    if not all(isinstance(s, Let | Store) for s in other.body):
        return None
    operands = reads((nest.contract,)) - reads(nest.body)
    if operands & writes(other.body):
        return None
    return replace(match, loops=nest.loops, contract=nest.contract)

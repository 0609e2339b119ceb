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


@dataclass(frozen=True, slots=True)
class Common:
    """The loops that two statements can share, as the first one has them, and their axes in the second -> in the first.

    Where `epilogue` is true, one of the two is a contraction whose epilogue both bodies form.
    """

    first: Stmt
    second: Stmt
    loops: tuple[Range, ...]
    axes: dict[str, str]
    epilogue: bool = False

    @property
    def complete(self) -> bool:
        return len(self.loops) == len(peel(self.first).loops) == len(peel(self.second).loops)

    def match(self, taken: set[str]) -> Match:
        """The nests under common names. Names of the second that clash are made fresh and added to `taken`."""
        clashes = names_in((self.first,)) & names_in((self.second,))
        apart = {name: fresh_name(name, taken) for name in sorted(clashes)}
        (renamed,) = rename((self.second,), apart | self.axes)
        first, second = peel(self.first), peel(renamed)
        if not self.epilogue:
            return Match(first, second, self.loops)
        nest = first if first.contract is not None else second
        return Match(first, second, nest.loops, nest.contract)


def common_loops(first: Effects, second: Effects) -> Common | None:
    """All loops, in any order, if the two nests can share them, else the longest common prefix; None if there is none.

    A loop of the first and one of the second are common where they have the same bounds, may be moved to that depth,
    and every two conflicting accesses are pinned by their axis. A prefix is taken as it is: an interchange there would
    trade a walk along memory, or a parallel loop, for it.
    """
    a, b = peel(first.stmt), peel(second.stmt)
    if not any(_same_bounds(p, c, {}) for p in a.loops for c in b.loops):
        return None
    pair = _Pair.of(first, second)
    whole = _match(pair)
    if whole is None or (whole.complete and a.contract is None and b.contract is None):
        return whole
    return replace(whole, epilogue=True) if _may_be_epilogue(whole) else _match(pair, prefix=True)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two statements, other names for what both bind, and conflicts and extents under those names."""

    first: Stmt
    second: Stmt
    apart: dict[str, str]
    conflicts: list[tuple[Access, Access]]
    extents: Extents

    @classmethod
    def of(cls, first: Effects, second: Effects) -> _Pair:
        clashes = names_in((first.stmt,)) & names_in((second.stmt,))
        apart = {name: f"{name}'" for name in clashes}  # no name has a prime
        axes = _axes_named(apart)
        met = [(x, _placed(y, axes)) for x, y in conflicts(first.accesses, second.accesses)]
        inside = {apart.get(name, name): extent for name, extent in extents_inside((second.stmt,)).items()}
        extents = extents_inside((first.stmt,)) | inside
        return cls(first.stmt, second.stmt, apart, met, extents)

    def renamed(self, r: Range) -> Range:
        """A loop of the second one under its other name."""
        axes = _axes_named(self.apart)
        return Range(self.apart.get(r.axis, r.axis), place_axes(r.lo, axes), place_axes(r.hi, axes))


def _axes_named(names: dict[str, str]) -> dict[str, Expr]:
    return {old: Axis(new) for old, new in names.items()}


def _placed(access: Access, axes: dict[str, Expr]) -> Access:
    """An access under other names of its axes."""
    index = tuple(place_axes(e, axes) for e in access.index)
    return access if all(map(is_, index, access.index)) else replace(access, index=index)


def _match(pair: _Pair, prefix: bool = False) -> Common | None:
    """Match loops greedily from the outside in; each must pin all conflicts given those outside of it.

    With `prefix`, only in the order in which they are, and without the m and n of a contraction.
    """
    a, b = peel(pair.first), peel(pair.second)
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
    axes = {old: names[r.axis] for old, r in fresh.items() if r.axis in names}
    return Common(pair.first, pair.second, tuple(common), axes)


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


def _may_be_epilogue(common: Common) -> bool:
    """Whether the two are one contraction with both bodies: one nest is a contraction, the other pointwise."""
    first, second = peel(common.first), peel(common.second)
    nest, other = (first, second) if first.contract else (second, first)
    if not common.complete or nest.contract is None or other.contract is not None:
        return False
    if not all(isinstance(s, Let | Store) for s in other.body):
        return False
    operands = reads((nest.contract,)) - reads(nest.body)
    return operands.isdisjoint(writes(other.body))

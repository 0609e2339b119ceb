"""Nests over the same iterations become one nest, so that values travel in registers and not through memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from graphnn.lower.ir import Program, Stmt
from graphnn.schedule.cost import CostModel
from graphnn.schedule.forward import forward_stores
from graphnn.schedule.loops import least_cost
from graphnn.schedule.machine import Machine
from graphnn.schedule.match import Common, Match, common_loops
from graphnn.schedule.nest import Nest, wrap
from graphnn.schedule.prepare import settled_buffers
from graphnn.schedule.reorder import Effects, Order, Place, Placed
from graphnn.schedule.statements import Access, Body, accesses, names_in, prune, reads, without_stores, writes
from graphnn.simplify.expr import Range

# How much dearer, in instructions, a merged nest may be: what it reads back is still in cache, and the cost model,
# which counts instructions, does not see that two nests take each large temp through memory twice.
LOCALITY = 1.25


def fuse(program: Program, machine: Machine) -> Program:
    """Merge a nest with the nest that computes what it reads, over as many common loops as is legal and pays.

    A nest that overwrites what another one reads joins that one, too, where all of their loops are common: the update
    of a weight and of its moments is one pass over memory.

    for i0: t[i0] = x[i0]*2;   for i0: y[i0] = t[i0] + 1  ->  for i0: v = x[i0]*2; y[i0] = v + 1

    Legal: each element that both touch and one writes, they touch in the same iteration of the common loops; and one
    of the two commutes with every statement between them. A contraction's m and n count as loops, both or neither:
    a pointwise nest over them becomes part of its epilogue. Stored values are forwarded as locals, and a temp that
    nobody else reads disappears. It pays where the cost model finds the merged nest, each at its best vector loops,
    hardly dearer than the two; what depends on unchanging states alone costs nothing, since pass `prepare` has it
    computed once for many calls. Where only a prefix of the loops is common, the statements inside are fused in turn.
    """
    fuser = Fuser(program, machine)
    return prune(replace(program, body=fuser.fuse(program.body)))


class Fuser:
    """One run of the pass; it keeps the names, and counts the loads of each buffer, of the whole program."""

    def __init__(self, program: Program, machine: Machine) -> None:
        self.model = CostModel.of(program.buffers, machine)
        self.temps = frozenset(b.name for b in program.buffers if b.role == "temp")
        self.settled = settled_buffers(program)
        self.names = names_in(program.body) | set(program.sizes)
        self.loads = _count(accesses(program.body))
        # By identity; statements are kept, so that their ids stay their own.
        self.costs: dict[int, tuple[Stmt, float]] = {}
        self.common: dict[tuple[int, int], tuple[Effects, Effects, Common | None]] = {}

    def fuse(self, body: Body) -> Body:
        """The body with its statements fused, consumers in order, each with its nearest producer first."""
        order = Order()
        for stmt in body:
            last: Placed | None = order.append(stmt)
            while last is not None:
                last = self._fuse_one(order, last)
        return order.body()

    def _fuse_one(self, order: Order, one: Placed) -> Placed | None:
        """Fuse a statement with another, in place. Returns where the result is; None if it fuses with none."""
        before = (p for p in reversed(order.writing(one.effects.touches)) if p.place < one.place)
        after = (p for p in order.touching(one.effects.writes) if p.place > one.place)
        needing = (p for p in reversed(order.reading(one.effects.writes)) if p.place < one.place)
        pairs = chain(((p, False) for p in chain(before, after)), ((p, True) for p in needing))
        for other, whole in pairs:
            first, second = (other, one) if other.place < one.place else (one, other)
            if _meets_rivals(order, second, first.place, second.place):
                if _meets_rivals(order, first, first.place, second.place):
                    continue
                kept = second
            else:
                kept = first
            merged = self._merge(first.effects, second.effects, whole)
            if merged is not None:
                order.remove(second if kept is first else first)
                return order.replace(kept, merged)
        return None

    def _cost(self, stmt: Stmt) -> float:
        """The cost of a statement at its best vector loops."""
        if id(stmt) not in self.costs:
            self.costs[id(stmt)] = stmt, least_cost(stmt, self.model)
        return self.costs[id(stmt)][1]

    def _cost_apart(self, first: Effects, second: Effects) -> float:
        """The cost of two statements by themselves, in each call: what is computed once for many calls has none."""
        often = [e for e in (first, second) if not e.writes or not e.writes <= self.settled]
        return sum(self._cost(e.stmt) for e in often or (first, second))

    def _common(self, first: Effects, second: Effects) -> Common | None:
        """`common_loops`, which is asked about the same statements again whenever others join them."""
        pair = id(first.stmt), id(second.stmt)
        if pair not in self.common:
            self.common[pair] = first, second, common_loops(first, second)
        return self.common[pair][2]

    def _merge(self, first: Effects, second: Effects, whole: bool) -> Stmt | None:
        """The two as one statement, where that is legal and pays; with `whole`, only if all their loops are common."""
        common = self._common(first, second)
        if common is None or (whole and (common.epilogue or not common.complete)):
            return None
        taken = set(self.names)
        match = common.match(taken)
        body = forward_stores(_inside(match), taken)
        own = _count((*first.accesses, *second.accesses))
        dead = frozenset(t for t in self.temps & writes(body) if self.loads[t] == own[t])
        body = without_stores(body, dead - reads(body))
        merged = _around(match, body)
        if not body or self._cost(merged) > LOCALITY * self._cost_apart(first, second):
            return None
        self.names = taken
        if not writes((merged,)) <= self.settled:
            self.settled -= writes((merged,))
        self.loads.subtract(own)
        self.loads.update(_count(accesses((merged,))))
        if not common.complete:
            merged = _around(match, self.fuse(body))
        return merged


def _meets_rivals(order: Order, moving: Placed, start: Place, end: Place) -> bool:
    """Whether a statement between the two places may not be passed."""
    return any(start < p.place < end for p in order.rivals(moving.effects))


def _inside(match: Match) -> Body:
    """What the two nests hold inside their common loops."""
    if match.contract is not None:
        return (*match.first.body, *match.second.body)
    return (*_rest(match.first, match.loops), *_rest(match.second, match.loops))


def _rest(nest: Nest, common: tuple[Range, ...]) -> Body:
    shared = {r.axis for r in common}
    own = tuple(r for r in nest.loops if r.axis not in shared)
    if nest.contract is None:
        return wrap(own, nest.body)
    return wrap(own[:-2], (nest.contract,))


def _around(match: Match, body: Body) -> Stmt:
    """The common loops around a body; or the contraction, with the body as its epilogue."""
    contract = match.contract
    if contract is None:
        (stmt,) = wrap(match.loops, body)
    else:
        (stmt,) = wrap(match.loops[:-2], (replace(contract, body=body),))
    return stmt


def _count(found: Iterable[Access]) -> Counter[str]:
    """The loads of each buffer."""
    return Counter(a.buffer for a in found if not a.writes)

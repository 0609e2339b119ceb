"""Nests over the same iterations become one nest, so that values travel in registers and not through memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from graphnn.lower.ir import Program, Stmt
from graphnn.schedule.cost import CostModel
from graphnn.schedule.forward import forward_stores
from graphnn.schedule.loops import best_lanes
from graphnn.schedule.machine import Machine
from graphnn.schedule.match import Match, match_loops
from graphnn.schedule.nest import Nest, wrap
from graphnn.schedule.reorder import Effects, commute
from graphnn.schedule.statements import Access, Body, accesses, names_in, prune, reads, without_stores, writes
from graphnn.simplify.expr import Range

# How much dearer, in instructions, a merged nest may be: what it reads back is still in cache, and the cost model,
# which counts instructions, does not see that two nests take each large temp through memory twice.
LOCALITY = 1.25


def fuse(program: Program, machine: Machine) -> Program:
    """Merge a nest with the nest that computes what it reads, over as many common loops as is legal and pays.

    for i0: t[i0] = x[i0]*2;   for i0: y[i0] = t[i0] + 1  ->  for i0: v = x[i0]*2; y[i0] = v + 1

    Legal: each element that both touch and one writes, they touch in the same iteration of the common loops; and one
    of the two commutes with every statement between them. A contraction's m and n count as loops, both or neither:
    a pointwise nest over them becomes part of its epilogue. Stored values are forwarded as locals, and a temp that
    nobody else reads disappears. It pays where the cost model finds the merged nest, each at its best vector loops,
    hardly dearer than the two. Where only a prefix of the loops is common, the statements inside are fused in turn.
    """
    fuser = Fuser(program, machine)
    return prune(replace(program, body=fuser.fuse(program.body)))


class Fuser:
    """One run of the pass; it keeps the names, and counts the loads of each buffer, of the whole program."""

    def __init__(self, program: Program, machine: Machine) -> None:
        self.model = CostModel.of(program.buffers, machine)
        self.temps = frozenset(b.name for b in program.buffers if b.role == "temp")
        self.names = names_in(program.body) | set(program.sizes)
        self.loads = _count(accesses(program.body))
        # By identity; the statement is kept, so that its id stays its own.
        self.costs: dict[int, tuple[Stmt, float]] = {}

    def fuse(self, body: Body) -> Body:
        """The body with its statements fused, consumers in order, each with its nearest producer first."""
        done: list[Effects] = []
        for stmt in body:
            done.append(Effects.of(stmt))
            at: int | None = len(done) - 1
            while at is not None:
                at = self._fuse_at(done, at)
        return tuple(e.stmt for e in done)

    def _fuse_at(self, body: list[Effects], at: int) -> int | None:
        """Fuse statement `at` with another, in place. Returns where the result is; None if it fuses with none."""
        made, used = body[at].writes, body[at].touches
        before = ((e, at) for e in range(at - 1, -1, -1) if not used.isdisjoint(body[e].writes))
        after = ((at, later) for later in range(at + 1, len(body)) if not made.isdisjoint(body[later].touches))
        for earlier, later in chain(before, after):
            first, second = body[earlier], body[later]
            between = body[earlier + 1 : later]
            up = all(commute(e, second) for e in between)
            if not (up or all(commute(first, e) for e in between)):
                continue
            merged = self._merge(first, second)
            if merged is not None:
                result = Effects.of(merged)
                body[earlier : later + 1] = [result, *between] if up else [*between, result]
                return earlier if up else earlier + len(between)
        return None

    def _cost(self, stmt: Stmt) -> float:
        """The cost of a statement at its best vector loops."""
        if id(stmt) not in self.costs:
            self.costs[id(stmt)] = stmt, best_lanes(stmt, self.model)[0]
        return self.costs[id(stmt)][1]

    def _merge(self, first: Effects, second: Effects) -> Stmt | None:
        taken = set(self.names)
        match = match_loops(first, second, taken)
        if match is None:
            return None
        body = forward_stores(_inside(match), taken)
        own = _count((*first.accesses, *second.accesses))
        dead = frozenset(t for t in self.temps & writes(body) if self.loads[t] == own[t])
        body = without_stores(body, dead - reads(body))
        merged = _around(match, body)
        if not body or self._cost(merged) > LOCALITY * sum(self._cost(e.stmt) for e in (first, second)):
            return None
        self.names = taken
        self.loads.subtract(own)
        self.loads.update(_count(accesses((merged,))))
        if match.contract is None and not match.complete:
            merged = _around(match, self.fuse(body))
        return merged


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

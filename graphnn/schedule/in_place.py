"""State updates are written where the old value was, when nobody needs the old value any more."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import Program, Stmt, Store
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel
from graphnn.schedule.reorder import Effects, commute
from graphnn.schedule.statements import accesses, prune, reads, rewrite, writes
from graphnn.simplify.expr import Axis, Const, Expr, Load, transform


def in_place(program: Program, machine: Machine) -> Program:
    """Turn `next` temp and copy into one store to the state.

    for i0: t[i0] = W[i0] - g[i0];   for i0: W[i0] = t[i0]  ->  for i0: W[i0] = W[i0] - g[i0]

    The storing nest may read the state at the stored index only, every other read of the old value must come before
    it (the nest is moved down past such reads, where nothing between needs what it writes), and whoever read the
    temp reads the state instead. Otherwise the copy stays.
    """
    for copy in program.body:
        program = _merge_copy(program, copy) or program
    return prune(program)


def _merge_copy(program: Program, copy: Stmt) -> Program | None:
    names = _copied(program, copy)
    if names is None:
        return None
    state, temp = names
    body = [s for s in program.body if s != copy]
    producers = [p for p, s in enumerate(body) if temp in writes((s,))]
    if len(producers) != 1 or program.buffer(temp).role != "temp":
        return None
    at = producers[0]
    producer = body.pop(at)
    stored = {a.index for a in accesses((producer,)) if a.buffer == temp}
    if len(stored) != 1 or any(a.buffer == state and a.index not in stored for a in accesses((producer,))):
        return None
    if state in writes(body) or state in writes((producer,)) or temp in reads(body[:at]):
        return None
    (index,) = stored
    if not _is_identity(index, len(program.buffer(state).shape)):
        return None

    last = max((p + 1 for p, s in enumerate(body) if state in reads((s,))), default=0)
    destination = max(at, last)
    if not all(commute(Effects.of(producer), Effects.of(s)) for s in body[at:destination]):
        return None
    body.insert(destination, producer)

    def to_state(expr: Expr) -> Expr:
        return transform(expr, lambda e: replace(e, buffer=state) if isinstance(e, Load) and e.buffer == temp else None)

    def store(stmt: Stmt) -> Stmt:
        return replace(stmt, buffer=state) if isinstance(stmt, Store) and stmt.buffer == temp else stmt

    return replace(program, body=rewrite(tuple(body), to_state, store))


def _copied(program: Program, stmt: Stmt) -> tuple[str, str] | None:
    """(state, temp) where a nest is state[axes] = temp[axes] over the whole of both."""
    nest = peel(stmt)
    if nest.contract is not None or len(nest.body) != 1 or not isinstance(nest.body[0], Store):
        return None
    store = nest.body[0]
    target, value = program.buffer(store.buffer), store.value
    if target.role != "state" or not isinstance(value, Load) or value.index != store.index:
        return None
    if program.buffer(value.buffer).shape != target.shape or value.buffer == store.buffer:
        return None
    extents = {r.axis: r.hi for r in nest.loops if r.lo == Const(0, "int64")}
    whole = all(
        isinstance(e, Axis) and extents.get(e.name) == s for e, s in zip(store.index, target.shape, strict=True)
    )
    return (store.buffer, value.buffer) if whole and _is_identity(store.index, len(nest.loops)) else None


def _is_identity(index: tuple[Expr, ...], rank: int) -> bool:
    """Whether an index is `rank` different axes, so that every element is written by one iteration."""
    return len(set(index)) == rank and all(isinstance(e, Axis) for e in index)

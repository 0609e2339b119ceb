"""State updates are written where the old value was, when nobody needs the old value any more."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import Program, Stmt, Store
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel
from graphnn.schedule.reorder import Effects, commute
from graphnn.schedule.statements import prune, rewrite
from graphnn.simplify.expr import Axis, Const, Expr, Load, transform


def in_place(program: Program, machine: Machine) -> Program:
    """Turn `next` temp and copy into one store to the state.

    for i0: t[i0] = W[i0] - g[i0];   for i0: W[i0] = t[i0]  ->  for i0: W[i0] = W[i0] - g[i0]

    The storing nest may read the state at the stored index only, every other read of the old value must come before
    it (the nest is moved down past such reads, where nothing between needs what it writes), and whoever read the
    temp reads the state instead. Otherwise the copy stays.
    """
    body = [Effects.of(stmt) for stmt in program.body]
    for stmt in program.body:
        names = _copied(program, stmt)
        if names is not None:
            body = _merge_copy(program, body, stmt, *names) or body
    return prune(replace(program, body=tuple(e.stmt for e in body)))


def _merge_copy(program: Program, body: list[Effects], copy: Stmt, state: str, temp: str) -> list[Effects] | None:
    """The body without the copy state <- temp, where that is legal."""
    rest = [e for e in body if state not in e.writes or e.stmt != copy]
    at = next((p for p, e in enumerate(rest) if temp in e.writes), None)
    if at is None or program.buffer(temp).role != "temp":
        return None
    producer = rest.pop(at)
    if state in producer.writes or any(state in e.writes or temp in e.writes for e in rest):
        return None
    stored = {a.index for a in producer.accesses if a.buffer == temp}
    if len(stored) != 1 or any(a.buffer == state and a.index not in stored for a in producer.accesses):
        return None
    if not all(_is_identity(index, len(program.buffer(state).shape)) for index in stored):
        return None
    last = max((p + 1 for p, e in enumerate(rest) if state in e.reads), default=0)
    destination = max(at, last)
    if not all(commute(producer, e) for e in rest[at:destination]):
        return None
    rest.insert(destination, producer)
    return [_to_state(e, state, temp) if temp in e.reads | e.writes else e for e in rest]


def _to_state(effects: Effects, state: str, temp: str) -> Effects:
    """A statement with the state in the place of the temp."""

    def load(expr: Expr) -> Expr:
        return transform(expr, lambda e: replace(e, buffer=state) if isinstance(e, Load) and e.buffer == temp else None)

    def store(stmt: Stmt) -> Stmt:
        return replace(stmt, buffer=state) if isinstance(stmt, Store) and stmt.buffer == temp else stmt

    (stmt,) = rewrite((effects.stmt,), load, store)
    return Effects.of(stmt)


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

"""State updates are written where the old value was, when nobody needs the old value any more."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import Program, Stmt, Store
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel
from graphnn.schedule.reorder import Order
from graphnn.schedule.statements import prune, rename_buffer
from graphnn.simplify.expr import Axis, Const, Expr, Load


def in_place(program: Program, machine: Machine) -> Program:
    """Turn `next` temp and copy into one store to the state.

    for i0: t[i0] = W[i0] - g[i0];   for i0: W[i0] = t[i0]  ->  for i0: W[i0] = W[i0] - g[i0]

    The storing nest may read the state at the stored index only, every other read of the old value must come before
    it (the nest is moved down past such reads, where nothing between needs what it writes), and whoever read the
    temp reads the state instead. Otherwise the copy stays.
    """
    order = Order.of(program.body)
    for stmt in program.body:
        names = _copied(program, stmt)
        if names is not None:
            _merge_copy(program, order, stmt, *names)
    return prune(replace(program, body=order.body()))


def _merge_copy(program: Program, order: Order, copy: Stmt, state: str, temp: str) -> None:
    """Take the copy state <- temp out of the order, where that is legal."""
    copies = [p for p in order.writing((state,)) if p.effects.stmt == copy]
    others = [p for p in order.writing((state, temp)) if p not in copies]
    if len(others) != 1 or program.buffer(temp).role != "temp":
        return
    (placed,) = others
    producer = placed.effects
    stored = {a.index for a in producer.accesses if a.buffer == temp}
    if state in producer.writes or len(stored) != 1:
        return
    if any(a.buffer == state and a.index not in stored for a in producer.accesses):
        return
    if not all(_is_identity(index, len(program.buffer(state).shape)) for index in stored):
        return
    last = max((p.place for p in order.reading((state,)) if p not in copies), default=placed.place)
    if any(placed.place < p.place <= last for p in order.rivals(producer) if p not in copies):
        return
    for found in copies:
        order.remove(found)
    if placed.place < last:
        order.remove(placed)
        order.insert(last, producer.stmt)
    for found in order.touching((temp,)):
        order.replace(found, *rename_buffer((found.effects.stmt,), temp, state))


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

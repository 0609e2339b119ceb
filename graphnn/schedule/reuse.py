"""Temp buffers that take the place of others: a value is written where the one that it replaces was read last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphnn.lower.ir import Buffer, Contract, For, Program, Stmt, Store, Transform
from graphnn.schedule.affine import known_extent, meetings, pins
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import extents_inside
from graphnn.schedule.reorder import Effects
from graphnn.schedule.statements import Body, accesses, rename_buffer
from graphnn.simplify.expr import Load, Range, walk


def reuse(program: Program, machine: Machine) -> Program:
    """Let a buffer replace a temp of the same type and shape that is read for the last time where it is written first.

    for i: h[i] = max(0, z[i]); ...; for i: d[i] = g[i]*(h[i] > 0)  ->  ...; for i: h[i] = g[i]*(h[i] > 0)

    Legal: no iteration of a loop around both touches what another one writes, and within an iteration the last access
    to the old value comes before the first to the new one, or is in the same statement, which reads before it writes.
    The arena only shares between buffers that no statement touches both of; this also shares between those.
    """
    body = list(program.body)
    buffers = {b.name: b for b in program.buffers}
    lives = _lives(body)
    for name in sorted(lives, key=lambda name: lives[name][0]):
        if name not in lives or not buffers[name].shape or buffers[name].role not in ("temp", "output"):
            continue
        new, (first, last) = buffers[name], lives[name]
        ending = [buffers[n] for n, life in lives.items() if life[1] == first and n != name]
        old = next((b for b in ending if _alike(b, new) and _replaces(body[first], b.name, name)), None)
        if old is None:
            continue
        kept, gone = (old, new) if new.role == "temp" else (new, old)
        body = list(rename_buffer(body, gone.name, kept.name))
        buffers[kept.name] = replace(kept, also=(*kept.also, gone.name, *gone.also))
        lives[kept.name] = lives[old.name][0], last
        del lives[gone.name], buffers[gone.name]
    return replace(program, buffers=tuple(buffers.values()), body=tuple(body))


def _lives(body: Sequence[Stmt]) -> dict[str, tuple[int, int]]:
    """The first and the last statement that touches each buffer."""
    found: dict[str, tuple[int, int]] = {}
    for position, stmt in enumerate(body):
        for name in sorted(Effects.of(stmt).touches):
            found[name] = found.get(name, (position, position))[0], position
    return found


def _alike(old: Buffer, new: Buffer) -> bool:
    return old.role == "temp" and _storage(old) == _storage(new)


def _storage(buffer: Buffer) -> tuple[object, ...]:
    return buffer.stored, buffer.shape, buffer.layout, buffer.local_to


def _replaces(stmt: Stmt, old: str, new: str) -> bool:
    """Whether a statement that touches both is done with each element of `old` before it writes that of `new`."""
    match stmt:
        case For(axis=axis, lo=lo, hi=hi, body=body):
            return _apart((Range(axis, lo, hi),), body, old, new) and _in_order(body, old, new)
        case Contract(m=m, n=n, a=a, b=b, body=body):
            read = {e.buffer for factor in (a, b) for e in walk(factor) if isinstance(e, Load)}
            return read.isdisjoint((old, new)) and _apart((m, n), body, old, new) and _in_order(body, old, new)
        case Transform(body=body):  # all is read before the first body
            return all(old not in Effects.of(part).touches for part in body)
        case Store():
            return True
        case _:
            return False


def _apart(loops: tuple[Range, ...], body: Body, old: str, new: str) -> bool:
    """Whether no two iterations touch an element in common, of both buffers taken as one, that one of them writes."""
    both = [replace(access, buffer=old) for access in accesses(body) if access.buffer in (old, new)]
    forbidden = extents_inside(body) | {r.axis: known_extent(r) for r in loops}
    return all(pins(a, b, r.axis, forbidden) for a, b in meetings(both) for r in loops)


def _in_order(body: Body, old: str, new: str) -> bool:
    """Whether within one iteration the last access to `old` comes before, or with, the first to `new`."""
    touched = [Effects.of(stmt).touches for stmt in body]
    last = max(p for p, names in enumerate(touched) if old in names)
    first = min(p for p, names in enumerate(touched) if new in names)
    return last < first or (last == first and _replaces(body[first], old, new))

"""What depends on nothing but states that a program leaves as they are is computed once for each of their versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graphnn.lower.ir import Program, Stmt
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import locals_bound, locals_used, own_expressions, reads, statements, writes
from graphnn.simplify.expr import Const, Size, walk


def prepare(program: Program, machine: Machine) -> Program:
    """Put what is computed from unchanging states alone ahead, into arrays that outlive a call.

    temp x.p, temp W.p;      for ...: x.p[...] = x[...]; for ...: W.p[...] = W[...]; contract x.p, W.p
      ->  prepared W.p:      for ...: W.p[...] = W[...]; for ...: x.p[...] = x[...]; contract x.p, W.p

    Top-level statements are moved whole, in their order: those that read and write only `settled_buffers`.
    """
    settled = settled_buffers(program)
    ahead, others = list[Stmt](), list[Stmt]()
    for stmt in program.body:
        changed = writes((stmt,))
        (ahead if changed and changed <= settled else others).append(stmt)
    buffers = tuple(
        replace(b, role="prepared") if b.role == "temp" and b.name in settled else b for b in program.buffers
    )
    return replace(program, buffers=buffers, body=(*ahead, *others))


def settled_buffers(program: Program) -> frozenset[str]:
    """The states that a program does not update, and the temps that follow from those alone, whatever a call is given.

    A temp is none if it, or a statement that writes it, depends on a size, or shares a local with another statement;
    nor is one without elements, which nobody writes.
    """
    updated, shared = writes(program.body), locals_bound(program.body)
    settled = {b.name for b in program.buffers if b.role == "state" and b.name not in updated}
    temps = (b for b in program.buffers if b.role == "temp" and b.name in updated)
    settled |= {b.name for b in temps if all(isinstance(e, Const) for e in b.shape)}
    writers = [(stmt, changed) for stmt in program.body if (changed := writes((stmt,)))]
    _lose(settled, writers)
    # What is left is little, and its expressions are looked through.
    settled -= {
        name for stmt, changed in writers if changed <= settled and _unsettled(stmt, shared) for name in changed
    }
    _lose(settled, writers)
    return frozenset(settled)


def _lose(settled: set[str], writers: list[tuple[Stmt, frozenset[str]]]) -> None:
    """Take away what a statement writes that touches anything else, until nothing is left to take."""
    while True:
        lost = {name for stmt, changed in writers if not changed | reads((stmt,)) <= settled for name in changed}
        if lost.isdisjoint(settled):
            return
        settled -= lost


def _unsettled(stmt: Stmt, shared: frozenset[str]) -> bool:
    """Whether a statement depends on a size, or on a local that it does not bind itself."""
    return not shared.isdisjoint(locals_used((stmt,))) or _sized((stmt,))


def _sized(body: Iterable[Stmt]) -> bool:
    return any(isinstance(e, Size) for stmt in statements(body) for root in own_expressions(stmt) for e in walk(root))

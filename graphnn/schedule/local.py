"""Temps of which each iteration of a loop needs a part of its own are not in memory as a whole: array contraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from graphnn.lower.ir import Buffer, For, Program, Stmt
from graphnn.schedule.cost import CACHE_LINES, CostModel
from graphnn.schedule.machine import BYTES, Machine
from graphnn.schedule.memory import ALIGNMENT
from graphnn.schedule.statements import Access, accesses, touched
from graphnn.simplify.expr import Axis, Const

MOST = CACHE_LINES * ALIGNMENT  # bytes of all parts at once: they stay in the first-level cache


def keep_local(program: Program, machine: Machine) -> Program:
    """Mark the temps whose elements one iteration of a loop writes and reads, and no other: that part is on the stack.

    temp t: float32[N, 64], for i: (for j: t[i, j] = ...; y[i] = sum[r](t[i, r]))
      ->  temp t: float32[N, 64] on the stack in i

    Array contraction (Lewis, Lin, Snyder: The implementation and evaluation of fusion and contraction in array
    languages, 1998) with the array's indices left as they are. Legal: all accesses are in one loop and have its axis,
    and that of every loop around it, at one and the same dimension each, so that no two iterations share an element.
    Those dimensions become the slowest. In a vector loop the part is that of all lanes.
    """
    model = CostModel.of(program.buffers, machine)
    users: dict[str, list[Stmt]] = {}
    for stmt in program.body:
        for name in touched(stmt):
            users.setdefault(name, []).append(stmt)
    taken: dict[int, int] = {}  # bytes, by identity of the statement
    buffers = list[Buffer]()
    for buffer in program.buffers:
        found = users.get(buffer.name, [])
        owner = _owner(buffer, found[0], model) if buffer.role == "temp" and len(found) == 1 else None
        used = 0 if owner is None else taken.get(id(found[0]), 0) + owner.bytes
        if owner is None or used > MOST:
            buffers.append(buffer)
        else:
            taken[id(found[0])] = used
            buffers.append(replace(buffer, local_to=owner.axis, layout=owner.layout))
    return replace(program, buffers=tuple(buffers))


@dataclass(frozen=True, slots=True)
class _Owner:
    """The loop whose iterations have parts of a buffer, with the layout and the bytes of those that exist at once."""

    axis: str
    layout: tuple[int, ...]
    bytes: int


def _owner(buffer: Buffer, stmt: Stmt, model: CostModel) -> _Owner | None:
    """The innermost loop that all accesses are in, if its iterations share no element."""
    dimensions, loop = list[int](), None
    while isinstance(stmt, For):
        dimension = _dimension_of(stmt.axis, [a for a in accesses((stmt,)) if a.buffer == buffer.name])
        if dimension is None:
            break
        dimensions.append(dimension)
        loop = stmt
        inside = [s for s in stmt.body if buffer.name in touched(s)]
        if len(inside) != 1 or stmt.kind == "vector":
            break
        (stmt,) = inside
    rest = [d for d in buffer.layout if d not in dimensions]
    extents = [int(e.value) for e in (buffer.shape[d] for d in rest) if isinstance(e, Const)]
    if loop is None or len(extents) < len(rest):
        return None
    rows = model.lanes(loop.body) if loop.kind == "vector" else 1
    return _Owner(loop.axis, (*dimensions, *rest), prod(extents) * rows * BYTES[buffer.stored])


def _dimension_of(axis: str, found: Sequence[Access]) -> int | None:
    """The dimension at which all accesses have an axis."""
    common = set.intersection(*({d for d, i in enumerate(a.index) if i == Axis(axis)} for a in found))
    return min(common, default=None)

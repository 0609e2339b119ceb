"""Buffers of which each iteration of a loop has a part of its own, on the stack.

    for i: t[i, j] = ...      address of t[i, j]:  stack + j, as base + i*64 + j with base = stack - i*64

In vector code the parts of all lanes lie one after the other, as they would in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

from graphnn.emit.access import offset_of
from graphnn.emit.address import MEMORY
from graphnn.emit.environment import Bound
from graphnn.emit.writer import constant
from graphnn.lower.ir import Buffer, For
from graphnn.schedule.affine import ZERO
from graphnn.schedule.memory import ALIGNMENT
from graphnn.schedule.statements import accesses
from graphnn.simplify.expr import Axis, Const, Expr

if TYPE_CHECKING:
    from graphnn.emit.loops import EmitContext


@contextmanager
def parts_on_stack(context: EmitContext, loop: For) -> Iterator[None]:
    """Bind the buffers that are local to a loop to the parts of the iterations, one in each lane, that run here."""
    own = {a.buffer: a.index for a in accesses(loop.body) if context.declared[a.buffer].local_to == loop.axis}
    if not own:
        yield
        return
    w, outer = context.writer, context.buffers
    context.buffers = dict(outer)
    for name, index in own.items():
        buffer = context.declared[name]
        start, length = _part(buffer, index)
        if (name, context.lanes) not in context.stacks:
            stack = w.alloca(MEMORY[buffer.stored], context.lanes * length, ALIGNMENT)
            context.stacks[name, context.lanes] = stack
        before = w.binary("sub", constant("i64", 0), context.first_lane(offset_of(buffer, start)))
        base = w.gep(MEMORY[buffer.stored], context.stacks[name, context.lanes], before)
        context.buffers[name] = Bound(buffer, base)
    yield
    context.buffers = outer


def _part(buffer: Buffer, index: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], int]:
    """The index of the first element of a part, and how many elements it has, by the index of any of them."""
    outer = buffer.layout[: buffer.layout.index(index.index(Axis(buffer.local_to))) + 1]
    start = tuple(i if d in outer else ZERO for d, i in enumerate(index))
    extents = [e.value for d, e in enumerate(buffer.shape) if d not in outer and isinstance(e, Const)]
    return start, prod(map(int, extents))

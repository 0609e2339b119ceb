"""Outputs that no cache holds are written past the caches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import prod

from graphnn.lower.ir import Buffer, For, Program, Store
from graphnn.schedule.cost import CostModel
from graphnn.schedule.crossing import runs_by_rows
from graphnn.schedule.machine import BYTES, Machine
from graphnn.schedule.statements import Body, accesses, statements
from graphnn.simplify.expr import Const

LAST_LEVEL = 2**25  # bytes of a last-level cache of 32 MB


def store_past_cache(program: Program, machine: Machine) -> Program:
    """Mark an output as `streamed` that the last-level cache does not hold, written once, by vectors, and not read.

    output y: float32[16777216]  ->  output y: float32[16777216] past the caches

    Each of its lines is written as a whole, so that memory need not be read before: a copy of 64 MB took 3.5 ms, and
    2.4 so. What is read again, or fits, stays in a cache for the one who reads it next. Rows that end within a line are
    not worth it. A size that is not known before the call counts as one that fits.
    """
    touched = Counter(access.buffer for access in accesses(program.body))
    loops = _vector_loops(program.body, CostModel.of(program.buffers, machine))
    written = {stmt.buffer for loop in loops for stmt in loop.body if isinstance(stmt, Store)}

    def is_streamed(b: Buffer) -> bool:
        return b.role == "output" and b.name in written and touched[b.name] == 1 and _leaves_caches(b, machine)

    return replace(program, buffers=tuple(replace(b, streamed=True) if is_streamed(b) else b for b in program.buffers))


def _vector_loops(body: Body, model: CostModel) -> Iterator[For]:
    """The loops that run in vectors: those of that kind, and those inside of them that run row by row."""
    for stmt in statements(body):
        if isinstance(stmt, For) and stmt.kind == "vector":
            yield stmt
            inner = (s for s in statements(stmt.body) if isinstance(s, For))
            yield from (s for s in inner if runs_by_rows(s, model.stride, stmt.axis))


def _leaves_caches(buffer: Buffer, machine: Machine) -> bool:
    """Whether a buffer of known extents is too large for the last cache, and its rows are whole vectors."""
    extents = [int(extent.value) for extent in buffer.shape if isinstance(extent, Const)]
    if len(extents) < max(1, len(buffer.shape)) or prod(extents) * BYTES[buffer.stored] <= LAST_LEVEL:
        return False
    row = extents[buffer.layout[-1]] * BYTES[buffer.stored]
    return len(extents) == 1 or row % machine.vector_bytes == 0

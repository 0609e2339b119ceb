"""What is asked for before it is needed: the lines of a tile's epilogue, and weights that few rows are multiplied with.

The rows of a tile lie far apart in memory and go on for a few lines only: no hardware prefetcher follows them, and an
epilogue that meets them cold waits for each. A tile over many terms takes long enough to hide all of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

from graphnn.emit.access import expressions_in, names_in, offset_of, slope
from graphnn.emit.expression import MEMORY
from graphnn.emit.writer import constant
from graphnn.lower.ir import Contract, Store
from graphnn.schedule.affine import known_extent
from graphnn.schedule.cost import DEEP_ROWS, FAR_LINES
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import Const, Expr, Load, index_constant, walk

if TYPE_CHECKING:
    from graphnn.emit.loops import EmitContext  # it dispatches to the contractions, which use this module
    from graphnn.emit.tile import Span

LINE = 64  # bytes
# A tile over fewer terms is done before its lines are there; beside many terms a prefetch costs nothing. In between it
# pays for what cannot be in the second-level cache: 32 filters of 27 taps at 32 x 32 x 64 take 0.92 ms, 1.37 without.
FEW, MANY = 16, 64
LARGE = 2**21  # bytes, twice such a cache
ZERO = constant("i64", 0)


def meets_weights(context: EmitContext, c: Contract) -> bool:
    """Whether few rows meet a part of weights that the second-level cache does not hold.

    In a loop such a part may be small enough for the cache, and comes from memory all the same: each does once a call.
    """
    rows = known_extent(c.m)
    if c.lanes > 1 or rows is None or rows > DEEP_ROWS or not isinstance(c.b, Load):
        return False
    outlives = context.buffers[c.b.buffer].buffer.role in ("state", "prepared")  # and has constant extents
    return outlives and _bytes(context, c.b.buffer) > FAR_LINES * LINE


def prefetch_epilogue(context: EmitContext, contract: Contract, rows: Span, columns: Span) -> None:
    """Prefetch each line of the given rows and columns that the epilogue of a contraction loads or stores.

    Only what moves with the rows and has unit stride along the columns: the rest is small, or has no lines. Nothing for
    a contraction of few terms.
    """
    w, terms = context.writer, _product(map(known_extent, contract.k))
    if terms is not None and terms < FEW:
        return
    least = LARGE if terms is not None and terms < MANY else 0
    touched = {place: stored for place, stored in _touched(context, contract) if _bytes(context, place[0]) >= least}
    if not touched:
        return
    with w.loop(ZERO, rows.count) as row, context.axis(contract.m.axis, w.binary("add", rows.first, row.index)):
        for (buffer, offset), stored in touched.items():
            bound = context.buffers[buffer]
            with (
                w.loop(ZERO, columns.count, step=LINE // BYTES[bound.buffer.stored]) as column,
                context.axis(contract.n.axis, w.binary("add", columns.first, column.index)),
            ):
                w.prefetch(w.gep(MEMORY[bound.buffer.stored], bound.base, context.value(offset)), stored)


def _touched(context: EmitContext, contract: Contract) -> Iterator[tuple[tuple[str, Expr], bool]]:
    """Where the epilogue goes: ((buffer, offset of the element), whether it is stored to), stores last."""
    touched: list[Load | Store] = [
        e for root in expressions_in(contract.body) for e in walk(root) if isinstance(e, Load)
    ]
    touched += [s for s in contract.body if isinstance(s, Store)]
    for access in touched:
        offset = offset_of(context.buffers[access.buffer].buffer, access.index)
        plain = not any(isinstance(e, Load) for e in walk(offset))
        if plain and contract.m.axis in names_in(offset) and slope(offset, contract.n.axis) == index_constant(1):
            yield (access.buffer, offset), isinstance(access, Store)


def _bytes(context: EmitContext, name: str) -> float:
    """The size of a buffer; one of unknown extents counts as large."""
    buffer = context.buffers[name].buffer
    elements = _product(int(e.value) if isinstance(e, Const) else None for e in buffer.shape)
    return LARGE if elements is None else elements * BYTES[buffer.stored]


def _product(extents: Iterable[int | None]) -> int | None:
    """The product of some extents, None where one is not known."""
    known = list(extents)
    return None if None in known else prod(e for e in known if e is not None)

"""What is asked for before it is needed: the lines of a tile's epilogue, and weights that few rows are multiplied with.

The rows of a tile lie far apart in memory and go on for a few lines only: no hardware prefetcher follows them, and an
epilogue that meets them cold waits for each. A tile over many terms takes long enough to hide all of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

from graphnn.emit.access import expressions_in, names_in, offset_of, slope
from graphnn.emit.writer import Module, Value, Writer, constant
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

    Only what moves evenly with the rows and has unit stride along the columns: the rest is small, or has no lines.
    Nothing for a contraction of few terms.
    """
    w, terms = context.writer, _product(map(known_extent, contract.k))
    if terms is not None and terms < FEW:
        return
    least = LARGE if terms is not None and terms < MANY else 0
    touched = {place: stored for place, stored in _touched(context, contract) if _bytes(context, place[0]) >= least}
    for (buffer, offset), stored in touched.items():
        pitch = slope(offset, contract.m.axis)
        assert pitch is not None
        size = constant("i64", BYTES[context.declared[buffer].stored])
        with context.axis(contract.m.axis, rows.first), context.axis(contract.n.axis, columns.first):
            first = context.address(buffer, offset)
            lengths = (w.binary("mul", length, size) for length in (context.value(pitch), columns.count))
        _prefetch_rows(w, stored, first, rows.count, *lengths)


def _prefetch_rows(w: Writer, stored: bool, first: Value, rows: Value, pitch: Value, length: Value) -> None:
    """Prefetch `length` bytes of each row; `pitch` bytes lie from one to the next. One function of the module does it.

    Written out, these two loops took LLVM as long as a quarter of a kernel.
    """
    name = f"prefetch.{'stored' if stored else 'loaded'}"
    if name not in w.module.shared:
        w.module.shared.add(name)
        w.module.functions.append(_function(w.module, name, stored))
    w.do(f"call void @{name}({', '.join(map(str, (first, rows, pitch, length)))})")


def _function(module: Module, name: str, stored: bool) -> str:
    w = Writer(module)
    first, rows, pitch, length = Value("ptr", "%first"), *(Value("i64", f"%{p}") for p in ("rows", "pitch", "length"))
    with w.loop(ZERO, rows, carry=[first]) as row:
        with w.loop(ZERO, length, step=LINE) as line:
            w.prefetch(w.gep("i8", row.carried[0], line.index), stored)
        row.next = [w.gep("i8", row.carried[0], pitch)]
    w.do("ret void")
    header = f"define hidden void @{name}({first}, {rows}, {pitch}, {length}) nounwind noinline uwtable {{"
    return "\n".join([header, "entry:", *w.lines, "}"])


def _touched(context: EmitContext, contract: Contract) -> Iterator[tuple[tuple[str, Expr], bool]]:
    """Where the epilogue goes: ((buffer, offset of the element), whether it is stored to), stores last."""
    touched: list[Load | Store] = [
        e for root in expressions_in(contract.body) for e in walk(root) if isinstance(e, Load)
    ]
    touched += [s for s in contract.body if isinstance(s, Store)]
    for access in touched:
        offset = offset_of(context.buffers[access.buffer].buffer, access.index)
        plain = not any(isinstance(e, Load) for e in walk(offset))
        evenly = slope(offset, contract.m.axis) is not None and slope(offset, contract.n.axis) == index_constant(1)
        if plain and contract.m.axis in names_in(offset) and evenly:
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

"""Inside a vector loop: folds and loops that run along memory, where the lanes run across it. Rows are in the lanes.

A fold of x[i, r] over r, with i in the lanes, takes blocks of its terms and exchanges their rows and columns. A loop
that stores y[i, j], with i in the lanes, runs row by row, with j in the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphnn.lower.ir import Fold, For, Let, Store
from graphnn.schedule.affine import known_extent
from graphnn.schedule.statements import accesses
from graphnn.simplify.expr import Expr, Load, Op, children
from graphnn.simplify.once import once

FEWEST = 4  # terms: below, exchanging rows and columns costs more than loads lane by lane

Stride = Callable[[str, tuple[Expr, ...], str], int | None]  # of an access along an axis: 0, 1, or None for any other


@once("_blocks")
def block_loads(fold: Fold) -> tuple[Load, ...]:
    """The loads that blocks of a fold's terms may begin with; none where terms are guarded, or few."""
    length = known_extent(fold.ranges[-1])
    if fold.guard is not None or (length is not None and length < FEWEST):
        return ()
    return tuple(dict.fromkeys(always_loaded(fold.value)))


def crosses(stride: Stride, buffer: str, index: tuple[Expr, ...], along: str, lanes: str) -> bool:
    """Whether an access runs along memory with axis `along`, and by other distances with the lanes."""
    return stride(buffer, index, along) == 1 and stride(buffer, index, lanes) is None


def runs_by_rows(loop: For, stride: Stride, lanes: str) -> bool:
    """Whether a loop in vector code may, and should, run with its own axis in the lanes, for one lane after the other.

    Its statements are plain, what it stores lies along memory and is touched at one index alone, and all loads follow
    the axis or do not move with it. An access of it goes across the lanes.
    """
    if not all(isinstance(s, Let | Store) for s in loop.body):
        return False
    found = accesses(loop.body)
    stored = {a.buffer: a.index for a in found if a.writes}
    return (
        all(stride(buffer, index, loop.axis) == 1 for buffer, index in stored.items())
        and all(a.index == stored.get(a.buffer, a.index) for a in found)
        and all(stride(a.buffer, a.index, loop.axis) in (0, 1) for a in found)
        and any(crosses(stride, a.buffer, a.index, loop.axis, lanes) for a in found)
    )


def always_loaded(expr: Expr) -> Iterator[Load]:
    """The loads that evaluating `expr` always does: those of an arm of a select may be out of range elsewhere."""
    if isinstance(expr, Load):
        yield expr
    taken = expr.args[:1] if isinstance(expr, Op) and expr.fn == "select" else children(expr)
    for part in taken:
        yield from always_loaded(part)

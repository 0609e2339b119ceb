"""How many cache lines a contraction fetches from beyond the second-level cache, the loops around it included."""

from __future__ import annotations

from collections.abc import Sequence

from graphnn.lower.ir import Contract
from graphnn.schedule.cost import DEEP_ROWS, FAR_LINES, CostModel, is_deep, lines_touched
from graphnn.schedule.extents import volume
from graphnn.simplify.expr import Range

FAR = 4  # such a line, beyond what it costs to come from the second level
ROWS, VECTORS = 14, 2  # a typical register tile where operands come from the second level
DOT_ROWS, DOT_COLUMNS = 6, 4  # the same with terms in the lanes


def far_lines(outer: Sequence[Range], c: Contract, model: CostModel) -> float:
    """The lines of both factors that come from the third level or from memory.

    From the tile outwards, each loop has whole, as long as both factors stay; then each iteration fetches what the one
    before it did not touch; and once a factor has been driven out, all of it, again in each iteration of the loops
    further out.
    """
    rows, columns = (ROWS, VECTORS * model.lanes(c.body)) if c.lanes == 1 else (DOT_ROWS, DOT_COLUMNS)
    if is_deep(c):
        rows = DEEP_ROWS
    factors = model.dimensions(c.a), model.dimensions(c.b)
    extents = {r.axis: volume((r,)) for r in c.k} | dict.fromkeys((r.axis for r in outer), 1.0)
    counts = [(r.axis, volume((r,))) for r in outer]
    for own, step in ((c.n, columns), (c.m, rows)):
        extent = volume((own,))
        counts.append((own.axis, -(-extent // step)))
        extents[own.axis] = min(float(step), extent)

    here = [lines_touched(f, extents) for f in factors]
    fetched, stays = list(here), [True, True]
    whole, fits = True, sum(here) <= FAR_LINES
    for axis, count in reversed(counts):
        before = extents[axis]
        if whole and fits:
            extents[axis] = before * count
            every = [lines_touched(f, extents) for f in factors]
            if sum(every) <= FAR_LINES:
                here = fetched = every
                continue
            whole = False
        extents[axis] = before * min(count, 2.0)
        more = [lines_touched(f, extents) - lines for f, lines in zip(factors, here, strict=True)]
        extents[axis] = before
        fits = fits and sum(here) + sum(more) <= FAR_LINES
        for side in (0, 1):
            if fits and stays[side]:
                fetched[side] += (count - 1) * more[side]
                stays[side] = not more[side]
            else:
                fetched[side] *= count
                stays[side] = False
    return sum(fetched)

"""Which register tiles cover a contraction: chosen by extents, from a budget of vector registers.

    784 rows x 128 columns, 16 lanes, 32 registers  ->  heights 14, widths of 2 vectors
    64 rows x 128 columns                           ->  heights 6 and 4, widths of 4 vectors
    33 rows x 10 columns                            ->  heights 11, widths of 1 masked vector

A cover is a product of two ladders: at every row the largest height that still fits is taken, at every column
the first width that fits. Every element gets the same chain of multiply-adds whichever tile computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

# Multiply-adds in flight that hide their latency: 4 cycles, two units (Zen 4 and 5, Golden Cove, Neoverse V2).
IN_FLIGHT = 8
# Rows past 16 save less than one load in 16, and their addresses no longer fit the integer registers.
MAX_ROWS = 16
MAX_VECTORS = 8
# A further tile shape costs 5 to 10 ms of compile time; it must save this part of the work.
SHAPE_COST = 0.01
# A tile's call and the start of its epilogue, in issue slots spread over the terms of a short contraction (64).
CALL_COST = 2
# What a load costs where it is not the bottleneck: it may miss the cache.
LOAD_COST = 0.1

Tile = tuple[int, int, bool]  # rows, vectors, and whether the last vector is masked


@dataclass(frozen=True, slots=True)
class Cover:
    """`heights` (rows) and `widths` (vectors, masked), each from large to small, so that the last one always fits."""

    heights: tuple[int, ...]
    widths: tuple[tuple[int, bool], ...]

    @property
    def tiles(self) -> list[Tile]:
        return [(height, vectors, masked) for height in self.heights for vectors, masked in self.widths]


def _is_new(_: Tile) -> bool:
    return False


def choose_cover(
    rows: int | None,
    columns: int | None,
    lanes: int,
    registers: int,
    exists: Callable[[Tile], bool] = _is_new,
    most: int = MAX_VECTORS,
) -> Cover:
    """The cheapest cover of rows x columns, `lanes` columns to a vector (1 where terms are in the lanes).

    None stands for an extent known at run time only. A constant extent gets exactly the tiles it needs: as many of one
    size as fit, and one of what is left. A tile that `exists` in the module costs no compile time; none is
    wider than `most` vectors.
    """
    known = cache(exists)
    tall, wide = dict[tuple[int, ...], int](), dict[tuple[tuple[int, bool], ...], int]()
    for height in range(1, MAX_ROWS + 1):
        tall.setdefault(_heights(height, rows), height)  # further ones are cut to the same
    for vectors in range(1, most + 1):
        wide.setdefault(_widths(vectors, columns, lanes), vectors)
    candidates = [
        Cover(heights, widths)
        for widths, vectors in wide.items()
        for heights, height in tall.items()
        if fits(height, vectors, registers)
    ]
    return min(candidates, key=lambda cover: _cost(cover, rows, columns, lanes, known))


def fits(height: int, vectors: int, registers: int) -> bool:
    """Whether accumulators, a row of b and two spare registers (a broadcast, the mask's result) fit."""
    return height * vectors + vectors + 2 <= registers


def _heights(height: int, rows: int | None) -> tuple[int, ...]:
    """As many of `height` as fit, then the rest in one; at run time the rest goes by thirds: 14, 4, 1."""
    if rows is not None:
        return tuple(size for size in (min(height, rows), rows % height if rows > height else 0) if size) or (1,)
    heights = [height]
    while heights[-1] > 1:
        heights.append(max(1, heights[-1] // 3))
    return tuple(heights)


def _widths(vectors: int, columns: int | None, lanes: int) -> tuple[tuple[int, bool], ...]:
    """As many of `vectors` as are full, then the rest; at run time the rest goes by single masked vectors."""
    if columns is None:
        return ((vectors, False), (1, lanes > 1))
    full, rest = divmod(columns, vectors * lanes)
    widths = ((vectors, False),) if full else ()
    return (*widths, (-(-rest // lanes), rest % lanes > 0)) if rest else widths or ((1, lanes > 1),)


def _cost(cover: Cover, rows: int | None, columns: int | None, lanes: int, exists: Callable[[Tile], bool]) -> float:
    """Multiply-add slots that the cover takes for one term, over those that the extents need."""
    # A long extent stands for an unknown one: its tails weigh little, but 14 rows still beat 13.
    heights = _parts(rows or 1000, cover.heights)
    widths = _parts(columns or 1000, [vectors * lanes for vectors, _ in cover.widths])
    slots = sum(
        tall * wide * (_slots(height, vectors) + CALL_COST)
        for height, tall in zip(cover.heights, heights, strict=True)
        for (vectors, _), wide in zip(cover.widths, widths, strict=True)
    )
    return slots * (1 + SHAPE_COST * sum(not exists(tile) for tile in cover.tiles))


def _parts(extent: int, sizes: Sequence[int]) -> list[int]:
    """How often each size is taken along an extent; the last one takes what is left, whole or not."""
    counts = []
    for size in sizes[:-1]:
        counts.append(extent // size)
        extent %= size
    return [*counts, -(-extent // sizes[-1])]


def _slots(height: int, vectors: int) -> float:
    """Issue slots of one term: its multiply-adds, its loads (as many units), or the latency of one chain."""
    loads = height + vectors
    return max(height * vectors, loads, IN_FLIGHT) + LOAD_COST * loads

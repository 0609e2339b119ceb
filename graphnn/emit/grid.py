"""The part of a contraction's tiles that one thread runs, and how many parts each thread gets."""

from __future__ import annotations

from dataclasses import dataclass

from graphnn.emit.writer import Value, Writer, constant

ZERO, ONE = constant("i64", 0), constant("i64", 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles of full height and width, counted down the rows of a column of tiles, then down those of the next one.

    One thread runs those from `first` to `last`, whole columns but for its first and its last one. A ragged end counts
    as one tile. Where one column, or one row of tiles, is known to be all, shares are cut along the other axis alone.
    """

    w: Writer
    extents: tuple[Value, Value]
    tile: tuple[Value, Value]
    tall: Value  # tiles of a column, at least 1
    wide: Value  # columns of tiles
    first: Value
    last: Value

    @classmethod
    def of(
        cls, w: Writer, thread: Value, threads: Value, m_extent: Value, n_extent: Value, height: int, width: int
    ) -> Grid:
        tile = constant("i64", height), constant("i64", width)
        tall, wide = (
            w.binary("udiv", w.binary("add", extent, constant("i64", size - 1)), constant("i64", size))
            for extent, size in ((m_extent, height), (n_extent, width))
        )
        first, last = stretch(w, w.binary("mul", tall, wide), thread, threads)
        tall = w.intrinsic("umax.i64", "i64", tall, ONE)
        return cls(w, (m_extent, n_extent), tile, tall, wide, first, last)

    def columns(self) -> tuple[Value, Value]:
        """The first column that has a tile of this thread, and the one behind the last."""
        w = self.w
        if self.wide == ONE and self.tall != ONE:
            return ZERO, self.extents[1]
        behind = w.binary("add", self.last, w.binary("sub", self.tall, ONE))
        start, stop = (w.binary("mul", w.binary("udiv", t, self.tall), self.tile[1]) for t in (self.first, behind))
        return start, w.intrinsic("umin.i64", "i64", stop, self.extents[1])

    def rows(self, column: Value) -> tuple[Value, Value]:
        """The rows of this thread's tiles in the column of tiles that `column` lies in."""
        w = self.w
        if self.tall == ONE:
            return ZERO, self.extents[0]
        before = ZERO
        if self.wide != ONE:
            before = w.binary("mul", w.binary("udiv", column, self.tile[1]), self.tall)
        start = w.intrinsic("smax.i64", "i64", w.binary("sub", self.first, before), ZERO)
        stop = w.binary("sub", self.last, before)
        start, stop = (w.binary("mul", tiles, self.tile[0]) for tiles in (start, stop))
        return start, w.intrinsic("smin.i64", "i64", stop, self.extents[0])


def stretch(w: Writer, parts: Value, thread: Value, threads: Value) -> tuple[Value, Value]:
    """The parts of one thread among `parts`: first and behind the last; neighbours differ by one part at most."""
    first, last = (w.binary("udiv", w.binary("mul", parts, t), threads) for t in (thread, w.binary("add", thread, ONE)))
    return first, last

"""A contraction of one row with a matrix from memory -> LLVM: a walk along a few of its rows at a time.

    for chain in terms                                  at most CHAIN of them
      for t in chain                                    the next row of each stream
        for n in columns: sums[n] += sum over q of a[t, q]*b[t, q, n]
      totals += sums
    for n in columns: body

A register tile would take a few vectors of each row of b and come back for the next ones when the row has left the
cache; its accumulators here go through the first-level cache instead, and b comes as it lies in memory. Each element's
multiply-adds and their order are those of the tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphnn.emit.chains import ELEMENT
from graphnn.emit.register_tile import TileOperands, lane_mask
from graphnn.emit.writer import Value, Writer, constant, mangle, vector_type
from graphnn.lower.ir import CHAIN
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import Const, DType, Expr

MOST = 8  # streams that the prefetchers of a core follow
VECTORS = 2  # lines of a row at a time
BLOCK = 4096  # columns whose sums stay in the first-level cache: 16 KB of float32, and as much for the totals
ZERO = constant("i64", 0)

Levels = Sequence[tuple[Expr, Expr, Expr]]  # extent, stride of a, stride of b


def is_stream(rows: Expr, columns: Expr, levels: Levels) -> bool:
    """Whether terms are whole rows of b one after the other, in a few streams that lie further apart."""
    if len(levels) != 2 or not (isinstance(rows, Const) and rows.value == 1) or not isinstance(columns, Const):
        return False
    (_, _, row), (streams, _, apart) = levels
    if not isinstance(streams, Const) or not isinstance(apart, Const):
        return False
    count = int(streams.value)
    return row == columns and 1 < count <= MOST and CHAIN % count == 0 and apart.value > columns.value


@dataclass(frozen=True, slots=True)
class Stream:
    """The sums of columns `first`, ..., `first + count - 1`, at most BLOCK of them, on the stack."""

    w: Writer
    dtype: DType
    lanes: int
    streams: int
    operands: TileOperands
    sums: Value
    totals: Value

    @classmethod
    def of(cls, w: Writer, dtype: DType, lanes: int, streams: int, operands: TileOperands) -> Stream:
        sums, totals = (w.alloca(ELEMENT[dtype], BLOCK, lanes * BYTES[dtype]) for _ in range(2))
        return cls(w, dtype, lanes, streams, operands, sums, totals)

    @property
    def type(self) -> str:
        return vector_type(ELEMENT[self.dtype], self.lanes)

    def write(self, first: Value, count: Value) -> None:
        """Leave the sums of all terms in `totals`."""
        w, rows = self.w, self.operands.levels[0].extent
        start = self._at(self.operands.b, first)
        # One chain even of no terms: the sum over nothing is 0 and has to be written.
        bound = w.intrinsic("smax.i64", "i64", rows, constant("i64", 1))
        with w.loop(ZERO, bound, step=CHAIN // self.streams) as chain:
            with w.loop(ZERO, count, step=self.lanes) as n:
                self._store(constant(self.type, 0.0), self._at(self.sums, n.index))
            stop = w.intrinsic("smin.i64", "i64", rows, w.binary("add", chain.index, chain.step))
            with w.loop(chain.index, stop) as row:
                self._row(row.index, start, count)
            with w.loop(ZERO, count, step=self.lanes) as n:
                total, new = self._at(self.totals, n.index), self._load(self._at(self.sums, n.index))
                added = w.binary("fadd", self._load(total), new)
                self._store(w.select(w.compare("icmp eq", chain.index, ZERO), new, added), total)

    def _row(self, row: Value, start: Value, count: Value) -> None:
        """One term of each stream more, in every column."""
        w, (outer, inner) = self.w, self.operands.levels
        factors, rows = [], []
        for q in range(self.streams):
            place = [
                w.binary("add", w.binary("mul", row, o), w.binary("mul", i, constant("i64", q)))
                for o, i in ((outer.a_stride, inner.a_stride), (outer.b_stride, inner.b_stride))
            ]
            element = ELEMENT[self.dtype]
            a = w.ins(element, f"load {element}, {self._at(self.operands.a, place[0])}, align {BYTES[self.dtype]}")
            factors.append(w.splat(a, self.lanes))
            rows.append(self._at(start, place[1]))
        step = VECTORS * self.lanes
        whole = w.binary("and", count, constant("i64", -step))
        with w.loop(ZERO, whole, step=step) as n:
            self._columns(n.index, factors, rows, VECTORS, None)
        with w.loop(whole, count, step=self.lanes) as n:
            self._columns(n.index, factors, rows, 1, lane_mask(w, w.binary("sub", count, n.index), self.lanes))

    def _columns(
        self, n: Value, factors: Sequence[Value], rows: Sequence[Value], vectors: int, mask: Value | None
    ) -> None:
        """The terms of some vectors of columns: stream by stream, which is the order of the sum."""
        w = self.w
        places = [w.binary("add", n, constant("i64", v * self.lanes)) for v in range(vectors)]
        cells = [self._at(self.sums, place) for place in places]
        sums = [self._load(cell) for cell in cells]
        for factor, row in zip(factors, rows, strict=True):
            sums = [
                w.fma(factor, self._load_b(self._at(row, place), mask), total)
                for place, total in zip(places, sums, strict=True)
            ]
        for cell, total in zip(cells, sums, strict=True):
            self._store(total, cell)

    def _at(self, base: Value, offset: Value) -> Value:
        return self.w.gep(ELEMENT[self.dtype], base, offset)

    def _load(self, cell: Value) -> Value:
        return self.w.ins(self.type, f"load {self.type}, {cell}, align {self.lanes * BYTES[self.dtype]}")

    def _store(self, value: Value, cell: Value) -> None:
        self.w.do(f"store {value}, {cell}, align {self.lanes * BYTES[self.dtype]}")

    def _load_b(self, address: Value, mask: Value | None) -> Value:
        align = BYTES[self.dtype]
        if mask is None:
            return self.w.ins(self.type, f"load {self.type}, {address}, align {align}")
        rest = (Value("i32", str(align)), mask, Value(self.type, "zeroinitializer"))
        return self.w.intrinsic(f"masked.load.{mangle(self.type)}.p0", self.type, address, *rest)

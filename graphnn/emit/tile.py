"""Contract -> LLVM: register tiles over (m, n), and the epilogue over each tile's sums.

    for n0 in columns, by the width that fits          } a tile's rows of b are read by all m0 in a row,
      for m0 in rows, by the height that fits          } so they stay in the second-level cache
        call the tile of that height and width           its sums land in a stack tile of some 2 KB
        for n in n0 .. n0+width, m in m0 .. m0+height    body, n in the lanes, the last vector masked

The epilogue stands in the code once (and once more for ragged vectors), whatever tile shapes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphnn.emit.access import names_in, offset_of, product, slope, total, written_by
from graphnn.emit.chains import ELEMENT, Level, TileShape
from graphnn.emit.environment import Mask
from graphnn.emit.grid import Grid
from graphnn.emit.prefetch import meets_weights, prefetch_epilogue
from graphnn.emit.register_tile import TileOperands, call_tile, lane_mask, tile_function
from graphnn.emit.stream import BLOCK, VECTORS, Stream, is_stream
from graphnn.emit.tile_shape import MAX_VECTORS, Cover, Tile, choose_cover
from graphnn.emit.writer import Value, Writer, constant, vector_type
from graphnn.errors import CompileError
from graphnn.lower.affine import affine
from graphnn.lower.ir import CHAIN, Contract
from graphnn.schedule.cost import is_deep
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import Const, Expr, Load, Op, Range, Size, index_constant, place_axes, text

if TYPE_CHECKING:
    from graphnn.emit.loops import EmitContext  # it dispatches to this module

ZERO, ONE = constant("i64", 0), constant("i64", 1)
AHEAD = 32  # terms: 16 x 9216 x 4096 takes 9.3 ms, with 16 10.2, with 8 11.4, without 13.1
DEEP_VECTORS = 3  # more of a row at once, and rows a power of two apart put each other out of the second-level cache


def emit_contract(context: EmitContext, contract: Contract) -> None:
    """Emit a Contract; see the loop IR for its meaning.

    `a` and `b` are Loads whose offsets are affine in m, n and k, b's with unit stride along n, or with terms in the
    lanes both with unit stride along the last range of k; the body stores to neither. All extents may be zero. Raises
    CompileError where that does not hold: schedule a packing copy.
    """
    if context.lanes != 1:
        raise CompileError(f"contraction {contract.name}: stands inside a vector loop; its own lanes run along n")
    _Contraction(context, contract).emit()


def extent_of(axis: Range) -> Expr:
    """How many values an axis takes, never negative.

    64*g <= i0 < 64*g + 64  ->  64;    0 <= i0 < N  ->  N;    2 <= i0 < N  ->  max(N - 2, 0)
    """
    extent = affine(axis.hi).plus(affine(axis.lo), -1).expr()
    match extent:
        case Const(value=value):
            return index_constant(max(0, int(value)))
        case Size():
            return extent
    return Op("max", (extent, index_constant(0)), "int64")


@dataclass(frozen=True, slots=True)
class Span:
    """first, first + 1, ..., first + count - 1."""

    first: Value
    count: Value


class _Contraction:
    """One Contract under emission: its operands' offsets as expressions, its extents as values."""

    def __init__(self, context: EmitContext, contract: Contract) -> None:
        self.context, self.contract, self.w = context, contract, context.writer
        if contract.a.dtype != contract.b.dtype or contract.a.dtype not in ELEMENT:
            raise self._error(f"factors of {contract.a.dtype} and {contract.b.dtype}, not of one floating dtype")
        self.dtype = contract.a.dtype
        self.lanes = context.target.lanes(self.dtype)
        self.dot = contract.lanes > 1
        self.columns = 1 if self.dot else self.lanes  # of one accumulator
        self.element = ELEMENT[self.dtype]
        self.a, self.b = self._offset(contract.a), self._offset(contract.b)
        along = contract.k[-1] if self.dot else contract.n
        for factor, offset in ((contract.a, self.a), (contract.b, self.b))[0 if self.dot else 1 :]:
            if self._slope(offset, factor, along) != index_constant(1):
                raise self._error(f"{text(factor)} does not have unit stride along {along.axis}")
        for factor, offset, other in ((contract.a, self.a, contract.n), (contract.b, self.b, contract.m)):
            if other.axis in names_in(offset):
                raise self._error(f"{text(factor)} depends on {other.axis}")
        self.changed = written_by(contract.body)

    def _error(self, reason: str) -> CompileError:
        return CompileError(f"contraction {self.contract.name}: {reason}")

    def _offset(self, factor: Expr) -> Expr:
        """Where an operand's element lies, in elements from the buffer's first."""
        if not isinstance(factor, Load):
            raise self._error(f"{text(factor)} is not a Load; store it to a temp first")
        if f"@{factor.buffer}" in written_by(self.contract.body):
            raise self._error(f"its epilogue stores to {factor.buffer}, which it still reads")
        return offset_of(self.context.buffers[factor.buffer].buffer, factor.index)

    def _slope(self, offset: Expr, factor: Expr, axis: Range) -> Expr:
        stride = slope(offset, axis.axis)
        if stride is None:
            raise self._error(f"{text(factor)} is not affine in {axis.axis}")
        return stride

    def _base(self, factor: Expr, offset: Expr) -> Value:
        """The address of an operand's element at the start of all ranges."""
        assert isinstance(factor, Load)
        c = self.contract
        start = place_axes(offset, {r.axis: r.lo for r in (c.m, c.n, *c.k)})
        return self.w.gep(self.element, self.context.buffers[factor.buffer].base, self.context.value(start))

    def _levels(self) -> list[tuple[Expr, Expr, Expr]]:
        """(extent, stride of a, stride of b) of each reduced axis, neighbours that run on merged into one.

        r0 < 3 (stride 8), r1 < 8 (stride 1)  ->  one level of extent 24, stride 1
        With terms in the lanes the last axis counts vectors: r1 < 64 (stride 1)  ->  extent 4, stride 16.
        """
        c = self.contract
        levels: list[tuple[Expr, Expr, Expr]] = []
        for r in reversed(c.k):
            extent = extent_of(r)
            strides = self._slope(self.a, c.a, r), self._slope(self.b, c.b, r)
            if self.dot and not levels:
                step = index_constant(c.lanes)
                strides, extent = (step, step), index_constant((_known(extent) or 0) // c.lanes)
            if extent == index_constant(1) and (levels or not self.dot):
                continue
            if levels and strides == tuple(product(levels[0][0], stride) for stride in levels[0][1:]):
                levels[0] = (product(extent, levels[0][0]), *levels[0][1:])
            else:
                levels.insert(0, (extent, *strides))
        return levels or [(index_constant(1), index_constant(0), index_constant(0))]

    def _check_bounds(self, factor: Expr, operands: TileOperands, extents: Sequence[Value]) -> None:
        """In debug mode: an affine index is extreme at corners of the ranges, so two checks do for all terms.

        A stride that is no constant is a size or a product of sizes, so it is not negative.
        """
        if self.context.checks is None:
            return
        assert isinstance(factor, Load)
        c, w = self.contract, self.w
        for largest in (False, True):
            corner = []
            for position in factor.index:
                ends: dict[str, Expr] = {}
                for r in (c.m, c.n, *c.k):
                    stride = self._slope(position, factor, r)
                    rises = not (isinstance(stride, Const) and stride.value < 0)
                    ends[r.axis] = total(r.hi, index_constant(-1)) if rises == largest else r.lo
                corner.append(place_axes(position, ends))
            some = w.compare("icmp sgt", operands.terms, ZERO)
            for extent in extents:
                some = w.binary("and", some, w.compare("icmp sgt", extent, ZERO))
            with w.when(some), self.context.scope():
                self.context.check_bounds(factor.buffer, tuple(corner))

    def _operands(self) -> TileOperands:
        """The operands of the tile at row and column 0."""
        w, c = self.w, self.contract
        levels = tuple(Level(*map(self.context.value, level)) for level in self._levels())
        terms = ONE
        for level in levels:
            terms = w.binary("mul", terms, level.extent)
        a_row = self.context.value(self._slope(self.a, c.a, c.m))
        b_column = self.context.value(self._slope(self.b, c.b, c.n))
        a, b = self._base(c.a, self.a), self._base(c.b, self.b)
        return TileOperands(a, a_row, b, b_column, ZERO, terms, levels)

    def emit(self) -> None:
        """The loops over tiles."""
        w, c, context = self.w, self.contract, self.context
        m_extent, n_extent = context.value(extent_of(c.m)), context.value(extent_of(c.n))
        m_first, n_first = context.value(c.m.lo), context.value(c.n.lo)
        operands = self._operands()
        for factor in (c.a, c.b):
            self._check_bounds(factor, operands, (m_extent, n_extent))
        levels = self._levels()
        if not self.dot and is_stream(extent_of(c.m), extent_of(c.n), levels):
            self._stream(operands, _known(levels[1][0]) or 1, m_extent, n_extent)
            return
        deep = len(levels) == 1 and (is_deep(c) or meets_weights(context, c))
        cover = self._cover(len(levels), deep)
        if deep:
            self._by_chains(operands, cover, m_extent, n_extent)
            return
        widths = [vectors * self.columns for vectors, _ in cover.widths]
        ragged = any(size % self.lanes for size in (_known(extent_of(c.n)) or 1, *widths))
        # A ragged row's last vector reaches beyond it.
        sums = w.alloca(self.element, max(cover.heights) * max(widths) + self.lanes + c.lanes, self._align())
        tiles = self._functions(cover, len(levels))
        grid = self._grid(m_extent, n_extent, cover.heights[0], widths[0])
        n_start, n_stop = (ZERO, n_extent) if grid is None else grid.columns()
        with w.loop(n_start, n_stop, step=widths[-1]) as columns, context.scope(self.changed):
            left = w.binary("sub", n_extent, columns.index)
            columns.step, last, tall = self._of_width(cover, tiles, left)
            count = self._count(cover, left, columns.step)
            b = w.gep(self.element, operands.b, w.binary("mul", columns.index, operands.b_column))
            m_start, m_stop = (ZERO, m_extent) if grid is None else grid.rows(columns.index)
            with w.loop(m_start, m_stop, step=cover.heights[-1]) as rows, context.scope(self.changed):
                rows.step, tile = pick(w, w.binary("sub", m_extent, rows.index), cover.heights, tall)
                a = w.gep(self.element, operands.a, w.binary("mul", rows.index, operands.a_row))
                m = Span(w.binary("add", m_first, rows.index), rows.step)
                n = Span(w.binary("add", n_first, columns.index), count)
                prefetch_epilogue(context, c, m, n)
                call_tile(w, tile, replace(operands, a=a, b=b, columns=last), sums)
                self._epilogue(m, n, columns.step, sums, ragged)

    def _stream(self, operands: TileOperands, streams: int, m_extent: Value, n_extent: Value) -> None:
        """The one row as a walk along the rows of b, in blocks of columns."""
        w, c, context = self.w, self.contract, self.context
        stream = Stream.of(w, self.dtype, self.lanes, streams, operands)
        grid = self._grid(m_extent, n_extent, 1, VECTORS * self.lanes)
        n_start, n_stop = (ZERO, n_extent) if grid is None else grid.columns()
        first = context.value(c.n.lo)
        row = Span(context.value(c.m.lo), ONE)
        with w.loop(n_start, n_stop, step=BLOCK) as block, context.scope(self.changed):
            count = w.intrinsic("smin.i64", "i64", w.binary("sub", n_stop, block.index), constant("i64", BLOCK))
            stream.write(block.index, count)
            columns = Span(w.binary("add", first, block.index), count)
            ragged = (_known(extent_of(c.n)) or 1) % self.lanes > 0
            self._epilogue(row, columns, constant("i64", BLOCK), stream.totals, ragged)

    def _by_chains(self, operands: TileOperands, cover: Cover, m_extent: Value, n_extent: Value) -> None:
        """Few rows and a b that no cache holds: all rows of a column of tiles for one chain, then for the next.

        What the first rows bring from memory the others find in cache. Each element's chains and their order stay.
        """
        w, c, context = self.w, self.contract, self.context
        rows = _known(extent_of(c.m)) or 1
        widths = [vectors * self.columns for vectors, _ in cover.widths]
        fresh = w.alloca(self.element, max(cover.heights) * max(widths), self._align())
        sums = w.alloca(self.element, rows * max(widths) + self.lanes, self._align())
        grid = self._grid(m_extent, n_extent, rows, widths[0])
        n_start, n_stop = (ZERO, n_extent) if grid is None else grid.columns()
        (level,) = operands.levels
        tiles = self._functions(cover, 1, AHEAD)
        with w.loop(n_start, n_stop, step=widths[-1]) as columns, context.scope(self.changed):
            left = w.binary("sub", n_extent, columns.index)
            columns.step, last, tall = self._of_width(cover, tiles, left)
            count = self._count(cover, left, columns.step)
            b = w.gep(self.element, operands.b, columns.index)
            with w.loop(ZERO, operands.terms, step=CHAIN) as chain:
                terms = w.intrinsic("smin.i64", "i64", w.binary("sub", operands.terms, chain.index), chain.step)
                a, b_here = (
                    w.gep(self.element, base, w.binary("mul", chain.index, stride))
                    for base, stride in ((operands.a, level.a_stride), (b, level.b_stride))
                )
                with w.loop(ZERO, m_extent, step=cover.heights[-1]) as row:
                    row.step, tile = pick(w, w.binary("sub", m_extent, row.index), cover.heights, tall)
                    a_here = w.gep(self.element, a, w.binary("mul", row.index, operands.a_row))
                    call_tile(w, tile, replace(operands, a=a_here, b=b_here, columns=last, terms=terms), fresh)
                    total = w.gep(self.element, sums, w.binary("mul", row.index, columns.step))
                    new = w.compare("icmp eq", chain.index, ZERO)
                    self._add(fresh, total, w.binary("mul", row.step, columns.step), new)
            m, n = (
                Span(context.value(c.m.lo), m_extent),
                Span(w.binary("add", context.value(c.n.lo), columns.index), count),
            )
            ragged = any(size % self.lanes for size in (_known(extent_of(c.n)) or 1, *widths))
            self._epilogue(m, n, columns.step, sums, ragged)

    def _add(self, chain: Value, total: Value, count: Value, new: Value) -> None:
        """Add the sums of a chain to those of the chains before it; where it is `new`, the first, there are none."""
        w, type_ = self.w, vector_type(self.element, self.lanes)
        with w.loop(ZERO, count, step=self.lanes) as at:
            cells = [w.gep(self.element, base, at.index) for base in (chain, total)]
            sums, before = (w.ins(type_, f"load {type_}, {cell}, align {self._align()}") for cell in cells)
            value = w.select(new, sums, w.binary("fadd", before, sums))
            w.do(f"store {value}, {cells[1]}, align {self._align()}")

    def _grid(self, m_extent: Value, n_extent: Value, height: int, width: int) -> Grid | None:
        """The tiles of this thread, where a kernel is divided along them."""
        if self.context.team is None:
            return None
        return Grid.of(self.w, *self.context.team, m_extent, n_extent, height, width)

    def _cover(self, depth: int, deep: bool) -> Cover:
        """The tiles of this contraction, if possible those that others of the module have written already."""
        rows, columns = (_known(extent_of(r)) for r in (self.contract.m, self.contract.n))

        def exists(tile: Tile) -> bool:
            return self._shape(*tile, AHEAD if deep else 0).name(depth) in self.w.module.shared

        most = DEEP_VECTORS if deep else MAX_VECTORS
        return choose_cover(rows, columns, self.columns, self.context.target.vector_registers, exists, most)

    def _shape(self, rows: int, vectors: int, masked: bool, ahead: int = 0) -> TileShape:
        lanes = self.contract.lanes if self.dot else self.lanes
        return TileShape(self.dtype, lanes, rows, vectors, masked, self.dot, ahead)

    def _align(self) -> int:
        """The bytes to which the sums of a tile are aligned."""
        return max(self.context.target.vector_bytes, self.contract.lanes * BYTES[self.dtype])

    def _functions(self, cover: Cover, depth: int, ahead: int = 0) -> list[list[Value]]:
        """The tiles of a cover: for each height those of all widths."""
        module = self.w.module
        return [
            [tile_function(module, self._shape(rows, *width, ahead), depth) for width in cover.widths]
            for rows in cover.heights
        ]

    def _of_width(
        self, cover: Cover, tiles: Sequence[Sequence[Value]], left: Value
    ) -> tuple[Value, Value, Sequence[Value]]:
        """The width of the next tile where so many columns are `left`, what its last vector has of them, its tiles."""
        before = [constant("i64", (vectors - 1) * self.columns) for vectors, _ in cover.widths]
        widths = [vectors * self.columns for vectors, _ in cover.widths]
        width, passed, *tall = pick(self.w, left, widths, before, *tiles)
        return width, self.w.binary("sub", left, passed) if cover.widths[-1][1] else ZERO, tall

    def _count(self, cover: Cover, left: Value, width: Value) -> Value:
        """How many of a tile's columns there are."""
        masked = cover.widths[-1][1]
        return self.w.intrinsic("smin.i64", "i64", left, width) if masked else width

    def _epilogue(self, rows: Span, columns: Span, pitch: Value, sums: Value, ragged: bool) -> None:
        """The body at every vector and row of a tile whose sums lie row after row, `pitch` elements apart.

        `ragged` rows may end in the middle of a vector.

        Rows run inside: the masked store of a ragged row's end and the load of the next row's start, 64 bytes each,
        overlap in memory, and next to each other the load waits for the store (784 x 30, 10 terms: 10.9 us, so 7.1).
        """
        w, context, lanes = self.w, self.context, self.lanes
        rest = w.binary("and", columns.count, constant("i64", lanes - 1))
        whole = w.binary("sub", columns.count, rest)
        if whole != ZERO:
            with w.loop(ZERO, whole, step=lanes) as vector, context.scope(self.changed):
                self._rows(rows, columns.first, vector.index, pitch, sums, None)
        if ragged:
            mask = Mask(lane_mask(w, rest, lanes), occupied=True)
            with w.when(w.compare("icmp sgt", rest, ZERO)), context.scope(self.changed):
                self._rows(rows, columns.first, whole, pitch, sums, mask)

    def _rows(self, rows: Span, n_first: Value, offset: Value, pitch: Value, sums: Value, mask: Mask | None) -> None:
        """The statements of the body with the sums of one vector a row, which begins `offset` columns into the tile."""
        w, c, context, type_ = self.w, self.contract, self.context, vector_type(self.element, self.lanes)
        first, n = w.gep(self.element, sums, offset), w.binary("add", n_first, offset)
        with w.loop(ZERO, rows.count) as row, context.axis(c.m.axis, w.binary("add", rows.first, row.index)):
            address = w.gep(self.element, first, w.binary("mul", row.index, pitch))
            align = BYTES[self.dtype] if self.dot else context.target.vector_bytes
            value = w.ins(type_, f"load {type_}, {address}, align {align}")
            with context.scope(self.changed), context.lockstep(c.n.axis, n, self.lanes, mask):
                context.bind(c.name, value)
                context.statements(c.body)


def pick(w: Writer, left: Value, sizes: Sequence[int], *others: Sequence[Value]) -> list[Value]:
    """The first of the descending `sizes` that is at most `left`, the last one in any case.

    With it comes what stands at its place in each of the `others`.
    """
    ladders = [[constant("i64", size) for size in sizes], *others]
    picked = [ladder[-1] for ladder in ladders]
    for position in range(len(sizes) - 2, -1, -1):
        enough = w.compare("icmp sge", left, ladders[0][position])
        picked = [w.select(enough, ladder[position], rest) for ladder, rest in zip(ladders, picked, strict=True)]
    return picked


def _known(extent: Expr) -> int | None:
    """An extent that is a constant; None at run time."""
    return int(extent.value) if isinstance(extent, Const) else None

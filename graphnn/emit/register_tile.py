"""The register tile: one LLVM function that sums a block of a contraction in vector registers.

    out[r, c] = sum over t of a[r, t]*b[t, c]        r < rows, c < vectors*lanes

The accumulators are phi nodes of the loop over the terms, so they never leave the registers. Strides are
arguments, so all contractions of a module share one function a shape. It has no debug location for that reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphnn.emit.target import BYTES
from graphnn.emit.writer import Module, Value, Writer, constant, mangle, vector_type
from graphnn.lower.ir import CHAIN
from graphnn.simplify.expr import DType

ELEMENT: dict[DType, str] = {"float32": "float", "float64": "double"}
ROW_GROUP = 3


@dataclass(frozen=True, slots=True)
class TileShape:
    """`rows` times `vectors` accumulators; with `masked` the last vector may reach past the operand's last column."""

    dtype: DType
    lanes: int
    rows: int
    vectors: int
    masked: bool

    def name(self, depth: int) -> str:
        """The function for `depth` levels of terms: tile.v16f32.14x2.masked.k1"""
        vector = mangle(vector_type(ELEMENT[self.dtype], self.lanes))
        return f"tile.{vector}.{self.rows}x{self.vectors}{'.masked' if self.masked else ''}.k{depth}"


@dataclass(frozen=True, slots=True)
class Level:
    """One reduced axis at run time: its extent, and how far (in elements) a and b lie apart along it."""

    extent: Value
    a_stride: Value
    b_stride: Value


@dataclass(frozen=True, slots=True)
class TileOperands:
    """What a tile reads: a[row*a_row + ...], b[column + ...], `terms` = the product of all levels' extents.

    `levels` go from slowest to fastest; `columns` counts the valid lanes of the last vector of a masked tile.
    """

    a: Value
    a_row: Value
    b: Value
    columns: Value
    terms: Value
    levels: tuple[Level, ...]


def call_tile(w: Writer, shape: TileShape, operands: TileOperands, out: Value) -> None:
    """Call the register tile of `shape`; its function is written into the module on first use.

    `out` receives rows x (vectors*lanes) sums, row after row, aligned to a vector.
    """
    depth = len(operands.levels)
    name = shape.name(depth)
    if name not in w.module.shared:
        w.module.shared[name] = _tile_function(w.module, name, shape, depth)
    arguments = [out, operands.a, operands.a_row, operands.b, operands.columns, operands.terms]
    for level, carry in zip(operands.levels, _carries(w, operands.levels), strict=True):
        arguments += [level.extent, *carry]
    w.do(f"call void @{name}({', '.join(map(str, arguments))})")


def _carries(w: Writer, levels: Sequence[Level]) -> list[tuple[Value, Value]]:
    """How far a and b move on when a level counts up after the level inside it has run through its extent.

    The innermost level just strides: [s0 - e1*s1, s1 - e2*s2, s2].
    """
    carries = []
    for level, inner in zip(levels, [*levels[1:], None], strict=True):
        strides = (level.a_stride, level.b_stride)
        if inner is not None:
            ends = [w.binary("mul", inner.extent, stride) for stride in (inner.a_stride, inner.b_stride)]
            strides = (w.binary("sub", strides[0], ends[0]), w.binary("sub", strides[1], ends[1]))
        carries.append(strides)
    return carries


def _tile_function(module: Module, name: str, shape: TileShape, depth: int) -> str:
    """The text of a tile's function: chains of at most CHAIN terms, made of runs along the innermost level."""
    w = Writer(module)
    out, a, b = (Value("ptr", f"%{p}") for p in ("out", "a", "b"))
    a_row, columns, terms = (Value("i64", f"%{p}") for p in ("a_row", "columns", "terms"))
    levels = [Level(*(Value("i64", f"%{p}{d}") for p in ("extent", "a_step", "b_step"))) for d in range(depth)]
    values = [out, a, a_row, b, columns, terms]
    values += [value for level in levels for value in (level.extent, level.a_stride, level.b_stride)]

    zero = constant("i64", 0)
    tile = _Tile(w, shape, levels, a_row, columns)
    # One chain even of no terms: the sum over nothing is 0 and has to be written.
    bound = w.intrinsic("smax.i64", "i64", terms, constant("i64", 1))
    with w.loop(zero, bound, step=CHAIN, carry=[a, b, *[zero] * (depth - 1)]) as chain:
        left = w.binary("sub", terms, chain.index)
        length = w.intrinsic("smin.i64", "i64", left, constant("i64", CHAIN))
        chain.next, sums = tile.chain(chain.carried, length)
        tile.flush(sums, out, w.compare("icmp eq", chain.index, zero))
    w.do("ret void")
    # Inlined into its only caller, LLVM's passes would take twice as long over it, to no gain.
    header = f"define internal void @{name}({', '.join(map(str, values))}) nounwind noinline {{"
    return "\n".join([header, "entry:", *w.lines, "}"])


class _Tile:
    """Writes the parts of one tile. A position is [a, b, digit...]: two addresses, and how far each level but the
    outermost has counted.
    """

    def __init__(self, w: Writer, shape: TileShape, levels: list[Level], a_row: Value, columns: Value) -> None:
        self.w, self.shape, self.lanes, self.levels = w, shape, shape.lanes, levels
        self.element, self.align = ELEMENT[shape.dtype], BYTES[shape.dtype]
        self.type = vector_type(self.element, shape.lanes)
        self.mask = lane_mask(w, columns, shape.lanes) if shape.masked else None
        self.rows = [w.binary("mul", a_row, constant("i64", r)) for r in range(1, ROW_GROUP + 1)]

    def chain(self, position: list[Value], length: Value) -> tuple[list[Value], list[Value]]:
        """The position after `length` terms, and their sums.

        Each run along the innermost level is a loop of its own: an odometer in the innermost loop would be free in
        cycles, but LLVM's scheduler then spills accumulators (54 GF/s where the run has 110).
        """
        w, zero = self.w, constant("i64", 0)
        sums = [constant(self.type, 0.0)] * (self.shape.rows * self.shape.vectors)
        if len(self.levels) == 1:
            addresses, sums = self._run(position, length, sums)
            return addresses, sums
        with w.loop(zero, length, carry=[*position, *sums]) as runs:
            a, b, *digits = runs.carried[: len(position)]
            room = w.binary("sub", self.levels[-1].extent, digits[-1])
            left = w.binary("sub", length, runs.index)
            runs.step = w.intrinsic("smin.i64", "i64", room, left)
            (a, b), sums = self._run([a, b], runs.step, runs.carried[len(position) :])
            digits[-1] = w.binary("add", digits[-1], runs.step)
            runs.next = [*self._turn(a, b, digits), *sums]
        return runs.results[: len(position)], runs.results[len(position) :]

    def _turn(self, a: Value, b: Value, digits: list[Value]) -> list[Value]:
        """The odometer: every level that has run through its extent starts again, and the next outer one counts."""
        w, zero = self.w, constant("i64", 0)
        for depth in range(len(digits), 0, -1):
            full = w.compare("icmp eq", digits[depth - 1], self.levels[depth].extent)
            digits[depth - 1] = w.select(full, zero, digits[depth - 1])
            outer = self.levels[depth - 1]
            a = w.gep(self.element, a, w.select(full, outer.a_stride, zero))
            b = w.gep(self.element, b, w.select(full, outer.b_stride, zero))
            if depth > 1:
                digits[depth - 2] = w.binary("add", digits[depth - 2], w.convert("zext", full, "i64"))
        return [a, b, *digits]

    def _run(self, addresses: list[Value], length: Value, sums: list[Value]) -> tuple[list[Value], list[Value]]:
        """The addresses after `length` terms along the innermost level, and the sums with these terms."""
        w, inner = self.w, self.levels[-1]
        with w.loop(constant("i64", 0), length, carry=[*addresses, *sums]) as term:
            a, b, *sums = term.carried
            sums = self._multiply_add(a, b, sums)
            term.next = [w.gep(self.element, a, inner.a_stride), w.gep(self.element, b, inner.b_stride), *sums]
        return term.results[:2], term.results[2:]

    def _multiply_add(self, a: Value, b: Value, sums: Sequence[Value]) -> list[Value]:
        """The accumulators with one more term each: a column of a times a row of b."""
        w, vectors = self.w, self.shape.vectors
        right = [self._load_b(b, v) for v in range(vectors)]
        new = []
        for r in range(self.shape.rows):
            # Rows are addressed in groups from the group's first, so that few registers hold their distances.
            if r and r % ROW_GROUP == 0:
                a = w.gep(self.element, a, self.rows[-1])
            address = w.gep(self.element, a, self.rows[r % ROW_GROUP - 1]) if r % ROW_GROUP else a
            left = w.splat(w.ins(self.element, f"load {self.element}, {address}, align {self.align}"), self.lanes)
            new += [w.fma(left, right[v], sums[r * vectors + v]) for v in range(vectors)]
        return new

    def _load_b(self, b: Value, vector: int) -> Value:
        w = self.w
        address = w.gep(self.element, b, constant("i64", vector * self.lanes))
        if self.mask is None or vector < self.shape.vectors - 1:
            return w.ins(self.type, f"load {self.type}, {address}, align {self.align}")
        rest = (Value("i32", str(self.align)), self.mask, Value(self.type, "zeroinitializer"))
        return w.intrinsic(f"masked.load.{mangle(self.type)}.p0", self.type, address, *rest)

    def flush(self, sums: Sequence[Value], out: Value, first: Value) -> None:
        """Write the sums of the first chain, add those of the others."""
        w, number = self.w, self.w.fresh("")
        align = self.align * self.lanes
        cells = [w.gep(self.element, out, constant("i64", k * self.lanes)) for k in range(len(sums))]
        w.branch(first, f"write{number}", f"add{number}")
        w.start(f"write{number}")
        for cell, value in zip(cells, sums, strict=True):
            w.do(f"store {value}, {cell}, align {align}")
        w.jump(f"flushed{number}")
        w.start(f"add{number}")
        for cell, value in zip(cells, sums, strict=True):
            before = w.ins(self.type, f"load {self.type}, {cell}, align {align}")
            w.do(f"store {w.binary('fadd', before, value)}, {cell}, align {align}")
        w.jump(f"flushed{number}")
        w.start(f"flushed{number}")


def lane_mask(w: Writer, count: Value, lanes: int) -> Value:
    """True in the first `count` lanes: lane_mask(3, 4) -> <1, 1, 1, 0>."""
    steps = Value(vector_type("i32", lanes), "<" + ", ".join(f"i32 {k}" for k in range(lanes)) + ">")
    clamped = w.intrinsic("smin.i64", "i64", count, constant("i64", lanes))
    return w.compare("icmp slt", steps, w.splat(w.convert("trunc", clamped, "i32"), lanes))

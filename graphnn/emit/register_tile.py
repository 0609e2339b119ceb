"""The register tile: one LLVM function that sums a block of a contraction in vector registers.

    out[r, c] = sum over t of a[r, t]*b[t, c]        r < rows, c < columns

Columns in the lanes: b is read in vectors along c, each element of a is the same in all lanes. Terms in the lanes
(dot): both are read in vectors along t, whose lanes are added at the end of each chain. Strides are arguments, so all
contractions of a module share one function a shape. It has no debug location for that reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from graphnn.emit.chains import Chains, Level, TileShape
from graphnn.emit.halves import halved
from graphnn.emit.writer import Module, Value, Writer, constant, constants, mangle, vector_type


@dataclass(frozen=True, slots=True)
class TileOperands:
    """What a tile reads: a[row*a_row + ...], b[column*b_column + ...], `terms` = the product of all levels' extents.

    `levels` go from slowest to fastest, the last one in steps of all lanes where terms are in the lanes; `columns`
    counts the valid lanes of the last vector of a masked tile.
    """

    a: Value
    a_row: Value
    b: Value
    b_column: Value
    columns: Value
    terms: Value
    levels: tuple[Level, ...]


def tile_function(module: Module, shape: TileShape, depth: int) -> Value:
    """The register tile of `shape` for `depth` levels of terms, which is written into the module on first use."""
    name = shape.name(depth)
    if name not in module.shared:
        module.shared.add(name)
        module.functions.append(_tile_text(module, name, shape, depth))
    return Value("ptr", f"@{name}")


def call_tile(w: Writer, tile: Value, operands: TileOperands, out: Value) -> None:
    """Call a register tile.

    `out` receives rows x columns sums, row after row, rounded up to whole vectors, and is aligned to one.
    """
    o = operands
    arguments = [out, o.a, o.a_row, o.b, o.b_column, o.columns, o.terms]
    for level, carry in zip(operands.levels, _carries(w, operands.levels), strict=True):
        arguments += [level.extent, *carry]
    w.do(f"call void {tile.ref}({', '.join(map(str, arguments))})")


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


def _tile_text(module: Module, name: str, shape: TileShape, depth: int) -> str:
    """The text of a tile's function."""
    w = Writer(module)
    out, a, b = (Value("ptr", f"%{p}") for p in ("out", "a", "b"))
    a_row, b_column, columns, terms = (Value("i64", f"%{p}") for p in ("a_row", "b_column", "columns", "terms"))
    levels = [Level(*(Value("i64", f"%{p}{d}") for p in ("extent", "a_step", "b_step"))) for d in range(depth)]
    values = [out, a, a_row, b, b_column, columns, terms]
    values += [value for level in levels for value in (level.extent, level.a_stride, level.b_stride)]
    tile: Chains = _Dot(w, shape, levels, a_row, b_column) if shape.dot else _Tile(w, shape, levels, a_row, columns)
    tile.write([a, b, *[constant("i64", 0)] * (depth - 1)], terms, out)
    w.do("ret void")
    # Inlined into its only caller, LLVM's passes would take twice as long over it, to no gain.
    header = f"define hidden void @{name}({', '.join(map(str, values))}) nounwind noinline uwtable {{"
    return "\n".join([header, "entry:", *w.lines, "}"])


class _Tile(Chains):
    """Columns in the lanes: each term is a column of a times a row of b."""

    def __init__(self, w: Writer, shape: TileShape, levels: Sequence[Level], a_row: Value, columns: Value) -> None:
        super().__init__(w, shape, levels)
        self.mask = lane_mask(w, columns, shape.lanes) if shape.masked else None
        self.rows = self.distances(a_row)
        ahead = constant("i64", shape.ahead)
        self.ahead = w.binary("mul", levels[-1].b_stride, ahead) if shape.ahead else None

    def multiply_add(self, a: Value, b: Value, sums: Sequence[Value]) -> list[Value]:
        w, vectors = self.w, self.shape.vectors
        right = [self._load_b(b, v) for v in range(vectors)]
        if self.ahead is not None:
            later = w.gep(self.element, b, self.ahead)
            for v in range(vectors):
                w.prefetch(w.gep(self.element, later, constant("i64", v * self.lanes)), level=2)
        new: list[Value] = []
        for address in self.rows_of(a, self.rows, self.shape.rows):
            left = w.splat(w.ins(self.element, f"load {self.element}, {address}, align {self.align}"), self.lanes)
            new += [w.fma(left, right[v], sums[len(new) + v]) for v in range(vectors)]
        return new

    def _load_b(self, b: Value, vector: int) -> Value:
        w = self.w
        address = w.gep(self.element, b, constant("i64", vector * self.lanes))
        if self.mask is None or vector < self.shape.vectors - 1:
            return w.ins(self.type, f"load {self.type}, {address}, align {self.align}")
        rest = (Value("i32", str(self.align)), self.mask, Value(self.type, "zeroinitializer"))
        return w.intrinsic(f"masked.load.{mangle(self.type)}.p0", self.type, address, *rest)

    def finish(self, sums: Sequence[Value]) -> list[Value]:
        return list(sums)


class _Dot(Chains):
    """Terms in the lanes: each step is a vector of every row of a times one of every column of b."""

    def __init__(self, w: Writer, shape: TileShape, levels: Sequence[Level], a_row: Value, b_column: Value) -> None:
        super().__init__(w, shape, levels)
        self.rows, self.columns = self.distances(a_row), self.distances(b_column)

    def multiply_add(self, a: Value, b: Value, sums: Sequence[Value]) -> list[Value]:
        right = [self._load(address) for address in self.rows_of(b, self.columns, self.shape.vectors)]
        new: list[Value] = []
        for address in self.rows_of(a, self.rows, self.shape.rows):
            left = self._load(address)
            new += [self.w.fma(left, column, sums[len(new) + c]) for c, column in enumerate(right)]
        return new

    def _load(self, address: Value) -> Value:
        return self.w.ins(self.type, f"load {self.type}, {address}, align {self.align}")

    def finish(self, sums: Sequence[Value]) -> list[Value]:
        add, parts = partial(self.w.binary, "fadd"), range(0, len(sums), self.lanes)
        return [halved(self.w, sums[first : first + self.lanes], add) for first in parts]


def lane_mask(w: Writer, count: Value, lanes: int) -> Value:
    """True in the first `count` lanes: lane_mask(3, 4) -> <1, 1, 1, 0>."""
    if count.ref[0] != "%":
        return constants("i1", [lane < int(count.ref) for lane in range(lanes)])
    steps = Value(vector_type("i32", lanes), "<" + ", ".join(f"i32 {k}" for k in range(lanes)) + ">")
    clamped = w.intrinsic("smin.i64", "i64", count, constant("i64", lanes))
    return w.compare("icmp slt", steps, w.splat(w.convert("trunc", clamped, "i32"), lanes))

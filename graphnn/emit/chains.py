"""What all register tiles have in common: accumulators that go through the terms of a contraction in chains.

The accumulators are phi nodes of the loop over the terms, so they never leave the registers. What is loaded and
multiplied for one term, and where a chain's sums go, is up to the kind of tile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphnn.emit.writer import Value, Writer, constant, mangle, vector_type
from graphnn.lower.ir import CHAIN
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import DType

ELEMENT: dict[DType, str] = {"float32": "float", "float64": "double"}
GROUP = 3


@dataclass(frozen=True, slots=True)
class TileShape:
    """`rows` times `vectors` accumulators of `lanes` elements.

    With `masked` the last vector may reach past the operand's last column. With `dot` the lanes are terms of the sum,
    and `vectors` counts columns. `ahead` is by how many terms b is prefetched, 0 for not at all.
    """

    dtype: DType
    lanes: int
    rows: int
    vectors: int
    masked: bool
    dot: bool = False
    ahead: int = 0

    def name(self, depth: int) -> str:
        """The function for `depth` levels of terms: tile.v16f32.14x2.masked.k1"""
        vector = mangle(vector_type(ELEMENT[self.dtype], self.lanes))
        kind = "dot" if self.dot else "tile"
        marks = f"{'.masked' if self.masked else ''}{f'.ahead{self.ahead}' if self.ahead else ''}"
        return f"{kind}.{vector}.{self.rows}x{self.vectors}{marks}.k{depth}"


@dataclass(frozen=True, slots=True)
class Level:
    """One reduced axis at run time: its extent, and how far (in elements) a and b lie apart along it."""

    extent: Value
    a_stride: Value
    b_stride: Value


class Chains(ABC):
    """Writes the parts of one tile. A position is [a, b, digit...]: two addresses, and how far each level but the
    outermost has counted.
    """

    def __init__(self, w: Writer, shape: TileShape, levels: Sequence[Level]) -> None:
        self.w, self.shape, self.lanes, self.levels = w, shape, shape.lanes, levels
        self.element, self.align = ELEMENT[shape.dtype], BYTES[shape.dtype]
        self.type = vector_type(self.element, shape.lanes)

    @abstractmethod
    def multiply_add(self, a: Value, b: Value, sums: Sequence[Value]) -> list[Value]:
        """The accumulators with one more term each."""

    @abstractmethod
    def finish(self, sums: Sequence[Value]) -> list[Value]:
        """The vectors that a chain's accumulators leave in the tile's result."""

    def write(self, position: list[Value], terms: Value, out: Value) -> None:
        """Sum all terms into `out`, in chains of at most CHAIN."""
        w, zero = self.w, constant("i64", 0)
        # One chain even of no terms: the sum over nothing is 0 and has to be written.
        bound = w.intrinsic("smax.i64", "i64", terms, constant("i64", 1))
        with w.loop(zero, bound, step=CHAIN, carry=position) as chain:
            left = w.binary("sub", terms, chain.index)
            length = w.intrinsic("smin.i64", "i64", left, constant("i64", CHAIN))
            chain.next, sums = self.chain(chain.carried, length)
            self._flush(self.finish(sums), out, w.compare("icmp eq", chain.index, zero))

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
            sums = self.multiply_add(a, b, sums)
            term.next = [w.gep(self.element, a, inner.a_stride), w.gep(self.element, b, inner.b_stride), *sums]
        return term.results[:2], term.results[2:]

    def rows_of(self, first: Value, distances: Sequence[Value], count: int) -> Iterator[Value]:
        """The addresses of `count` rows, in groups from the group's first, so that few registers hold their distances.

        `distances` are 1, 2 ... GROUP times the distance between two rows.
        """
        for r in range(count):
            if r and r % GROUP == 0:
                first = self.w.gep(self.element, first, distances[-1])
            yield self.w.gep(self.element, first, distances[r % GROUP - 1]) if r % GROUP else first

    def distances(self, one: Value) -> list[Value]:
        """How far the rows of a group lie from its first, and the next group."""
        return [self.w.binary("mul", one, constant("i64", r)) for r in range(1, GROUP + 1)]

    def _flush(self, sums: Sequence[Value], out: Value, first: Value) -> None:
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

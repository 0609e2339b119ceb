"""Square blocks of memory with rows and columns exchanged: one function of a module for each type, by shuffles.

to[c*pitch + r] = from[r*stride + c]        r, c < 16

Another function takes a part of a block, whose rows and columns are counted at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphnn.emit.access import names_in, offset_of, slope
from graphnn.emit.address import MEMORY
from graphnn.emit.register_tile import lane_mask
from graphnn.emit.writer import Module, Value, Writer, constant, mangle, vector_type
from graphnn.schedule.machine import BYTES
from graphnn.schedule.memory import ALIGNMENT
from graphnn.simplify.expr import Load

if TYPE_CHECKING:
    from graphnn.emit.folds import Folds


_WHOLE, _PART = "", "part."
_SOURCE, _TARGET = Value("ptr", "%source"), Value("ptr", "%target")
_STRIDE, _PITCH = Value("i64", "%stride"), Value("i64", "%pitch")


@dataclass(frozen=True, slots=True)
class Square:
    """A block of a load, as many rows as there are lanes and of as many elements, whose columns are on the stack."""

    load: Load
    lanes: int
    element: str  # in memory
    stack: Value

    @classmethod
    def of(cls, context: Folds, load: Load, lanes: int) -> Square:
        element = MEMORY[context.declared[load.buffer].stored]
        return cls(load, lanes, element, context.writer.alloca(vector_type(element, lanes), lanes, ALIGNMENT))

    def fill(
        self,
        context: Folds,
        down: tuple[str, Value],
        along: tuple[str, Value],
        part: tuple[Value, Value] | None = None,
    ) -> None:
        """Take the block whose rows begin at these values of the axes, and run along memory with the second of them.

        The rows lie evenly: the load's offset is affine in the first. Of a `part` there are so many rows, at least one,
        and columns, and the rows of the block behind it are prefetched.
        """
        name = self.load.buffer
        offset = offset_of(context.declared[name], self.load.index)
        stride = slope(offset, down[0])
        assert stride is not None
        with context.axis(*down), context.axis(*along):
            rows = context.address(name, offset), context.value(stride)
        if part is None:
            exchange(context.writer, self.element, self.lanes, rows, (self.stack, constant("i64", self.lanes)))
        else:
            _call(context.writer, _PART, self.element, self.lanes, (*rows, self.stack, *part))

    def take(self, context: Folds, k: Value) -> None:
        """Let column k be the value of the load."""
        w, type_ = context.writer, vector_type(self.element, self.lanes)
        buffer = context.declared[self.load.buffer]
        align = min(ALIGNMENT, self.lanes * BYTES[buffer.stored])
        column = w.ins(type_, f"load {type_}, {w.gep(type_, self.stack, k)}, align {align}")
        context.remember((self.load, context.lanes), context.from_memory(column, buffer), names_in(self.load))


def exchange(w: Writer, element: str, lanes: int, rows: tuple[Value, Value], columns: tuple[Value, Value]) -> None:
    """Call the function that exchanges a block of `lanes` rows, which is written into the module on first use.

    `rows` are read and `columns` written: where the first begins, and how many elements further the next one does; the
    two do not overlap.
    """
    _call(w, _WHOLE, element, lanes, (*rows, *columns))


def _call(w: Writer, kind: str, element: str, lanes: int, arguments: Sequence[Value]) -> None:
    name = f"exchange.{kind}{mangle(vector_type(element, lanes))}"
    if name not in w.module.shared:
        w.module.shared.add(name)
        write = _part if kind == _PART else _whole
        w.module.functions.append(write(w.module, name, element, lanes))
    w.do(f"call void @{name}({', '.join(map(str, arguments))})")


def _whole(module: Module, name: str, element: str, lanes: int) -> str:
    w, type_ = Writer(module), vector_type(element, lanes)
    rows = [w.ins(type_, f"load {type_}, {place}, align 1") for place in _places(w, element, _SOURCE, _STRIDE, lanes)]
    for column, place in zip(exchanged(w, rows), _places(w, element, _TARGET, _PITCH, lanes), strict=True):
        w.do(f"store {column}, {place}, align 1")
    return _text(w, name, _PITCH)


def _part(module: Module, name: str, element: str, lanes: int) -> str:
    """Where there is no row, the first one is loaded again: no address waits for a choice but its own."""
    w, type_ = Writer(module), vector_type(element, lanes)
    down, across = Value("i64", "%rows"), Value("i64", "%columns")
    ahead = w.binary("mul", _STRIDE, constant("i64", lanes))
    rest = Value("i32", "1"), lane_mask(w, across, lanes), Value(type_, "zeroinitializer")
    rows = []
    for k, place in enumerate(_places(w, element, _SOURCE, _STRIDE, lanes)):
        there = w.select(w.compare("icmp slt", constant("i64", k), down), place, _SOURCE) if k else place
        rows.append(w.intrinsic(f"masked.load.{mangle(type_)}.p0", type_, there, *rest))
        # No hardware follows lines of so many rows. Memory halved the speed without.
        w.prefetch(w.gep(element, place, ahead))
    for k, column in enumerate(exchanged(w, rows)):
        w.do(f"store {column}, {w.gep(type_, _TARGET, constant('i64', k))}, align 1")
    return _text(w, name, down, across)


def _text(w: Writer, name: str, *others: Value) -> str:
    w.do("ret void")
    arguments = f"ptr noalias readonly {_SOURCE.ref}, {_STRIDE}, ptr noalias {_TARGET.ref}, "
    header = f"define hidden void @{name}({arguments}{', '.join(map(str, others))}) nounwind noinline uwtable {{"
    return "\n".join([header, "entry:", *w.lines, "}"])


def _places(w: Writer, element: str, first: Value, distance: Value, count: int) -> list[Value]:
    """Addresses, each from the one before it: an addition, where a multiple of the distance takes two."""
    places = [first]
    while len(places) < count:
        places.append(w.gep(element, places[-1], distance))
    return places


def exchanged(w: Writer, rows: Sequence[Value]) -> list[Value]:
    """n vectors of n lanes, rows and columns exchanged by n*log2(n) shuffles; n is a power of two.

    Stage d swaps the off-diagonal halves of all 2d x 2d blocks: (a, b), (c, d) -> (a, c), (b, d).
    """
    result, n = list(rows), len(rows)
    distance = 1
    while distance < n:
        for j in (j for j in range(n) if not j & distance):
            a, b = result[j], result[j + distance]
            upper = [lane if not lane & distance else n + lane - distance for lane in range(n)]
            lower = [lane + distance if not lane & distance else n + lane for lane in range(n)]
            result[j], result[j + distance] = (w.shuffle(a, b, picked) for picked in (upper, lower))
        distance *= 2
    return result

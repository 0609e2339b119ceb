"""The arena: when each temp buffer lives, and where, once the sizes are known.

`plan` runs in the compiler; `MemoryPlan` is plain data, kept with the compiled code and asked for offsets when sizes
are bound. It imports neither sympy nor LLVM. What a process that loads a program needs are named tuples: to make a
frozen dataclass takes six times as long, 0.3 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from graphnn.errors import CompileError
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import INT64_MAX, Const, Expr, Op, Size

if TYPE_CHECKING:
    from graphnn.lower.ir import Program

ALIGNMENT = 64  # bytes: a cache line, and the widest vector

# A size expression as nested lists: 64, "N", ["mul", 64, "N"].
Json = int | str | list["Json"]


class Lifetime(NamedTuple):
    """A temp buffer: bytes of an element, its shape, and the first and last top-level statement that touches it."""

    name: str
    item_bytes: int
    shape: tuple[Expr, ...]
    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


class MemoryPlan(NamedTuple):
    """The lifetimes of all temp buffers, in the order of the program's buffers."""

    lifetimes: tuple[Lifetime, ...]

    def offsets(self, sizes: dict[str, int]) -> tuple[dict[str, int], int]:
        """Where each buffer starts, in bytes from the arena's start, and the arena's length; all multiples of 64.

        Largest buffers first, each in the smallest gap that it fits in between those that live at the same time.
        Raises CompileError for a size that is missing, negative or, in bytes, more than 2**63 - 1.
        """
        lengths = {x.name: _length(x, sizes) for x in self.lifetimes}
        placed: list[tuple[int, int, Lifetime]] = []
        order = sorted(range(len(self.lifetimes)), key=lambda i: (-lengths[self.lifetimes[i].name], i))
        for lifetime in (self.lifetimes[i] for i in order):
            busy = sorted((start, end) for start, end, other in placed if lifetime.overlaps(other))
            start = _best_fit(busy, lengths[lifetime.name])
            placed.append((start, start + lengths[lifetime.name], lifetime))
        total = max((end for _, end, _ in placed), default=0)
        if total > INT64_MAX:
            raise CompileError(f"the temp buffers need {total} bytes together, more than 2**63 - 1")
        starts = {lifetime.name: start for start, _, lifetime in placed}
        return {x.name: starts[x.name] for x in self.lifetimes}, total

    def to_json(self) -> list[Json]:
        """[[name, item bytes, [dimension, ...], first, last], ...]"""
        return [[x.name, x.item_bytes, [encode_extent(d) for d in x.shape], x.first, x.last] for x in self.lifetimes]

    @classmethod
    def from_json(cls, data: list[Json]) -> MemoryPlan:
        """The inverse of `to_json`. Raises CompileError for data of another form."""
        lifetimes = []
        for entry in data:
            match entry:
                case [str(name), int(item), list(shape), int(first), int(last)]:
                    lifetimes.append(Lifetime(name, item, tuple(map(decode_extent, shape)), first, last))
                case _:
                    raise CompileError(f"not an entry of a memory plan: {entry!r}")
        return cls(tuple(lifetimes))


def plan(program: Program) -> MemoryPlan:
    """The lifetime of each temp buffer of a program: from the first to the last top-level statement that touches it.

    A buffer that no statement touches, or that is on the stack, is left out.
    """
    from graphnn.schedule.reorder import Effects  # a compiled program has its plan, and needs no statements

    touched: dict[str, list[int]] = {}
    for position, stmt in enumerate(program.body):
        effects = Effects.of(stmt)
        for name in effects.reads | effects.writes:
            touched.setdefault(name, []).append(position)
    return MemoryPlan(
        tuple(
            Lifetime(b.name, BYTES[b.stored], b.shape, touched[b.name][0], touched[b.name][-1])
            for b in program.buffers
            if b.role == "temp" and b.name in touched and not b.local_to
        )
    )


# fmt: off
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,       "sub": lambda a, b: a - b,      "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b,
    "min": min,                      "max": max,
}
# fmt: on


def evaluate(expr: Expr, sizes: dict[str, int]) -> int:
    """The value of a size expression, as a Python int that cannot overflow. Raises CompileError for an unbound size."""
    match expr:
        case Const(value=value):
            return int(value)
        case Size(name=name) if name in sizes:
            return sizes[name]
        case Op(fn="neg", args=(a,)):
            return -evaluate(a, sizes)
        case Op(fn=fn, args=(a, b)) if fn in ARITHMETIC:
            return ARITHMETIC[fn](evaluate(a, sizes), evaluate(b, sizes))
    raise CompileError(f"the size expression {expr} has no value for {sizes}")


def _length(lifetime: Lifetime, sizes: dict[str, int]) -> int:
    """Bytes, rounded up to the alignment."""
    shape = [evaluate(d, sizes) for d in lifetime.shape]
    length = -(-prod(shape) * lifetime.item_bytes // ALIGNMENT) * ALIGNMENT
    if any(d < 0 for d in shape) or length > INT64_MAX:
        raise CompileError(f"temp buffer {lifetime.name} of shape {tuple(shape)} would need {length} bytes")
    return length


def _best_fit(busy: list[tuple[int, int]], length: int) -> int:
    """The start of the smallest gap between `busy` intervals (sorted) that `length` fits in, else the end."""
    best: tuple[int, int] | None = None
    free = 0
    for start, end in busy:
        gap = start - free
        if gap >= length and (best is None or gap < best[0]):
            best = (gap, free)
        free = max(free, end)
    return free if best is None else best[1]


def encode_extent(expr: Expr) -> Json:
    """A size expression as nested lists. Raises CompileError for an expression that is none."""
    match expr:
        case Const(value=value):
            return int(value)
        case Size(name=name):
            return name
        case Op(fn=fn, args=args):
            return [fn, *map(encode_extent, args)]
    raise CompileError(f"{expr} is not a size expression")


def decode_extent(data: object) -> Expr:
    """The inverse of `encode_extent`. Raises CompileError for data of another form."""
    match data:
        case bool():
            pass
        case int():
            return Const(data, "int64")
        case str():
            return Size(data)
        case ["neg", a]:
            return Op("neg", (decode_extent(a),), "int64")
        case [str(fn), a, b] if fn in ARITHMETIC:
            return Op(fn, (decode_extent(a), decode_extent(b)), "int64")
    raise CompileError(f"not a size expression: {data!r}")

"""What is known while code is emitted: bound names, the lanes that run in lock step, values already computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from graphnn.emit.debug import Checks, Locations
from graphnn.emit.target import Target
from graphnn.emit.writer import Loop, Module, Value, Writer, constant, vector_type
from graphnn.lower.ir import Buffer
from graphnn.simplify.expr import DType, Expr, Origin

TYPES: dict[DType, str] = {"float32": "float", "float64": "double", "int64": "i64", "bool": "i1"}


@dataclass(frozen=True, slots=True)
class Bound:
    """A buffer and the pointer to its first element."""

    buffer: Buffer
    base: Value


@dataclass(frozen=True, slots=True)
class Mask:
    """The lanes that run. `occupied` promises at least one of them (a ragged end), a condition cannot.

    `first`: these are the first so many, where that is known.
    """

    value: Value
    occupied: bool
    first: Value | None = None


# An expression, in so many lanes; or the address in a buffer, by its name, that lies so many elements from its base.
Known = tuple[Expr, int] | tuple[str, Expr]


@dataclass(frozen=True, slots=True)
class Unit:
    """The module under construction, and what its kernels share. `checks` is None outside debug mode."""

    module: Module
    target: Target
    locations: Locations
    checks: Checks | None


class Environment:
    """The state of one kernel's emission.

    `writer`, `target`; `buffers` and `sizes` by name; `axes` and `locals` hold the Values that are bound now.
    `lanes` is 1 in scalar code; within `lockstep` it is the number of iterations of `vector_axis` that run
    together, and `varying` holds the names (that axis, and Locals bound to vectors) whose values differ by lane.
    """

    def __init__(self, unit: Unit, writer: Writer, buffers: dict[str, Bound], sizes: dict[str, Value]) -> None:
        self.writer, self.target = writer, unit.target
        self.locations, self.checks = unit.locations, unit.checks
        self.buffers, self.sizes = buffers, sizes
        self.declared = {name: bound.buffer for name, bound in buffers.items()}
        # Contractions run the tiles of this thread among so many, in this kernel; None: all tiles.
        self.team: tuple[Value, Value] | None = None
        self.axes: dict[str, Value] = {}
        self.places: Mapping[str, int] = {}  # of axes that are bound to numbers
        self.locals: dict[str, Value] = {}
        self.lanes = 1
        self.vector_axis: str | None = None
        self.mask: Mask | None = None
        self.varying: frozenset[str] = frozenset()
        # Buffers whose vectors are whole cache lines here, and go past the caches.
        self.past_cache: frozenset[str] = frozenset()
        # Where the parts of local buffers are, by name and by the lanes that have one each.
        self.stacks: dict[tuple[str, int], Value] = {}
        # Values computed on every path to here, and the names that they depend on.
        self.known: dict[Known, tuple[Value, frozenset[str]]] = {}
        # Of an access by name and offset, what all points have in common, and how far a step of each axis goes.
        self.anchors: dict[tuple[str, Expr], tuple[Value, dict[str, int]]] = {}
        self.offsets: dict[tuple[str, tuple[Expr, ...]], Expr] = {}  # by buffer and index
        self.mentioned: set[str] = set()  # all names that known values have depended on so far
        self.dropped = 0  # how often known values were dropped

    def type_of(self, dtype: DType, lanes: int = 1) -> str:
        """The LLVM type of a value in registers; a bool is an i1 there and a byte in memory."""
        return vector_type(TYPES[dtype], lanes)

    def remember(self, what: Known, value: Value, names: frozenset[str]) -> None:
        """From here on `what` is known, as long as nothing changes that it depends on."""
        self.known[what] = value, names
        self.mentioned |= names

    def forget(self, names: frozenset[str]) -> None:
        """Drop known values that depend on an axis, local or buffer (written "@W") which has another value now."""
        if self.mentioned.isdisjoint(names):
            return
        stale = [key for key, entry in self.known.items() if not entry[1].isdisjoint(names)]
        self.dropped += bool(stale)
        for key in stale:
            del self.known[key]

    @contextmanager
    def scope(self, changed: frozenset[str] = frozenset()) -> Iterator[None]:
        """A region that may not run, or runs often: what is computed in it is not known after it.

        `changed` (see `access.written_by`) are the buffers that the region stores into: a second round of it
        must not use what was loaded before the first.
        """
        self.forget(changed)
        known, bound, varying, dropped = self.known, self.locals, self.varying, self.dropped
        self.known, self.locals = dict(known), dict(bound)
        yield
        if self.dropped != dropped:  # a store inside made the outer values of its buffer stale too
            known = {key: entry for key, entry in known.items() if self.known.get(key) is entry}
        self.known = known
        self.locals, self.varying = bound, varying

    @contextmanager
    def axis(self, name: str, value: Value) -> Iterator[None]:
        """Bind an axis to an i64 that is the same in every lane."""
        outer = self.axes
        self.axes = {**outer, name: value}
        with self.scope(frozenset((name,))):
            self.varying -= {name}
            yield
        self.axes = outer

    @contextmanager
    def point(self, places: Mapping[str, int]) -> Iterator[None]:
        """Bind axes to numbers, the same in every lane."""
        outer = self.axes, self.places
        self.axes = {**self.axes, **{name: constant("i64", place) for name, place in places.items()}}
        self.places = places
        with self.scope(frozenset(places)):
            yield
        self.axes, self.places = outer

    @contextmanager
    def straight(self, name: str, value: Value) -> Iterator[None]:
        """Bind an axis where no branch is written inside: what does not depend on it stays known afterwards."""
        outer, mine = self.axes, frozenset((name,))
        self.forget(mine)
        self.axes = {**outer, name: value}
        yield
        self.axes = outer
        self.forget(mine)

    @contextmanager
    def lockstep(self, name: str, first: Value, lanes: int, mask: Mask | None = None) -> Iterator[None]:
        """Run `lanes` iterations of axis `name` together: first, first + 1, ...; `mask` are those that exist."""
        outer = self.lanes, self.vector_axis, self.mask
        with self.axis(name, first):
            self.lanes, self.vector_axis, self.mask = lanes, name, mask
            self.varying = frozenset((name,)) if lanes > 1 else frozenset()
            yield
        self.lanes, self.vector_axis, self.mask = outer

    @contextmanager
    def loop(
        self, axis: str, lo: Value, hi: Value, carry: Sequence[Value] = (), changed: frozenset[str] = frozenset()
    ) -> Iterator[Loop]:
        """`Writer.loop` with the axis bound in its body; `changed` are the buffers that the body stores into."""
        with self.scope(changed), self.writer.loop(lo, hi, 1, carry) as loop, self.axis(axis, loop.index):
            yield loop

    def bind(self, name: str, value: Value) -> None:
        """Bind a Local to a scalar or to a vector of `lanes` elements, until the enclosing scope ends."""
        if name in self.locals:  # else nothing that is known can depend on it
            self.forget(frozenset((name,)))
        self.locals[name] = value
        self.varying = self.varying | {name} if value.type.startswith("<") else self.varying - {name}

    @contextmanager
    def at(self, origin: Origin | None) -> Iterator[None]:
        """Attach an origin to the instructions written inside; without one the surrounding origin stays."""
        outer = self.writer.location
        if origin is not None:
            self.writer.location = self.locations.of(origin)
        yield
        self.writer.location = outer

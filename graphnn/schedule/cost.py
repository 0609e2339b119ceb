"""What a statement costs, in instructions: an estimate that compares two schedules of the same work.

A vector instruction counts like a scalar one, so a loop whose axis runs in lanes costs a lane count less, except
where its accesses are not unit-stride and fall apart into one load per lane. Unknown sizes count as SIZE.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from graphnn.lower.ir import CHAIN, Accumulate, Buffer, Contract, Fold, For, If, Let, Stmt, Store, Transform
from graphnn.lower.transforms import operations
from graphnn.schedule.affine import coefficient, stride
from graphnn.schedule.crossing import block_loads, crosses, runs_by_rows
from graphnn.schedule.extents import estimate, extent, is_known, volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import Body, axes_used, nested, touched
from graphnn.simplify.expr import Axis, Const, DType, Expr, Load, Op, Range, axes_of, children
from graphnn.simplify.once import once

STILL = ""  # an axis that nothing moves with
TILE_ROWS, TILE_VECTORS = 8, 4  # a typical register tile; as many loads as multiply-adds cost nothing beside them
DOT_COLUMNS = 4  # of a tile with terms in its lanes
DEEP_ROWS = 64  # rows whose sums stay in the first-level cache from one chain of terms to the next
CALL = 250  # instructions to enter and leave such a tile: its sums are written one by one
HALVES = 3  # two shuffles and an add for each sum of lanes, where a vector's worth of sums is made at once
LINE, CACHE_LINES = 16, 512  # float32 of a cache line, and the lines of a first-level cache of 32 KB
FAR_LINES = 12288  # of three quarters of a second-level cache of 1 MB
SECOND_LINES, SETS = 8192, 1024  # lines of half of a second-level cache of 1 MB, and its sets
MISS = 6  # a line that comes from the second level or further
NEAR = 1  # the same for a line that comes from the second level for sure, and in a long run
TURN = 10  # a tile's step from one stretch of terms to the next: 4 to 5 cycles
SCATTER = 4  # a store in the middle of a line, for each lane: its line is fetched, and again for the lane's neighbour
UNKNOWN_LANES = 2  # a size that is not known before the call may be 1 and leave the other lanes empty
LATENCY = 3  # cycles that a chain of adds waits per term, beyond the instruction itself
EXCHANGE = 7  # an access across the lanes: to and from the stack, and log2(16) shuffles
ENTRY = 4  # instructions to enter a vector loop: its bounds, and the mask of its tail
CHEAP, DIVISION, POLYNOMIAL = 1, 4, 12  # instructions; the last is the length of the exp and log kernels
ERROR_FUNCTION, ANGLE = 50, 60  # an exponential, a polynomial and two quotients; a reduction and two polynomials
WEIGHTS = dict.fromkeys(("exp", "log", "expm1", "log1p", "tanh", "sigmoid", "pow"), POLYNOMIAL)
WEIGHTS |= dict.fromkeys(("div", "sqrt"), DIVISION)
WEIGHTS |= dict.fromkeys(("erf", "erfc"), ERROR_FUNCTION) | dict.fromkeys(("sin", "cos"), ANGLE)
WEIGHTS["threefry"] = 80  # three instructions to each of 20 rounds, and the injections of the key


Steps = tuple[tuple[str, int], ...]  # how far each axis moves
Dimension = tuple[Steps, float]  # how far each axis moves along it, and its extent


def lines_touched(dimensions: Iterable[Dimension], extents: Mapping[str, float]) -> float:
    """How many cache lines axes of some extents touch; the others stand still."""
    run, apart, whole, none = 1.0, 1.0, True, True
    for steps, size in dimensions:
        beyond = 0.0
        for axis, step in steps:
            if axis in extents:
                beyond += step * (extents[axis] - 1)
        span = 1 + beyond
        if whole:
            run, whole = run * span, span >= size
        else:
            apart *= span
        none = False
    return 0.0 if none else apart * math.ceil(run / LINE)


Place = tuple[tuple[int, ...], tuple[float, ...]]  # how a buffer lies in memory: its layout, and its extents
View = tuple[Machine, tuple[Place, ...]]  # all that the cost of a statement depends on, beside itself


def place_of(buffer: Buffer) -> Place:
    return buffer.layout, tuple(map(estimate, buffer.shape))


class CostModel:
    """Costs where buffers lie in given `places`."""

    def __init__(self, places: dict[str, Place], machine: Machine) -> None:
        self.places, self.machine = places, machine
        self.base: tuple[CostModel, str] | None = None  # a model that differs in the place of one buffer alone
        # By identity; what is priced is kept, so that its id stays its own.
        self.known: dict[tuple[int, str, int], tuple[Expr, float]] = {}
        self.costs: dict[tuple[int, str | None, int], tuple[Stmt, float]] = {}

    @classmethod
    def of(cls, buffers: Iterable[Buffer], machine: Machine) -> CostModel:
        """The model of buffers as they are laid out."""
        return cls({b.name: place_of(b) for b in buffers}, machine)

    def among(self, names: Iterable[str]) -> CostModel:
        """The model of some of the buffers."""
        return CostModel({name: self.places[name] for name in names}, self.machine)

    def beside(self, buffer: Buffer) -> CostModel:
        """The model with one more buffer; what does not touch it costs as before."""
        return self._with(buffer.name, place_of(buffer))

    def with_layout(self, buffer: str, layout: tuple[int, ...]) -> CostModel:
        """The model with another layout of one buffer; what does not touch it costs as before."""
        return self._with(buffer, (layout, self.places[buffer][1]))

    def _with(self, buffer: str, place: Place) -> CostModel:
        model = CostModel(self.places | {buffer: place}, self.machine)
        model.base = self, buffer
        return model

    def adopt(self, other: CostModel) -> None:
        """Become a model that `with_layout` made. All that touches the buffer has been asked of both."""
        self.places = other.places
        self.known |= other.known
        self.costs |= other.costs

    def layout(self, buffer: str) -> tuple[int, ...]:
        return self.places[buffer][0]

    def view(self, stmt: Stmt) -> View:
        """The machine, and how what a statement touches lies in memory."""
        return self.machine, tuple([self.places[name] for name in touched(stmt)])

    def lanes(self, body: Iterable[Stmt]) -> int:
        """The lanes of a vector loop around `body`: its widest computed value fills a vector."""
        return min(map(self.machine.lanes, sorted({t for stmt in body for t in _computed(stmt)})), default=1)

    def body(self, body: Iterable[Stmt], axis: str | None, lanes: int) -> float:
        return sum(self.statement(stmt, axis, lanes) for stmt in body)

    def statement(self, stmt: Stmt, axis: str | None = None, lanes: int = 1) -> float:
        """The cost of a statement as it stands; where `axis` is given, in `lanes` lanes along it."""
        if axis is None or axis not in axes_used(stmt):
            if isinstance(stmt, Let | Fold | Store | Accumulate):
                return _still(stmt)
            axis, lanes = axis and STILL, 1
        if self.base is not None and self.base[1] not in touched(stmt):
            return self.base[0].statement(stmt, axis, lanes)
        place = id(stmt), axis, lanes
        found = self.costs.get(place)
        if found is None:
            found = self.costs[place] = stmt, self._statement(stmt, axis, lanes)
        return found[1]

    def _statement(self, stmt: Stmt, axis: str | None, lanes: int) -> float:
        match stmt:
            case For(lo=lo, hi=hi, body=body, kind="vector") if axis is None:
                return self.vector_loop(Range(stmt.axis, lo, hi), body)
            case For(lo=lo, hi=hi, body=body):
                if axis is not None and runs_by_rows(stmt, self.stride, axis):
                    return self.by_rows(stmt, lanes)
                return extent(lo, hi) * self.body(body, axis, lanes)
            case Fold(ranges=ranges, value=value):
                saved = 0.0 if axis is None else self.exchanged(stmt, axis, lanes)
                return volume(ranges) * (self.expression(value, axis, lanes) - saved + LATENCY)
            case Contract():
                return self.contraction(stmt)
            case Transform(rows=rows, columns=columns, value=value, body=body):
                elements = volume((rows.terms, columns.terms)) * self.expression(value, axis, lanes)
                results = volume((rows.outs, columns.outs)) * self.body(body, axis, lanes)
                return elements + operations(rows.matrix, columns.matrix) + results
            case If(condition=condition, body=body):
                return self.expression(condition, axis, lanes) + self.body(body, axis, lanes)
            case Store(buffer=buffer, index=index, value=value) | Accumulate(buffer=buffer, index=index, value=value):
                expressions = sum(self.expression(e, axis, lanes) for e in (*index, value))
                return expressions + self.access(buffer, index, axis, lanes)
            case Let(value=value):
                return self.expression(value, axis, lanes)

    def vector_loop(self, r: Range, body: Body) -> float:
        """The cost of a loop around a body, in lanes."""
        width, count = self.lanes(body), extent(r.lo, r.hi)
        full = min(width, math.ceil(count))  # a short loop has no more lanes than iterations
        return ENTRY + math.ceil(count / width) * self.body(body, r.axis, full)

    def by_rows(self, loop: For, lanes: int) -> float:
        """A loop in vector code with its own axis in the lanes, for one lane after the other."""
        vectors = math.ceil(extent(loop.lo, loop.hi) / lanes)
        return lanes * (ENTRY + vectors * self.body(loop.body, loop.axis, lanes))

    def exchanged(self, fold: Fold, axis: str, lanes: int) -> float:
        """What a term of a fold saves by loads that go across the lanes: blocks of rows become columns."""
        along = fold.ranges[-1].axis
        found = [x for x in block_loads(fold) if crosses(self.stride, x.buffer, x.index, along, axis)]
        return len(found) * max(0.0, lanes - EXCHANGE)

    def stride(self, buffer: str, index: tuple[Expr, ...], axis: str) -> int | None:
        return stride(index, axis, self.layout(buffer))

    def contraction(self, c: Contract) -> float:
        """A tile's multiply-adds and loads, its epilogue, and the lines that do not stay in the first cache.

        A tile's columns of `b` are read by all rows before the next columns come: `a` is read once for each.
        """
        lanes = self.lanes(c.body)
        rows, columns, terms = volume((c.m,)), volume((c.n,)), volume(c.k) / c.lanes
        vectors = math.ceil(columns / lanes) * (1 if is_known(c.n) or c.lanes > 1 else UNKNOWN_LANES)
        accumulators, at_once = (vectors, TILE_VECTORS) if c.lanes == 1 else (columns, DOT_COLUMNS)
        loads = 1 / max(1.0, min(rows, TILE_ROWS)) + 1 / max(1.0, min(accumulators, at_once))
        scattered = sum(isinstance(s, Store) and not self._runs_along(s.buffer, s.index, c.n.axis) for s in c.body)
        epilogue = self.body(c.body, c.n.axis, lanes) + SCATTER * lanes * scattered
        work = rows * (accumulators * terms * max(1.0, loads) + vectors * epilogue)
        tall, wide = math.ceil(rows / TILE_ROWS), math.ceil(accumulators / at_once)
        deep = is_deep(c)
        again = tall if c.lanes > 1 or (volume(c.k) * min(accumulators, at_once) > SECOND_LINES and not deep) else 1
        a_misses, b_misses = self.misses(c.a, (c.m, *c.k)) * wide, self.misses(c.b, (c.n, *c.k)) * again
        misses = a_misses + b_misses * (NEAR / MISS if deep else 1)
        if c.lanes == 1:
            return work + TURN * tall * wide * self.stretches(c) + MISS * misses
        sums = rows * accumulators * HALVES * math.ceil(terms / CHAIN) + CALL * tall * wide
        return work + sums + (NEAR if self.stay(c) else MISS) * misses

    def stretches(self, c: Contract) -> float:
        """How many stretches of terms there are along which both factors go on by one distance."""
        length, steps = 1.0, (0.0, 0.0)
        for r in reversed(c.k):
            here = self.distance(c.a, r.axis), self.distance(c.b, r.axis)
            if length > 1 and here != (steps[0] * length, steps[1] * length):
                break
            steps = here if length == 1 else steps
            length *= max(1.0, volume((r,)))
        return volume(c.k) / length

    def stay(self, c: Contract) -> bool:
        """Whether both factors stay in half of the second-level cache until the next contraction over other axes."""
        sizes = []
        for factor, own in ((c.a, c.m), (c.b, c.n)):
            size, row = self.lines(factor, (own, *c.k)), self.lines(factor, c.k)
            places = SETS // math.gcd(int(self.distance(factor, own.axis) // LINE), SETS)
            sizes.append(size)
            if size > SECOND_LINES / SETS * min(SETS, places * row):  # rows that share their sets put each other out
                return False
        return sum(sizes) <= SECOND_LINES

    def copy(self, ranges: tuple[Range, ...], value: Expr, lanes: int) -> float:
        """Storing a value over ranges, the last one in lanes; beyond the first cache its lines count, too."""
        elements = volume(ranges)
        instructions = elements / lanes * (1 + self.expression(value, ranges[-1].axis, lanes))
        lines = elements / LINE
        return instructions + (2 * MISS * lines if lines > CACHE_LINES else 0.0)

    def misses(self, factor: Expr, loops: Iterable[Range]) -> float:
        """The lines of a factor, where they are more than the first cache has."""
        lines = self.lines(factor, loops)
        return lines if lines > CACHE_LINES else 0.0

    def lines(self, load: Expr, loops: Iterable[Range]) -> float:
        """How many cache lines the loops touch: whole rows of whole dimensions are one run of memory."""
        return lines_touched(self.dimensions(load), {r.axis: extent(r.lo, r.hi) for r in loops})

    def dimensions(self, load: Expr) -> list[Dimension]:
        """What `lines_touched` needs of a load, fastest dimension first; none of what is in no array."""
        if not isinstance(load, Load):
            return []
        layout, extents = self.places[load.buffer]
        return [(_steps(load.index[d]), extents[d]) for d in reversed(layout)]

    def distance(self, load: Expr, axis: str) -> float:
        """How many elements one step of an axis goes in memory."""
        if not isinstance(load, Load):
            return 0.0
        layout, extents = self.places[load.buffer]
        total, step = 0.0, 1.0
        for d in reversed(layout):
            total += step * (coefficient(load.index[d], axis) or 0)
            step *= extents[d]
        return total

    def _runs_along(self, buffer: str, index: tuple[Expr, ...], axis: str) -> bool:
        return buffer not in self.places or self.stride(buffer, index, axis) == 1

    def expression(self, expr: Expr, axis: str | None, lanes: int) -> float:
        """Index arithmetic on plain axes is free: addressing modes do it. What does not move with `axis` is serial."""
        if axis is None or axis not in axes_of(expr):
            return _serial(expr)
        if self.base is not None and self.base[1] not in _buffers(expr):
            return self.base[0].expression(expr, axis, lanes)
        place = id(expr), axis, lanes
        found = self.known.get(place)
        if found is None:
            found = self.known[place] = expr, self._moving(expr, axis, lanes)
        return found[1]

    def _moving(self, expr: Expr, axis: str, lanes: int) -> float:
        match expr:
            case Load(buffer=buffer, index=index):
                gathers = sum(self.expression(e, axis, lanes) for e in index if not isinstance(e, Axis | Const))
                return gathers + self.access(buffer, index, axis, lanes)
            case Op(fn=fn, dtype=dtype):
                weight = WEIGHTS.get(fn, 0 if dtype == "int64" else CHEAP)
                return weight + sum(self.expression(e, axis, lanes) for e in children(expr))
            case _:
                return 0.0

    def access(self, buffer: str, index: tuple[Expr, ...], axis: str | None, lanes: int) -> float:
        if axis is None or not index or self.stride(buffer, index, axis) is not None:
            return 1.0
        return float(lanes)


def is_deep(c: Contract) -> bool:
    """Whether few rows of many terms meet a b that the second-level cache does not hold.

    All rows of a column of tiles are computed chain by chain then, and b is prefetched, so that it comes once.
    """
    if c.lanes > 1 or len(c.k) > 1 or not all(map(is_known, (c.m, c.n, *c.k))):
        return False
    rows, columns, terms = (volume((r,)) for r in (c.m, c.n, *c.k))
    return rows <= DEEP_ROWS and terms > CHAIN and terms * columns > LINE * FAR_LINES


@once("_still")
def _still(stmt: Let | Fold | Store | Accumulate) -> float:
    """The cost of a statement outside of lanes, or where all of them agree."""
    match stmt:
        case Let(value=value):
            return _serial(value)
        case Fold(ranges=ranges, value=value):
            return volume(ranges) * (_serial(value) + LATENCY)
        case Store(index=index, value=value) | Accumulate(index=index, value=value):
            return sum(map(_serial, (*index, value))) + 1.0


@once("_computed")
def _computed(stmt: Stmt) -> frozenset[DType]:
    """The dtypes of the values that a statement computes, those inside it included."""
    own = (stmt.value.dtype,) if isinstance(stmt, Fold | Store | Accumulate | Let | Transform) else ()
    return frozenset[DType](own).union(*map(_computed, nested(stmt)))


@once("_steps")
def _steps(index: Expr) -> Steps:
    """How far an index moves with each of its axes, at least 1, whichever way."""
    return tuple((axis, abs(coefficient(index, axis) or 1)) for axis in sorted(axes_of(index)))


@once("_buffers")
def _buffers(expr: Expr) -> frozenset[str]:
    """The buffers that an expression reads."""
    own = (expr.buffer,) if isinstance(expr, Load) else ()
    return frozenset(own).union(*map(_buffers, children(expr)))


@once("_cost")
def _serial(expr: Expr) -> float:
    """The cost of an expression outside of lanes: each load is one instruction, whatever its layout."""
    match expr:
        case Load(index=index):
            return 1.0 + sum(_serial(e) for e in index if not isinstance(e, Axis | Const))
        case Op(fn=fn, args=args, dtype=dtype):
            return WEIGHTS.get(fn, 0 if dtype == "int64" else CHEAP) + sum(map(_serial, args))
        case _:
            return 0.0

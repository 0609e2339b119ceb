"""The tiles of images that minimal filtering works on: where their elements are, what is stored of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from graphnn.lower.affine import affine
from graphnn.lower.guards import conjunction
from graphnn.lower.ir import Buffer, Let, Stmt, Store, Transform, Way
from graphnn.lower.transforms import Matrix
from graphnn.schedule.affine import ZERO, default_layout, extent_of, folded, position_in
from graphnn.schedule.algorithms import Algorithm
from graphnn.schedule.correlations import Window, Windows
from graphnn.schedule.extents import volume
from graphnn.schedule.statements import Body, fresh_name, rename, rewrite
from graphnn.simplify.expr import Axis, DType, Expr, Local, Op, Origin, Range, index_constant, substitute

_T = TypeVar("_T")

Element = Callable[[Expr, Expr], Expr]  # of what is transformed, by its numbers
Result = Callable[[Expr, Expr, Expr], Body]  # what is done with element (p, q) of a transform


@dataclass(frozen=True, slots=True)
class Plan:
    """How a correlation is filtered: the algorithm of each way, and how many tiles are taken at once."""

    row: Algorithm
    column: Algorithm
    tiles: int

    @property
    def products(self) -> int:
        return self.row.products * self.column.products

    @property
    def title(self) -> str:
        """F(2x4, 3x3)"""
        pairs = [(a.m, a.r) for a in (self.row, self.column) if a.r > 1]
        m, r = ("x".join(map(str, sizes)) for sizes in zip(*pairs, strict=True))
        return f"F({m}, {r})"


FEW = 4  # independent iterations that do not keep several threads busy


class Filtered(NamedTuple):
    """`ahead` is what must run before the statement in which the contraction is, `body` what stands in its place."""

    ahead: Body
    body: Body
    buffers: tuple[Buffer, ...]


class Tiles:
    """Tiles in rows `ty`, some of a row at a time: `tq` counts those stretches, `t` the tiles of one, `lane` examples.

    The place of a column is step*(m*(tiles*tq + t) + j) + lane at output j of a tile, that of a row is m*ty + i.
    """

    def __init__(self, windows: Windows, plan: Plan, names: set[str], origin: Origin | None, dtype: DType) -> None:
        self.windows, self.plan, self.names, self.dtype = windows, plan, names, dtype
        rule = f"minimal filtering {plan.title}"
        self.origin = None if origin is None else Origin(origin.node, origin.addend, rule, (origin,))
        self.step = windows.column.step
        self.rows = (1 if windows.row is None else windows.row.places) // plan.row.m
        self.columns = windows.column.places // plan.column.m
        self.ty, self.tq, self.t, self.lane, self.p, self.q = (
            fresh_name(name, names) for name in ("ty", "tq", "t", "l", "p", "q")
        )
        n = affine(windows.column.place.lo).plus(affine(Axis(self.lane)))
        n = n.plus(affine(Axis(self.tq)), self.step * plan.column.m * plan.tiles)
        self._first_column = n.plus(affine(Axis(self.t)), self.step * plan.column.m)  # of a tile

    def stretches(self) -> list[Range]:
        """The loops over stretches of tiles."""
        loops = [] if self.windows.row is None else [Range(self.ty, ZERO, index_constant(self.rows))]
        return [*loops, Range(self.tq, ZERO, index_constant(self.columns // self.plan.tiles))]

    def apart(self, loops: Iterable[Range]) -> tuple[list[Range], list[Range]]:
        """The loops over stretches: those whose iterations have temps of their own, and those that take turns.

        Rows of tiles are apart where the loops around leave little for several threads to share.
        """
        stretches = self.stretches()
        count = 1 if self.windows.row is not None and volume(loops) < FEW else 0
        return stretches[:count], stretches[count:]

    def products(self) -> Range:
        return Range(self.p, ZERO, index_constant(self.plan.products))

    def width(self) -> Range:
        """The tiles and lanes of a stretch as one axis."""
        return Range(self.q, ZERO, index_constant(self.plan.tiles * self.step))

    def tile(self) -> tuple[Range, ...]:
        """The loops over the tiles of a stretch, and over lanes."""
        return Range(self.t, ZERO, index_constant(self.plan.tiles)), Range(self.lane, ZERO, index_constant(self.step))

    def column(self) -> Expr:
        """Where a tile and lane lie along `width`."""
        return affine(Axis(self.lane)).plus(affine(Axis(self.t)), self.step).expr()

    def places(self, i: Expr, j: Expr) -> dict[Expr, Expr]:
        """The places of the windows at output, or element of the data, (i, j) of the present tile and lane."""
        row, column = self.windows.row, self.windows.column
        places: dict[Expr, Expr] = {Axis(column.place.axis): self._first_column.plus(affine(j), self.step).expr()}
        if row is not None:
            y = affine(row.place.lo).plus(affine(Axis(self.ty)), self.plan.row.m).plus(affine(i))
            places[Axis(row.place.axis)] = y.expr()
        return places

    def data(self, i: Expr, j: Expr) -> dict[Expr, Expr]:
        """Places and taps at which the data has element (i, j) of the present tile."""
        return self.places(i, j) | self.taps(ZERO, ZERO)

    def taps(self, i: Expr, j: Expr) -> dict[Expr, Expr]:
        row, column = self.windows.row, self.windows.column
        taps: dict[Expr, Expr] = {Axis(column.taps.axis): column.tap(j)}
        if row is not None:
            taps[Axis(row.taps.axis)] = row.tap(i)
        return taps

    def buffer(self, source: str, loops: Iterable[Range], ranges: Iterable[Range]) -> Buffer:
        """A temp [loops..., p, ranges...], with an unused row at the end of each p.

        A multiple of 4 KB between the values of neighbouring products would put all of a tile's in one cache set.
        """
        first, *rest = map(extent_of, ranges)
        shape = (*map(extent_of, loops), index_constant(self.plan.products), affine(first).shifted(1).expr(), *rest)
        name = fresh_name(f"{source} in {self.plan.title}", self.names)
        return Buffer(name, self.dtype, shape, "temp", default_layout(shape))

    def with_rest(self, rest: Iterable[_T], tile: _T) -> tuple[_T, ...]:
        """What belongs to the terms and to a tile, in the order in which transformed data lie."""
        return (*rest, tile)

    def inside(self, i: Expr, j: Expr, data: bool) -> Expr | None:
        """The condition that output (i, j) of the present tile is a place, or that its data has such an element.

        None where all tiles have it, as all of these do.
        """
        return None

    def transform(self, rows: Matrix, columns: Matrix, value: Element, body: Result) -> Stmt:
        """rows * X * columns^T: `value` is an element of X, and `body` what is done with one of the result."""
        (p, i), (q, j) = ((fresh_name(out, self.names), fresh_name(axis, self.names)) for out, axis in ("fi", "gj"))
        result = Local(fresh_name("v", self.names), self.dtype, self.origin)
        ways = Way(p, i, rows), Way(q, j, columns)
        done = body(Axis(p), Axis(q), result)
        return Transform(result.name, *ways, value(Axis(i), Axis(j)), done, self.origin)

    def stored(self, buffer: Buffer, loops: Iterable[Range], *place: Expr) -> Result:
        """What stores the values of the products, counted row by row, at their place."""
        leading = tuple(map(position_in, loops))

        def store(p: Expr, q: Expr, value: Expr) -> Body:
            return (Store(buffer.name, (*leading, self.product(p, q), *place), value, self.origin),)

        return store

    def product(self, p: Expr, q: Expr) -> Expr:
        """The number of product (p, q) of a tile."""
        return affine(q).plus(affine(p), self.plan.column.products).expr()


class ImageTiles(Tiles):
    """All tiles of an image at a time, in rows `ty` of tiles `t`, without lanes: those are filters.

    The last ones reach beyond the places where these are no multiple of a tile.
    """

    def __init__(self, windows: Windows, plan: Plan, names: set[str], origin: Origin | None, dtype: DType) -> None:
        super().__init__(windows, plan, names, origin, dtype)
        self.rows = 1 if windows.row is None else -(-windows.row.places // plan.row.m)
        self.columns = -(-windows.column.places // plan.column.m)

    def stretches(self) -> list[Range]:
        return []

    def width(self) -> Range:
        return Range(self.q, ZERO, index_constant(self.rows * self.columns))

    def tile(self) -> tuple[Range, ...]:
        return Range(self.ty, ZERO, index_constant(self.rows)), Range(self.t, ZERO, index_constant(self.columns))

    def column(self) -> Expr:
        return affine(Axis(self.t)).plus(affine(Axis(self.ty)), self.columns).expr()

    def places(self, i: Expr, j: Expr) -> dict[Expr, Expr]:
        return {
            Axis(w.place.axis): affine(w.place.lo).plus(affine(number)).plus(affine(Axis(axis)), m).expr()
            for w, axis, m, _, number in self._ways(i, j)
        }

    def with_rest(self, rest: Iterable[_T], tile: _T) -> tuple[_T, ...]:
        return (tile, *rest)

    def inside(self, i: Expr, j: Expr, data: bool) -> Expr | None:
        """Asked only of the numbers that lie beyond the image in the last tile: the others' part is known."""
        conditions: list[Expr] = []
        for w, axis, m, count, number in self._ways(i, j):
            more = w.size - 1 if data else 0
            end = w.places + more
            sure = end - m * (count - 1)
            if sure < m + more:
                position = affine(number).plus(affine(Axis(axis)), m).expr()
                known, asked = ((number, sure), (position, end))
                tests = (Op("lt", (place, index_constant(bound)), "bool") for place, bound in (known, asked))
                conditions.append(Op("or", tuple(tests), "bool"))
        return conjunction(conditions)

    def _ways(self, i: Expr, j: Expr) -> list[tuple[Window, str, int, int, Expr]]:
        """Window, axis of the tiles, outputs of one, how many there are, and the number asked for, of each way."""
        row, column, plan = self.windows.row, self.windows.column, self.plan
        ways = [] if row is None else [(row, self.ty, plan.row.m, self.rows, i)]
        return [*ways, (column, self.t, plan.column.m, self.columns, j)]


def at(expr: Expr, values: dict[Expr, Expr]) -> Expr:
    """An expression with axes and locals replaced."""
    return folded(substitute(expr, values))


def body_at(body: Body, values: dict[Expr, Expr], names: set[str]) -> Body:
    """A contraction's body with values in place of its axes and sum; what it binds gets fresh names."""
    fresh = {s.name: fresh_name(s.name, names) for s in body if isinstance(s, Let)}
    return rewrite(rename(body, fresh), lambda e: at(e, values))

"""A correlation by minimal filtering: its statements, a row of tiles at a time.

    contract s = sum[m: o; n: j; k: c, u, v] fma(W[o, c, u, v], x[b, c, y + u, j + 16*v]): body(y, j, s)
      ->  U[p, o, c] = (G g G^T)[p]                                       once, ahead of all loops
          for ty: for tq:                                                 tiles whose data stay in cache
            for c: for t: for l: V[p, c, 16*t + l] = (B^T d B)[p]         lane by lane
            for p: contract s = sum[m: o; n: j; k: c] fma(U[p, o, c], V[p, c, j]): M[p, o, j] = s
            for o: for t: for l: body at each output of A^T M A
          the rows and columns that fill no tile, as before

p counts the products of a tile, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from graphnn.lower.affine import affine
from graphnn.lower.ir import Buffer, Contract, Let, Stmt, Store
from graphnn.schedule.affine import ZERO, default_layout, extent_of, folded, position_in
from graphnn.schedule.algorithms import Algorithm
from graphnn.schedule.correlations import Correlation
from graphnn.schedule.linear_maps import Lets, nested
from graphnn.schedule.nest import wrap
from graphnn.schedule.statements import Body, fresh_name, rename, rewrite
from graphnn.simplify.expr import Axis, Expr, Load, Local, Origin, Range, axes_of, index_constant, substitute


@dataclass(frozen=True, slots=True)
class Plan:
    """How a correlation is filtered: the algorithm of each way, and how many tiles of a row are taken at once."""

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


class Filtered(NamedTuple):
    """`kernel` are the nests that transform the weights, `body` what stands in the contraction's loops' place."""

    kernel: Body
    body: Body
    buffers: tuple[Buffer, ...]


def filter_tiles(c: Correlation, plan: Plan, around: Iterable[Range], names: set[str]) -> Filtered:
    """The statements of a correlation by minimal filtering, inside of the loops `around`."""
    return _Tiles(c, plan, (*around, *c.outer), names).build()


class _Tiles:
    def __init__(self, c: Correlation, plan: Plan, loops: tuple[Range, ...], names: set[str]) -> None:
        self.c, self.plan, self.loops, self.names = c, plan, loops, names
        contract = c.contract
        self.dtype = c.kernel.dtype
        old = contract.origin
        rule = f"minimal filtering {plan.title}"
        self.origin = None if old is None else Origin(old.node, old.addend, rule, (old,))
        self.step = c.column.step
        self.rows = (1 if c.row is None else c.row.places) // plan.row.m
        self.columns = c.column.places // plan.column.m
        self.ty, self.tq, self.t, self.lane, self.p, self.q = (
            fresh_name(name, names) for name in ("ty", "tq", "t", "l", "p", "q")
        )

    def build(self) -> Filtered:
        c, plan = self.c, self.plan
        held = axes_of(c.kernel)
        own = tuple(r for r in self.loops if r.axis in held)
        width = Range(self.q, ZERO, index_constant(plan.tiles * self.step))
        kernel = self._buffer(c.kernel.buffer, own, c.along(c.filters, c.rest))
        data = self._buffer(c.data.buffer, self.loops, (*c.rest, width))
        sums = self._buffer(c.contract.name, self.loops, c.along(c.filters, (width,)))
        tiles = (
            *self._data(data),
            *self._products(kernel, data, sums, own, width),
            *self._outputs(sums),
        )
        loops = [Range(self.ty, ZERO, index_constant(self.rows))] if c.row is not None else []
        loops.append(Range(self.tq, ZERO, index_constant(self.columns // plan.tiles)))
        body = (*wrap(loops, tiles), *self._tails())
        return Filtered(self._kernel(kernel, own), wrap(c.outer, body), (kernel, data, sums))

    def _buffer(self, source: str, loops: tuple[Range, ...], ranges: tuple[Range, ...]) -> Buffer:
        """A temp [loops..., p, ranges...], with an unused row at the end of each p.

        A multiple of 4 KB between the values of neighbouring products would put all of a tile's in one cache set.
        """
        first, *rest = map(extent_of, ranges)
        first = affine(first).shifted(1).expr()
        shape = (*map(extent_of, loops), index_constant(self.plan.products), first, *rest)
        return Buffer(
            fresh_name(f"{source} in {self.plan.title}", self.names), self.dtype, shape, "temp", default_layout(shape)
        )

    def _place(self, loops: Iterable[Range], number: Expr, *index: Expr) -> tuple[Expr, ...]:
        return (*map(position_in, loops), number, *index)

    def _lets(self) -> Lets:
        return Lets(fresh_name("v", self.names), self.origin, [])

    def _kernel(self, buffer: Buffer, own: tuple[Range, ...]) -> Body:
        """U = G g G^T, for each filter and rest."""
        c, plan, lets = self.c, self.plan, self._lets()
        old = (*own, *c.along(c.filters, c.rest))
        renamed = {r.axis: fresh_name(r.axis, self.names) for r in old}
        ranges = [replace(r, axis=renamed[r.axis]) for r in old]

        def tap(i: int, j: int) -> Expr:
            taps: dict[Expr, Expr] = {Axis(c.column.taps.axis): c.column.tap(j)}
            if c.row is not None:
                taps[Axis(c.row.taps.axis)] = c.row.tap(i)
            return lets.bind(_at(c.kernel, taps | {Axis(old): Axis(new) for old, new in renamed.items()}))

        place = tuple(map(position_in, ranges))
        for number, (_, _, value) in enumerate(nested(lets, plan.row.kernel, plan.column.kernel, tap)):
            index = (*place[: len(own)], index_constant(number), *place[len(own) :])
            lets.statements.append(Store(buffer.name, index, value, self.origin))
        return wrap(ranges, tuple(lets.statements))

    def _data(self, buffer: Buffer) -> Body:
        """V = B^T d B, for each rest and lane of a tile."""
        c, plan, lets = self.c, self.plan, self._lets()
        renamed = {r.axis: fresh_name(r.axis, self.names) for r in c.rest}
        rest = [replace(r, axis=renamed[r.axis]) for r in c.rest]

        def element(i: int, j: int) -> Expr:
            axes = self._places(i, j) | {Axis(old): Axis(new) for old, new in renamed.items()}
            axes |= {Axis(w.taps.axis): w.tap(0) for w in c.windows}
            return lets.bind(_at(c.data, axes))

        place = tuple(map(position_in, rest))
        for number, (_, _, value) in enumerate(nested(lets, plan.row.data, plan.column.data, element)):
            index = self._place(self.loops, index_constant(number), *place, self._column())
            lets.statements.append(Store(buffer.name, index, value, self.origin))
        return wrap((*rest, *self._tile()), tuple(lets.statements))

    def _tile(self) -> tuple[Range, ...]:
        """The loops over the tiles that are taken at once, and over lanes."""
        return Range(self.t, ZERO, index_constant(self.plan.tiles)), Range(self.lane, ZERO, index_constant(self.step))

    def _column(self) -> Expr:
        """Where a tile and lane lie in V and M."""
        return affine(Axis(self.lane)).plus(affine(Axis(self.t)), self.step).expr()

    def _places(self, i: int, j: int) -> dict[Expr, Expr]:
        """The places of the correlation at output, or element of the data, (i, j) of the present tile and lane."""
        c, plan = self.c, self.plan
        n = affine(c.column.place.lo).plus(affine(Axis(self.lane))).shifted(self.step * j)
        n = n.plus(affine(Axis(self.tq)), self.step * plan.column.m * plan.tiles)
        n = n.plus(affine(Axis(self.t)), self.step * plan.column.m)
        places: dict[Expr, Expr] = {Axis(c.column.place.axis): n.expr()}
        if c.row is not None:
            y = affine(c.row.place.lo).plus(affine(Axis(self.ty)), plan.row.m).shifted(i)
            places[Axis(c.row.place.axis)] = y.expr()
        return places

    def _products(self, kernel: Buffer, data: Buffer, sums: Buffer, own: tuple[Range, ...], width: Range) -> Body:
        """M = U*V, a contraction over rest for each p."""
        c, p, q = self.c, Axis(self.p), Axis(self.q)
        name = fresh_name(c.contract.name, self.names)
        renamed = {r.axis: fresh_name(r.axis, self.names) for r in (c.filters, *c.rest)}
        filters, *rest = (replace(r, axis=renamed[r.axis]) for r in (c.filters, *c.rest))
        one, terms = position_in(filters), tuple(map(position_in, rest))
        u = Load(kernel.name, self._place(own, p, *c.along(one, terms)), self.dtype, c.kernel.origin)
        v = Load(data.name, self._place(self.loops, p, *terms, q), self.dtype, c.data.origin)
        place = self._place(self.loops, p, *c.along(one, (q,)))
        store = Store(sums.name, place, Local(name, self.dtype, self.origin), self.origin)
        (m, n), (a, b) = c.along(filters, (width,)), c.along(u, (v,))
        products = Contract(name, m, n, tuple(rest), a, b, (store,), self.origin)
        return wrap([Range(self.p, ZERO, index_constant(self.plan.products))], (products,))

    def _outputs(self, sums: Buffer) -> Body:
        """The contraction's body at each output of a tile, A^T M A."""
        c, plan, lets = self.c, self.plan, self._lets()
        filters = replace(c.filters, axis=fresh_name(c.filters.axis, self.names))

        def product_at(i: int, j: int) -> Expr:
            number = index_constant(i * plan.column.products + j)
            index = self._place(self.loops, number, *c.along(position_in(filters), (self._column(),)))
            return lets.bind(Load(sums.name, index, self.dtype, self.origin))

        for i, j, value in nested(lets, plan.row.outputs, plan.column.outputs, product_at):
            axes = self._places(i, j) | {Axis(c.filters.axis): Axis(filters.axis)}
            lets.statements += self._body(axes | {Local(c.contract.name, self.dtype): value})
        return wrap((filters, *self._tile()), tuple(lets.statements))

    def _body(self, values: dict[Expr, Expr]) -> Body:
        """The contraction's body with values in place of its axes and sum; what it binds gets fresh names."""
        body = self.c.contract.body
        fresh = {s.name: fresh_name(s.name, self.names) for s in body if isinstance(s, Let)}
        return rewrite(rename(body, fresh), lambda e: _at(e, values))

    def _tails(self) -> Body:
        """The correlation as it was, over the rows and columns that fill no tile."""
        c, plan = self.c, self.plan
        contract, found = c.contract, list[Stmt]()
        rows = plan.row.m * self.rows
        done = affine(c.column.place.lo).shifted(plan.column.m * self.columns * self.step).expr()
        if c.column.places % plan.column.m:
            strip = c.over(replace(c.column.place, lo=done))
            if c.row is None:
                found += self._again(strip, ())
            elif rows:
                end = affine(c.row.place.lo).shifted(rows).expr()
                found += self._again(strip, (replace(c.row.place, hi=end),))
        if c.row is not None and c.row.places % plan.row.m:
            start = affine(c.row.place.lo).shifted(rows).expr()
            found += self._again(contract, (replace(c.row.place, lo=start),))
        return tuple(found)

    def _again(self, contract: Contract, loops: tuple[Range, ...]) -> Body:
        """A copy of the contraction in loops, everything bound under fresh names."""
        body = wrap(loops, (contract,))
        bound = {contract.name, *(r.axis for r in (*loops, contract.m, contract.n, *contract.k))}
        bound |= {s.name for s in contract.body if isinstance(s, Let)}
        return rename(body, {name: fresh_name(name, self.names) for name in sorted(bound)})


def _at(expr: Expr, values: dict[Expr, Expr]) -> Expr:
    return folded(substitute(expr, values))

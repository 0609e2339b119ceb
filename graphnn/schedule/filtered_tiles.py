"""A correlation by minimal filtering: its statements, some tiles at a time.

    contract s = sum[m: o; n: j; k: c, u, v] fma(W[o, c, u, v], x[b, c, y + u, j + 16*v]): body(y, j, s)
      ->  U[p, o, c] = (G g G^T)[p]                                       once, ahead of all loops
          for ty: for tq:                                                 tiles whose data stay in cache
            for c: for t: for l: V[p, c, 16*t + l] = (B^T d B)[p]         lane by lane
            for p: contract s = sum[m: o; n: j; k: c] fma(U[p, o, c], V[p, c, j]): M[p, o, j] = s
            for o: for t: for l: body at each output of A^T M A
          the rows and columns that fill no tile, as before

    contract s = sum[m: x; n: o; k: c, u, v] fma(d[b, c, y + u, x + v], W[c, u, v, o]): body(y, x, s)
      ->  U[p, c, o] = (G g G^T)[p]
          for c: for ty: for t: V[p, q, c] = (B^T d B)[p]                 q counts all tiles; filters in the lanes
          for p: contract s = sum[m: q; n: o; k: c] fma(V[p, q, c], U[p, c, o]): M[p, q, o] = s
          for o: for ty: for t: body at each output of A^T M A that is a place

p counts the products of a tile, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graphnn.lower.affine import affine
from graphnn.lower.guards import conjuncts
from graphnn.lower.ir import Buffer, Contract, Let, Stmt, Store
from graphnn.lower.nests import when
from graphnn.schedule.affine import position_in
from graphnn.schedule.correlations import Correlation
from graphnn.schedule.nest import wrap
from graphnn.schedule.statements import Body, fresh_name, rename
from graphnn.schedule.tiles import Filtered, ImageTiles, Plan, Tiles, at, body_at
from graphnn.simplify.expr import Axis, Expr, Load, Local, Op, Range, axes_of, identity_of


def filter_tiles(c: Correlation, plan: Plan, around: Iterable[Range], names: set[str]) -> Filtered:
    """The statements of a correlation by minimal filtering, inside of the loops `around`."""
    return _Filter(c, plan, (*around, *c.outer), names).build()


class _Filter:
    def __init__(self, c: Correlation, plan: Plan, loops: tuple[Range, ...], names: set[str]) -> None:
        self.c, self.plan, self.names = c, plan, names
        kind = ImageTiles if c.filters_in_lanes else Tiles
        self.tiles = kind(c.windows, plan, names, c.contract.origin, c.kernel.dtype)
        self.stretches = self.tiles.apart(loops)
        self.loops = (*loops, *self.stretches[0])  # which have V and M of their own
        held = axes_of(c.kernel)
        self.own = tuple(r for r in loops if r.axis in held)  # loops that the kernel depends on

    def build(self) -> Filtered:
        c, tiles = self.c, self.tiles
        kernel = tiles.buffer(c.kernel.buffer, self.own, c.along(c.filters, c.rest))
        data = tiles.buffer(c.data.buffer, self.loops, tiles.with_rest(c.rest, tiles.width()))
        sums = tiles.buffer(c.contract.name, self.loops, c.along(c.filters, (tiles.width(),)))
        parts = (self._data(data), self._products(kernel, data, sums), self._outputs(sums))
        if isinstance(tiles, ImageTiles):
            body = tuple(s for part in parts for s in self._around(part))
        else:
            inside = wrap((*self.stretches[0], *self.stretches[1]), tuple(s for part in parts for s in part))
            body = wrap(c.outer, (*inside, *self._tails()))
        return Filtered(self._kernel(kernel), body, (kernel, data, sums))

    def _around(self, body: Body) -> Body:
        """The statements in loops of their own, so that threads share each of them."""
        loops, _ = self._renamed(self.c.outer)
        return rename(wrap(self.c.outer, body), {r.axis: own.axis for r, own in zip(self.c.outer, loops, strict=True)})

    def _renamed(self, ranges: Iterable[Range]) -> tuple[list[Range], dict[Expr, Expr]]:
        """The ranges under fresh names, and what to put for their axes."""
        old = tuple(ranges)
        new = [replace(r, axis=fresh_name(r.axis, self.names)) for r in old]
        return new, {Axis(r.axis): Axis(fresh.axis) for r, fresh in zip(old, new, strict=True)}

    def _kernel(self, buffer: Buffer) -> Body:
        """U = G g G^T, for each filter and rest."""
        c, tiles = self.c, self.tiles
        ranges, axes = self._renamed((*self.own, *c.along(c.filters, c.rest)))
        own, others = ranges[: len(self.own)], ranges[len(self.own) :]

        def tap(i: Expr, j: Expr) -> Expr:
            return at(c.kernel, tiles.taps(i, j) | axes)

        store = tiles.stored(buffer, own, *map(position_in, others))
        return wrap(ranges, (tiles.transform(self.plan.row.kernel, self.plan.column.kernel, tap, store),))

    def _data(self, buffer: Buffer) -> Body:
        """V = B^T d B, for each rest and lane of a tile."""
        c, tiles = self.c, self.tiles
        rest, axes = self._renamed(c.rest)

        def element(i: Expr, j: Expr) -> Expr:
            value, inside = at(c.data, tiles.data(i, j) | axes), tiles.inside(i, j, data=True)
            zero = identity_of("sum", tiles.dtype)
            return value if inside is None else Op("select", (inside, value, zero), tiles.dtype, value.origin)

        store = tiles.stored(buffer, self.loops, *tiles.with_rest(map(position_in, rest), tiles.column()))
        transform = tiles.transform(self.plan.row.data, self.plan.column.data, element, store)
        return wrap((*rest, *tiles.tile()), (transform,))

    def _products(self, kernel: Buffer, data: Buffer, sums: Buffer) -> Body:
        """M = U*V, a contraction over rest for each p."""
        c, tiles, width = self.c, self.tiles, self.tiles.width()
        (filters, *rest), _ = self._renamed((c.filters, *c.rest))
        own, loops = (tuple(map(position_in, ranges)) for ranges in (self.own, self.loops))
        p, q, one, terms = Axis(tiles.p), Axis(width.axis), position_in(filters), tuple(map(position_in, rest))
        u = Load(kernel.name, (*own, p, *c.along(one, terms)), tiles.dtype, c.kernel.origin)
        v = Load(data.name, (*loops, p, *tiles.with_rest(terms, q)), tiles.dtype, c.data.origin)
        name = fresh_name(c.contract.name, self.names)
        value = Local(name, tiles.dtype, tiles.origin)
        store = Store(sums.name, (*loops, p, *c.along(one, (q,))), value, tiles.origin)
        (m, n), (a, b) = c.along(filters, (width,)), c.along(u, (v,))
        return wrap((tiles.products(),), (Contract(name, m, n, tuple(rest), a, b, (store,), tiles.origin),))

    def _outputs(self, sums: Buffer) -> Body:
        """The contraction's body at each output of a tile, A^T M A."""
        c, plan, tiles = self.c, self.plan, self.tiles
        (filters,), axes = self._renamed((c.filters,))
        loops = tuple(map(position_in, self.loops))

        def product_at(i: Expr, j: Expr) -> Expr:
            index = (*loops, tiles.product(i, j), *c.along(position_in(filters), (tiles.column(),)))
            return Load(sums.name, index, tiles.dtype, tiles.origin)

        def result(p: Expr, q: Expr, value: Expr) -> Body:
            values = {**tiles.places(p, q), **axes, Local(c.contract.name, tiles.dtype): value}
            return when(conjuncts(tiles.inside(p, q, data=False)), body_at(c.contract.body, values, self.names))

        transform = tiles.transform(plan.row.outputs, plan.column.outputs, product_at, result)
        return wrap((filters, *tiles.tile()), (transform,))

    def _tails(self) -> Body:
        """The correlation as it was, over the rows and columns that fill no tile."""
        c, plan, tiles, found = self.c, self.plan, self.tiles, list[Stmt]()
        rows = plan.row.m * tiles.rows
        done = affine(c.column.place.lo).shifted(plan.column.m * tiles.columns * tiles.step).expr()
        if c.column.places % plan.column.m:
            strip = c.over(replace(c.column.place, lo=done))
            if c.row is None:
                found += self._again(strip, ())
            elif rows:
                end = affine(c.row.place.lo).shifted(rows).expr()
                found += self._again(strip, (replace(c.row.place, hi=end),))
        if c.row is not None and c.row.places % plan.row.m:
            start = affine(c.row.place.lo).shifted(rows).expr()
            found += self._again(c.contract, (replace(c.row.place, lo=start),))
        return tuple(found)

    def _again(self, contract: Contract, loops: tuple[Range, ...]) -> Body:
        """A copy of the contraction in loops, everything bound under fresh names."""
        body = wrap(loops, (contract,))
        bound = {contract.name, *(r.axis for r in (*loops, contract.m, contract.n, *contract.k))}
        bound |= {s.name for s in contract.body if isinstance(s, Let)}
        return rename(body, {name: fresh_name(name, self.names) for name in sorted(bound)})

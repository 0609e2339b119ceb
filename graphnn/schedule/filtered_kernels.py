"""The gradient of a correlation by its kernel by minimal filtering: its statements, some tiles at a time.

    for u: for v: contract s = sum[m: o; n: c; k: b, y, j] fma(g[b, o, y, j], x[b, c, y + u, j + 16*v]): body(u, v, s)
      ->  for b:
            for p: for o: for c: S[b, p, o, c] = 0
            for ty: for tq:                                                   tiles whose data stay in cache
              for o: for t: for l: E[b, p, o, 16*t + l] = (A g A^T)[p]        each factor along what is contiguous
              for c: for t: for l: V[b, p, 16*t + l, c] = (B^T x B)[p]
              for p: contract s = sum[m: o; n: c; k: j] fma(E[b, p, o, j], V[b, p, j, c]): S[b, p, o, c] += s
          for p: for o: for c: S'[p, o, c] = sum[b](S[b, p, o, c])
          for o: for c: body at each tap of G^T S' G

It is the transpose in g of what `filtered_tiles` does: the same three matrices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, Store
from graphnn.lower.transforms import Matrix
from graphnn.schedule.affine import position_in
from graphnn.schedule.kernel_gradients import KernelGradient
from graphnn.schedule.nest import wrap
from graphnn.schedule.statements import Body, fresh_name
from graphnn.schedule.tiles import Filtered, Plan, Tiles, at, body_at
from graphnn.simplify.expr import Axis, Expr, Load, Local, Range, identity_of


def filter_kernel_gradient(c: KernelGradient, plan: Plan, around: Iterable[Range], names: set[str]) -> Filtered:
    """The statements of a gradient by minimal filtering, inside of the loops `around`."""
    return _Filter(c, plan, (*around, *c.outer), names).build()


class _Filter:
    def __init__(self, c: KernelGradient, plan: Plan, loops: tuple[Range, ...], names: set[str]) -> None:
        self.c, self.plan, self.names = c, plan, names
        self.tiles = Tiles(c.windows, plan, names, c.contract.origin, c.data.dtype)
        apart, self.stretches = self.tiles.apart((*loops, *c.rest))
        self.parts = (*c.rest, *apart)  # each has a sum of its own
        self.around, self.loops = loops, (*loops, *self.parts)

    def build(self) -> Filtered:
        c, tiles, contract = self.c, self.tiles, self.c.contract
        assert isinstance(contract.a, Load)
        assert isinstance(contract.b, Load)
        first = tiles.buffer(contract.a.buffer, self.loops, (contract.m, tiles.width()))
        second = tiles.buffer(contract.b.buffer, self.loops, (tiles.width(), contract.n))
        sums = tiles.buffer(contract.name, self.loops, (contract.m, contract.n))
        body = (*self._factor(first, True), *self._factor(second, False), *self._products(first, second, sums))
        buffers, statements = [first, second, sums], wrap(self.parts, (*self._zeros(sums), *wrap(self.stretches, body)))
        if self.parts:
            total = tiles.buffer(contract.name, self.around, (contract.m, contract.n))
            statements += self._total(sums, total)
            buffers.append(total)
            sums = total
        return Filtered((), wrap(c.outer, (*statements, *self._taps(sums))), tuple(buffers))

    def _elements(self) -> tuple[list[Range], dict[Expr, Expr], tuple[Expr, ...]]:
        """m and n under fresh names, what to put for their axes, and the positions."""
        old = (self.c.contract.m, self.c.contract.n)
        new = [replace(r, axis=fresh_name(r.axis, self.names)) for r in old]
        axes: dict[Expr, Expr] = {Axis(r.axis): Axis(fresh.axis) for r, fresh in zip(old, new, strict=True)}
        return new, axes, tuple(map(position_in, new))

    def _factor(self, buffer: Buffer, is_first: bool) -> Body:
        """E = A g A^T or V = B^T d B, for each m or n and lane of a tile."""
        c, plan, tiles = self.c, self.plan, self.tiles
        factor = c.contract.a if is_first else c.contract.b
        (m, n), axes, (row, column) = self._elements()
        is_data = is_first == c.data_first

        def element(i: Expr, j: Expr) -> Expr:
            return at(factor, (tiles.data(i, j) if is_data else tiles.places(i, j)) | axes)

        rows, columns = (a.data if is_data else _transposed(a.outputs) for a in (plan.row, plan.column))
        place = (row, tiles.column()) if is_first else (tiles.column(), column)
        transform = tiles.transform(rows, columns, element, tiles.stored(buffer, self.loops, *place))
        return wrap((m, *tiles.tile()) if is_first else (*tiles.tile(), n), (transform,))

    def _zeros(self, sums: Buffer) -> Body:
        (m, n), _, place = self._elements()
        product = replace(self.tiles.products(), axis=fresh_name("p", self.names))
        index = (*map(position_in, (*self.loops, product)), *place)
        return wrap((product, m, n), (Store(sums.name, index, identity_of("sum", sums.dtype), self.tiles.origin),))

    def _products(self, first: Buffer, second: Buffer, sums: Buffer) -> Body:
        """S += E*V, a contraction over the places of a stretch for each p."""
        c, tiles, width = self.c.contract, self.tiles, self.tiles.width()
        (m, n), _, (row, column) = self._elements()
        loops, p, q = tuple(map(position_in, self.loops)), Axis(tiles.p), Axis(width.axis)
        a = Load(first.name, (*loops, p, row, q), tiles.dtype, c.a.origin)
        b = Load(second.name, (*loops, p, q, column), tiles.dtype, c.b.origin)
        name = fresh_name(c.name, self.names)
        value = Local(name, tiles.dtype, tiles.origin)
        added = Accumulate(sums.name, (*loops, p, row, column), "sum", value, tiles.origin)
        return wrap((tiles.products(),), (Contract(name, m, n, (width,), a, b, (added,), tiles.origin),))

    def _total(self, sums: Buffer, total: Buffer) -> Body:
        """The sum over all parts, for each p."""
        (m, n), _, place = self._elements()
        product = replace(self.tiles.products(), axis=fresh_name("p", self.names))
        parts = [replace(r, axis=fresh_name(r.axis, self.names)) for r in self.parts]
        around = tuple(map(position_in, self.around))
        index = (*around, *map(position_in, (*parts, product)), *place)
        name, origin = fresh_name(self.c.contract.name, self.names), self.tiles.origin
        fold = Fold(name, "sum", tuple(parts), None, Load(sums.name, index, sums.dtype, origin), origin)
        value = Local(name, sums.dtype, origin)
        store = Store(total.name, (*around, position_in(product), *place), value, origin)
        return wrap((product, m, n), (fold, store))

    def _taps(self, sums: Buffer) -> Body:
        """The contraction's body at each tap of G^T S G."""
        c, plan, tiles = self.c, self.plan, self.tiles
        (m, n), axes, place = self._elements()
        around = tuple(map(position_in, self.around))

        def product_at(i: Expr, j: Expr) -> Expr:
            return Load(sums.name, (*around, tiles.product(i, j), *place), tiles.dtype, tiles.origin)

        def result(p: Expr, q: Expr, value: Expr) -> Body:
            values = {**tiles.taps(p, q), **axes, Local(c.contract.name, tiles.dtype): value}
            return body_at(c.contract.body, values, self.names)

        rows, columns = (_transposed(a.kernel) for a in (plan.row, plan.column))
        return wrap((m, n), (tiles.transform(rows, columns, product_at, result),))


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))

"""Loops around a contraction run inside of blocks of its rows and columns, whose operands stay in cache.

for u < 3: for v < 3: contract m: o < 256; n: c < 256; k        x and g come from memory for each u and v
  ->  for p < 8: for q < 4: for u: for v: contract m: 64*q <= o < 64*q + 64; n: 32*p <= c < 32*p + 32; k
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from graphnn.lower.affine import affine
from graphnn.lower.ir import Contract, For, If, Program, Stmt
from graphnn.schedule.affine import ZERO, integer, known_extent
from graphnn.schedule.cost import CostModel
from graphnn.schedule.extents import volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import moves_inward, peel, wrap
from graphnn.schedule.statements import Body, fresh_name, names_in, rewrite
from graphnn.schedule.traffic import FAR, VECTORS, far_lines
from graphnn.simplify.expr import Axis, Expr, Range, index_constant, substitute

LEAST = 0.07  # of a contraction's multiply-adds: what blocks must save, as they cost tiles that are less full
ROWS = 16  # in a block, at least, and what its rows are a multiple of


def block_panels(program: Program, machine: Machine) -> Program:
    """Compute one block of rows and columns of a contraction in all iterations of the loops around it, then the next.

    for u: contract m, n < 256: w[n]  ->  for p < 8: for u: contract m, n < 32: w[32*p + n]

    Where the model of traffic finds that enough lines less come from beyond the second-level cache. Left alone: loops
    whose iterations are not independent, extents that are not known or that blocks do not divide.
    """
    model = CostModel.of(program.buffers, machine)
    names = {b.name for b in program.buffers} | set(program.sizes) | names_in(program.body)
    return replace(program, body=_visit(program.body, model, names))


def _visit(body: Body, model: CostModel, names: set[str]) -> Body:
    return tuple(_statement(stmt, model, names) for stmt in body)


def _statement(stmt: Stmt, model: CostModel, names: set[str]) -> Stmt:
    nest = peel(stmt)
    if nest.contract is None:
        return replace(stmt, body=_visit(stmt.body, model, names)) if isinstance(stmt, For | If) else stmt
    if nest.contract.lanes > 1 or not nest.outer or any(known_extent(r) is None for r in nest.loops):
        return stmt
    blocks = _cheapest(nest.outer, nest.contract, model)
    if not blocks or not all(moves_inward(nest, r.axis) for r in nest.loops):
        return stmt
    return _build(nest.outer, nest.contract, blocks, names)


@dataclass(frozen=True, slots=True)
class Block:
    """The range m or n of a contraction in blocks of `size`."""

    whole: Range
    size: int

    @property
    def count(self) -> int:
        return (known_extent(self.whole) or 0) // self.size


def _cheapest(outer: tuple[Range, ...], c: Contract, model: CostModel) -> tuple[Block, ...]:
    """The blocks, outermost first, with the fewest lines; none where they save too little."""
    work = volume((*outer, c.m, c.n, *c.k)) / model.lanes(c.body)
    lines = far_lines(outer, c, model)
    if FAR * lines < LEAST * work:
        return ()
    fewest, best = min(
        ((_lines(outer, c, blocks, model), blocks) for blocks in _choices(c, model)),
        key=lambda found: found[0],
        default=(lines, ()),
    )
    return best if FAR * (lines - fewest) > LEAST * work else ()


def _lines(outer: tuple[Range, ...], c: Contract, blocks: tuple[Block, ...], model: CostModel) -> float:
    """The lines with loops over blocks around the others."""
    m, n = c.m, c.n
    for block in blocks:
        part = Range(block.whole.axis, ZERO, index_constant(block.size))
        m, n = (part, n) if block.whole == c.m else (m, part)
    around = [Range(b.whole.axis, ZERO, index_constant(b.count)) for b in blocks]
    return far_lines((*around, *outer), replace(c, m=m, n=n), model)


def _choices(c: Contract, model: CostModel) -> Iterator[tuple[Block, ...]]:
    """Blocks of columns, of rows, and of both in either order."""
    wide = [Block(c.n, size) for size in _sizes(c.n, VECTORS * model.lanes(c.body))]
    tall = [Block(c.m, size) for size in _sizes(c.m, ROWS)]
    for columns in wide:
        yield (columns,)
        for rows in tall:
            yield columns, rows
            yield rows, columns
    for rows in tall:
        yield (rows,)


def _sizes(own: Range, unit: int) -> list[int]:
    """Whole parts of an extent: the unit, twice that, ..."""
    extent = known_extent(own) or 0
    return [size for j in range(8) if (size := unit << j) < extent and extent % size == 0]


def _build(outer: tuple[Range, ...], c: Contract, blocks: tuple[Block, ...], names: set[str]) -> Stmt:
    """The nest. Positions in a block are digits of an index, 32*p + n, so that blocks are seen to be independent."""
    loops: list[Range] = []
    for block in blocks:
        own, axis = block.whole, fresh_name(f"{block.whole.axis}_block", names)
        first = affine(integer("mul", index_constant(block.size), Axis(axis))).plus(affine(own.lo))
        place: dict[Expr, Expr] = {Axis(own.axis): first.plus(affine(Axis(own.axis))).expr()}
        (moved,) = rewrite((c,), partial(substitute, mapping=place))
        assert isinstance(moved, Contract)
        part = Range(own.axis, ZERO, index_constant(block.size))
        c = replace(moved, m=part) if own == c.m else replace(moved, n=part)
        loops.append(Range(axis, ZERO, index_constant(block.count)))
    (stmt,) = wrap((*loops, *outer), (c,))
    return stmt

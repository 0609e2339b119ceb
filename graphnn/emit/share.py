"""Which kernels are divided among threads, and the share of a nest that one thread runs.

    for i0 in 0 .. 512 parallel: ...   ->   for i0 in share.first .. share.last: ...
    for i0 in 0 .. 5 parallel: for i1 in 0 .. 6 parallel: ...
      ->  of the 30 pairs in row-major order, those from share.first to share.last

Shares are stretches of independent iterations, cut at whole vectors and whole tiles. No fold, no chain of multiply-adds
and no element is ever divided, so the number of threads has no say in any result. Which kernels are divided, and
along which loops, is decided here from the program alone; how many threads there are is known at the call only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from graphnn.emit.access import expressions_in
from graphnn.emit.target import Target
from graphnn.emit.transpose import crossing_loads
from graphnn.lower.ir import Buffer, Contract, For, Program, Stmt
from graphnn.schedule.affine import ONE, ZERO, ceildiv, extent_of, independent, integer, known_extent
from graphnn.schedule.cost import TILE_ROWS, TILE_VECTORS, CostModel
from graphnn.schedule.extents import extent
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import extents_inside
from graphnn.schedule.statements import rewrite
from graphnn.simplify.expr import Axis, Expr, Range, Size, axes_of, index_constant, substitute, walk

# In the units of the cost model, some quarter of a nanosecond each.
REGION = 40_000  # 10 us: what a program must take before other threads are called
KERNEL = 4_000  # 1 us: what a kernel must take to be worth a barrier, and the lines that move to another core
ENOUGH = 16  # parts that divide well among a few threads; with fewer, loops further inside are divided, too
LARGEST = 20  # sizes are tried up to 2**20

FIRST, LAST = Size("share.first"), Size("share.last")  # no identifier, so no size of a user's


@dataclass(frozen=True, slots=True)
class Division:
    """How a kernel is divided: along its outermost `depth` loops, the last of them by `unit`; 0: along its tiles."""

    depth: int
    unit: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """The divisions of a program's kernels, None for those that one thread runs.

    `least`: the program takes long enough where the geometric mean of its sizes is at least that.
    """

    divisions: tuple[Division | None, ...]
    least: int


def divide(program: Program, kernels: Sequence[tuple[Stmt, ...]], target: Target) -> Work | None:
    """How the kernels of a program are divided; None where other threads would never be worth calling."""
    model = CostModel.of(program.buffers, Machine(target.vector_bytes, target.vector_registers))
    buffers = {buffer.name: buffer for buffer in program.buffers}
    divisions = tuple(_division(kernel, model, buffers, bool(program.sizes)) for kernel in kernels)
    divided = [kernel[0] for kernel, found in zip(kernels, divisions, strict=True) if found is not None]
    sizes = [1] if not program.sizes else [2**power for power in range(LARGEST + 1)]
    for size in sizes:
        values: dict[Expr, Expr] = {Size(name): index_constant(size) for name in program.sizes}
        here = rewrite(tuple(divided), partial(substitute, mapping=values)) if values else divided
        if model.body(here, None, 1) >= REGION:
            return Work(divisions, size)
    return None


def _division(
    kernel: tuple[Stmt, ...], model: CostModel, buffers: Mapping[str, Buffer], may_be_sized: bool
) -> Division | None:
    """How one kernel is divided, if it is a single nest of independent iterations and not a small one.

    One that depends on a size, if the program has any, is never taken to be small.
    """
    if len(kernel) != 1:
        return None
    (statement,) = kernel
    chain, inside = independent_loops(statement)
    sized = may_be_sized and any(isinstance(e, Size) for root in expressions_in(kernel) for e in walk(root))
    if not sized and model.statement(statement) < KERNEL:
        return None
    found: list[tuple[float, Division]] = []
    outer = 1.0
    for depth, loop in enumerate(chain, 1):
        count, unit = extent(loop.lo, loop.hi), 1
        crossing = bool(crossing_loads(buffers, loop))  # its blocks run along this loop and the next
        if crossing or loop.kind == "vector":
            unit = model.lanes(chain[depth].body if crossing else loop.body)
        found.append((outer * -(-count // unit), Division(depth, unit)))
        outer *= count
        if crossing:
            break
    if isinstance(inside, Contract) and _independent_tiles(inside):
        rows, columns = (extent(r.lo, r.hi) for r in (inside.m, inside.n))
        width = TILE_VECTORS * model.lanes(inside.body)
        found.append((-(-rows // TILE_ROWS) * -(-columns // width), Division(0)))
    parts = next((part for part in found if part[0] >= ENOUGH), None) or max(found, key=lambda f: f[0], default=None)
    return None if parts is None or parts[0] <= 1 else parts[1]


def independent_loops(statement: Stmt) -> tuple[list[For], Stmt]:
    """The perfect nest of independent loops, of fixed bounds, that starts here, and the statement that ends it."""
    chain: list[For] = []
    while isinstance(statement, For) and statement.kind != "serial":
        outer = {loop.axis for loop in chain}
        if not outer.isdisjoint(axes_of(statement.lo) | axes_of(statement.hi)):
            break
        chain.append(statement)
        if len(statement.body) != 1:
            break
        (statement,) = statement.body
    return chain, statement


def _independent_tiles(contract: Contract) -> bool:
    """Whether no two elements of a contraction's result touch what the epilogue of one of them writes."""
    m, n = contract.m, contract.n
    inside = extents_inside(contract.body)
    return all(
        independent(mine, contract.body, inside | {other.axis: known_extent(other)}) for mine, other in ((m, n), (n, m))
    )


def parts_of(statement: Stmt, division: Division) -> Expr:
    """How many parts a nest is divided into; of those a thread runs FIRST, ..., LAST - 1."""
    total: Expr = ONE
    for count in _counts(statement, division):
        total = integer("mul", total, count)
    return total


def _counts(statement: Stmt, division: Division) -> list[Expr]:
    """The extents of the divided loops, the last one in units."""
    loops = independent_loops(statement)[0][: division.depth]
    counts = [extent_of(Range(loop.axis, loop.lo, loop.hi)) for loop in loops]
    return [*counts[:-1], ceildiv(counts[-1], division.unit)]


def share_of(statement: Stmt, division: Division) -> Stmt:
    """The nest over the parts FIRST, ..., LAST - 1 of its divided loops, which keep their order.

    The bounds of each loop are those of the stretch, seen from where the loops around it are:
    for i0 in FIRST/e1 .. ceil(LAST/e1): for i1 in max(0, FIRST - e1*i0) .. min(e1, LAST - e1*i0)
    """
    counts = _counts(statement, division)

    def shared(stmt: Stmt, level: int, first: Expr, last: Expr) -> Stmt:
        assert isinstance(stmt, For)
        inner: Expr = ONE  # parts in one iteration of this loop; one at least, so that it can divide
        for count in counts[level + 1 :]:
            inner = integer("max", integer("mul", inner, count), ONE)
        innermost = level == division.depth - 1
        scale = index_constant(division.unit if innermost else 1)
        start = integer("floordiv", first, inner)
        if level:
            start = integer("max", ZERO, start)
        stop = integer("floordiv", integer("add", last, integer("sub", inner, ONE)), inner)
        lo = integer("add", stmt.lo, integer("mul", scale, start))
        hi = integer("min", stmt.hi, integer("add", stmt.lo, integer("mul", scale, stop)))
        if innermost:
            return replace(stmt, lo=lo, hi=hi)
        before = integer("mul", inner, integer("sub", Axis(stmt.axis), stmt.lo))
        (body,) = stmt.body
        return replace(
            stmt,
            lo=lo,
            hi=hi,
            body=(shared(body, level + 1, integer("sub", first, before), integer("sub", last, before)),),
        )

    return shared(statement, 0, FIRST, LAST)

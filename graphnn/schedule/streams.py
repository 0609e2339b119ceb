"""Products of one row with a matrix that comes from memory: which terms are next to each other."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.affine import affine
from graphnn.lower.ir import Contract, Program, Stmt
from graphnn.schedule.affine import ZERO, integer, is_affine, known_extent, stride
from graphnn.schedule.cost import FAR_LINES, CostModel
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import fresh_name, names_in, rewrite, statements
from graphnn.simplify.expr import Axis, Load, Range, index_constant, place_axes

STREAMS = 4  # of one core: 37 to 40 GB/s, with 8 35, with one 31; 16 exceed what the prefetchers follow (23)
RUN = 256  # elements of a row of b, at least


def stream_rows(program: Program, machine: Machine) -> Program:
    """Read a matrix that no cache holds in four streams, where one row is multiplied with it.

    contract m < 1, n < 4096, k: r < 9216   ->  contract m < 1, n < 4096, k: t < 2304, q < 4      (r = 2304*q + t)

    Such a product takes as long as its matrix takes to come from memory. Row after row is one stream, or as many as are
    multiplied at once, each of which ends with its row; as quarters of the matrix they go on.
    """
    model = CostModel.of(program.buffers, machine)
    if not any(_comes_row_by_row(s, model) for s in statements(program.body)):
        return program
    names = {b.name for b in program.buffers} | set(program.sizes) | names_in(program.body)

    def streamed(stmt: Stmt) -> Stmt:
        if not _comes_row_by_row(stmt, model):
            return stmt
        assert isinstance(stmt, Contract)
        (r,) = stmt.k
        quarter = (known_extent(r) or 0) // STREAMS
        t, q = fresh_name(r.axis, names), fresh_name(f"{r.axis}_q", names)
        far = affine(integer("mul", index_constant(quarter), Axis(q)))
        place = {r.axis: far.plus(affine(Axis(t))).plus(affine(r.lo)).expr()}
        k = Range(t, ZERO, index_constant(quarter)), Range(q, ZERO, index_constant(STREAMS))
        return replace(stmt, k=k, a=place_axes(stmt.a, place), b=place_axes(stmt.b, place))

    return replace(program, body=rewrite(program.body, lambda expr: expr, streamed))


def _comes_row_by_row(c: Stmt, model: CostModel) -> bool:
    """Whether a statement multiplies one row with a b that no cache holds, whole rows one after the other."""
    if (
        not isinstance(c, Contract)
        or c.lanes > 1
        or len(c.k) > 1
        or known_extent(c.m) != 1
        or not isinstance(c.b, Load)
        or not is_affine(c.b.index)
    ):
        return False
    terms, columns = known_extent(c.k[0]), known_extent(c.n)
    if not terms or terms % STREAMS or not columns or columns < RUN:
        return False
    rows_follow = model.distance(c.b, c.k[0].axis) == columns
    along = stride(c.b.index, c.n.axis, model.layout(c.b.buffer))
    return rows_follow and along == 1 and model.lines(c.b, (c.n, *c.k)) > FAR_LINES

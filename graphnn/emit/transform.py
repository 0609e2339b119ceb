"""A Transform of the loop IR, written out: its steps as instructions, its elements at known distances from the first.

transform v = sum[p, q; i, j] A[p, i]*B[q, j]*x[c, y + i, z + j]: u[4*p + q, c] = v
  ->  from = &x[c, y, z];  to = &u[0, c]
      v0 = load from;  v1 = load from + row;  v2 = v0 - v1;  ...;  store v2, to;  ...;  store v9, to + 4*step
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphnn.emit.access import bound_by, invariants_in, written_by
from graphnn.emit.scalar import emit_scalar
from graphnn.emit.writer import Value, constant
from graphnn.lower.ir import Transform
from graphnn.lower.transforms import Arithmetic, Element, transform_steps
from graphnn.schedule.statements import accesses

if TYPE_CHECKING:
    from graphnn.emit.loops import EmitContext  # it dispatches to this module


def emit_transform(context: EmitContext, stmt: Transform) -> None:
    """Emit a transform at the present lanes and mask."""
    rows, columns = stmt.rows, stmt.columns
    if context.checks is None:  # a bounds check stays with its statement
        for part in invariants_in(stmt.body, bound_by((stmt,)) | written_by(stmt.body), nested=False):
            context.value(part)
    varies = context.varies(stmt.value)
    type_ = context.type_of(stmt.value.dtype, context.lanes if varies else 1)
    values = list[Value]()
    with context.anchored(accesses((stmt,)), (rows.axis, columns.axis, rows.out, columns.out)):
        for step in transform_steps(rows.matrix, columns.matrix):
            match step:
                case Element(i, j):
                    with context.point({rows.axis: i, columns.axis: j}):
                        values.append(context.expr(stmt.value) if varies else context.value(stmt.value))
                case Arithmetic(fn=fn, a=a, b=b, coefficient=c):
                    terms = (values[a],) if fn == "mul" else (values[a], values[b])
                    factors = (constant(type_, c),) if fn in ("mul", "fma") else ()
                    values.append(emit_scalar(context.writer, fn, (*factors, *terms)))
                case _:
                    with context.point({rows.out: step.p, columns.out: step.q}):
                        context.bind(stmt.name, values[step.value])
                        context.statements(stmt.body)

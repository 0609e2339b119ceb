"""Which loop of a nest runs in vector lanes: the choice, and its cost."""

from __future__ import annotations

from graphnn.lower.ir import For, Stmt
from graphnn.schedule.cost import CostModel, volume
from graphnn.schedule.nest import moves_inward, peel, wrap
from graphnn.schedule.statements import Body
from graphnn.schedule.traffic import FAR, far_lines


def best_lanes(stmt: Stmt, model: CostModel) -> tuple[float, Stmt]:
    """The cheapest choice of vector loops for a nest: its cost, and the nest with those loops innermost and marked.

    for i0: for i1: t[i1, i0] = x[i1, i0]  ->  for i1: for i0 (vector): t[i1, i0] = x[i1, i0]

    Each independent loop of the perfect part is a candidate; so are the loops further inside, where the perfect part
    stays serial. Ties go to the innermost.
    """
    nest = peel(stmt)
    if nest.contract is not None:
        return model.statement(stmt) + FAR * far_lines(nest.outer, nest.contract, model), stmt
    if not nest.loops:
        return model.statement(stmt), stmt
    inner = [best_lanes(s, model) if isinstance(s, For) else (model.statement(s), s) for s in nest.body]
    cost = volume(nest.loops) * sum(c for c, _ in inner)
    (best,) = wrap(nest.loops, tuple(s for _, s in inner))
    for r in reversed(nest.loops):
        if not moves_inward(nest, r.axis):
            continue
        others = tuple(o for o in nest.loops if o is not r)
        vector: Body = (For(r.axis, r.lo, r.hi, nest.body, "vector"),)
        found = volume(others) * model.statement(vector[0])
        if found < cost:
            cost = found
            (best,) = wrap(others, vector)
    return cost, best

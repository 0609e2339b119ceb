"""Which loop of a nest runs in vector lanes: the choice, and its cost."""

from __future__ import annotations

from graphnn.lower.ir import For, Let, Stmt, Store
from graphnn.schedule.cost import EXCHANGE, CostModel, View
from graphnn.schedule.crossing import always_loaded, crosses
from graphnn.schedule.extents import volume
from graphnn.schedule.nest import Nest, moves_inward, peel, wrap
from graphnn.schedule.statements import own_expressions
from graphnn.schedule.traffic import FAR, far_lines
from graphnn.simplify.expr import Load, Range
from graphnn.simplify.once import once


def best_lanes(stmt: Stmt, model: CostModel) -> Stmt:
    """A nest with its cheapest choice of vector loops innermost and marked.

    for i0: for i1: t[i1, i0] = x[i1, i0]  ->  for i1: for i0 (vector): t[i1, i0] = x[i1, i0]

    Each independent loop of the perfect part is a candidate; so are the loops further inside, where the perfect part
    stays serial. Ties go to the innermost.
    """
    nest = peel(stmt)
    if nest.contract is not None or not nest.loops:
        return stmt
    r = _choice(stmt, model)[1]
    if r is None:
        (best,) = wrap(nest.loops, tuple(best_lanes(s, model) if isinstance(s, For) else s for s in nest.body))
    else:
        others = (o for o in nest.loops if o is not r)
        (best,) = wrap(others, (For(r.axis, r.lo, r.hi, nest.body, "vector"),))
    return best


def least_cost(stmt: Stmt, model: CostModel) -> float:
    """The cost of a nest with its cheapest choice of vector loops."""
    return _choice(stmt, model)[0]


Choice = tuple[float, Range | None]  # the cost of a nest, and which loop of its perfect part runs in lanes


def _choice(stmt: Stmt, model: CostModel) -> Choice:
    known, view = _choices(stmt), model.view(stmt)
    found = known.get(view)
    if found is None:
        found = known[view] = _choose(stmt, model)
    return found


@once("_lanes")
def _choices(stmt: Stmt) -> dict[View, Choice]:
    """What was chosen for a statement so far: pass after pass asks about the same ones."""
    return {}


def _choose(stmt: Stmt, model: CostModel) -> Choice:
    nest = peel(stmt)
    if nest.contract is not None:
        return model.statement(stmt) + FAR * far_lines(nest.outer, nest.contract, model), None
    if not nest.loops:
        return model.statement(stmt), None
    inner = sum(least_cost(s, model) if isinstance(s, For) else model.statement(s) for s in nest.body)
    cost, best = volume(nest.loops) * inner, None
    for r in reversed(nest.loops):
        if not moves_inward(nest, r.axis):
            continue
        others = tuple(o for o in nest.loops if o is not r)
        found = volume(others) * model.vector_loop(r, nest.body) - _exchanged(nest, r, others, model)
        if found < cost:
            cost, best = found, r
    return cost, best


def _exchanged(nest: Nest, lanes_along: Range, others: tuple[Range, ...], model: CostModel) -> float:
    """What is saved where blocks are loaded along the loop outside of the vector loop, and turned in registers.

    for x: for l (vector): t[16*x + l] = h[l, x]: a load of 16 x for each of 16 l, and not 16 elements for each x
    """
    if not others or not all(isinstance(s, Let | Store) for s in nest.body) or not moves_inward(nest, others[-1].axis):
        return 0.0
    lanes, along = model.lanes(nest.body), others[-1]
    crossing = sum(crosses(model.stride, x.buffer, x.index, along.axis, lanes_along.axis) for x in _loads(nest))
    blocks = volume(others[:-1]) * (volume((along,)) // lanes) * (volume((lanes_along,)) // lanes)
    return crossing * blocks * lanes * max(0.0, lanes - EXCHANGE)


@once("_loads")
def _loads(nest: Nest) -> frozenset[Load]:
    """What each iteration of a nest of plain statements loads."""
    return frozenset(x for s in nest.body for e in own_expressions(s) for x in always_loaded(e))

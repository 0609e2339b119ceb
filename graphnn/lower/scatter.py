"""The adjoint of a gather is a guarded sum; it runs as a scatter, in ascending order of the terms.

    out[i0 < V, i1 < D] = sum[0 <= r0 < N if token[r0] == i0](g[r0, i1])
    ->  for i0 in 0 .. V:
          for i1 in 0 .. D:
            out[i0, i1] = 0.0
        for r0 in 0 .. N:
          for i2 in 0 .. D:
            out[token[r0], i2] += g[r0, i2]

N*D additions instead of V*N*D tests. Whatever else the guard says becomes an If, and what the formula does with
the sum becomes a nest of its own after these two. Works for every reducer, from its identity. A guard that ties the
reduced axes to the output's, as a window does, leaves few terms to each output: such a sum stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from graphnn.lower.guards import conjunction, conjuncts, guarded, peel, solve_unit
from graphnn.lower.ir import Accumulate, Store
from graphnn.lower.nests import Body, loops, when
from graphnn.simplify.expr import (
    Axis,
    Expr,
    Load,
    Op,
    Range,
    Reduce,
    axes_of,
    identity_of,
    index_constant,
    substitute,
    walk,
)
from graphnn.simplify.formula import Formula, FormulaProgram


@dataclass(frozen=True, slots=True)
class Scatter:
    """`reduction` of a formula, with `solved` (output axis -> loaded integer) taken out of its conditions and value.

    `checks` keep a computed integer in range; `conditions` are what the guard says besides.
    """

    formula: Formula
    reduction: Reduce
    solved: dict[str, Expr]
    checks: tuple[Expr, ...]
    conditions: tuple[Expr, ...]
    value: Expr


def match_scatter(formula: Formula, program: FormulaProgram) -> Scatter | None:
    """The scatter that a formula is, if its reduction's guard equates an output axis to a loaded integer."""
    reduction = _unconditional_reduction(formula.body)
    if reduction is None or reduction.dtype != program.array(formula.target).dtype:
        return None
    hidden, value = peel(reduction.reducer, reduction.body)
    solved: dict[str, Expr] = {}
    left: list[Expr] = []
    for condition in (*conjuncts(reduction.guard), *hidden):
        found = next(_solutions(condition, [r for r in formula.axes if r.axis not in solved]), None)
        if found is None:
            left.append(condition)
        else:
            solved[found[0]] = found[1]
    outer = [bound for r in formula.axes for bound in (r.lo, r.hi)]
    inner = [bound for r in reduction.ranges for bound in (r.lo, r.hi)]
    if not solved or any(solved.keys() & axes_of(e) for e in (*solved.values(), *outer)):
        return None
    if any(r.axis in axes_of(bound) for bound in inner for r in formula.axes):
        return None  # its loops go around those of the formula's axes
    if any(_is_window(c, formula.axes, reduction.ranges) for c in left):
        return None
    mapping: dict[Expr, Expr] = {Axis(axis): e for axis, e in solved.items()}
    checks = [c for r in formula.axes if r.axis in solved for c in _range_check(solved[r.axis], r, program)]
    conditions = tuple(substitute(c, mapping) for c in left)
    return Scatter(formula, reduction, solved, tuple(checks), conditions, substitute(value, mapping))


def _unconditional_reduction(body: Expr) -> Reduce | None:
    """The only Reduce of a body, if it is needed at every point: not in a branch of a select."""
    found = list(dict.fromkeys(e for e in walk(body) if isinstance(e, Reduce)))
    branches = [b for e in walk(body) if isinstance(e, Op) and e.fn == "select" for b in e.args[1:]]
    if len(found) != 1 or any(found[0] in walk(branch) for branch in branches):
        return None
    return found[0]


def _is_window(condition: Expr, axes: Iterable[Range], reduced: Iterable[Range]) -> bool:
    """0 <= i0 - 2*r0: it leaves each output few terms to look at, as in the adjoint of a maximum over windows."""
    held = axes_of(condition)
    tied = all(held & {r.axis for r in ranges} for ranges in (axes, reduced))
    return tied and not any(isinstance(e, Load) for e in walk(condition))


def _solutions(condition: Expr, axes: list[Range]) -> Iterator[tuple[str, Expr]]:
    for r in axes:
        value = solve_unit(condition, r.axis)
        if value is not None and any(isinstance(e, Load) for e in walk(value)):
            yield r.axis, value


def _range_check(value: Expr, r: Range, program: FormulaProgram) -> tuple[Expr, ...]:
    """An input that is used as an index as it is was checked at the boundary; a computed index is checked here."""
    if isinstance(value, Load) and program.array(value.buffer).role == "input" and r.lo == index_constant(0):
        return ()
    return Op("le", (r.lo, value), "bool"), Op("lt", (value, r.hi), "bool")


def scatter_nests(scatter: Scatter, fresh: Callable[[str], str]) -> Body:
    """Fill, accumulate, and where the formula does more than reduce, finish. `fresh` names the new loops' axes."""
    formula, reduction = scatter.formula, scatter.reduction
    target, origin = formula.target, reduction.origin or formula.origin
    index = tuple(Axis(r.axis) for r in formula.axes)
    identity = identity_of(reduction.reducer, reduction.dtype)
    fill = loops(formula.axes, (Store(target, index, identity, origin),))

    free = [r for r in formula.axes if r.axis not in scatter.solved]
    names = {r.axis: fresh("i") for r in free}
    mapping: dict[Expr, Expr] = {Axis(old): Axis(new) for old, new in names.items()}
    place = tuple(substitute(scatter.solved.get(r.axis, Axis(r.axis)), mapping) for r in formula.axes)
    body: Body = (Accumulate(target, place, reduction.reducer, substitute(scatter.value, mapping), origin),)
    guard = guarded(conjunction(scatter.checks), conjunction(scatter.conditions))
    conditions = [substitute(c, mapping) for c in conjuncts(guard)]
    inside = [c for c in conditions if axes_of(c) & set(names.values())]
    outside = [c for c in conditions if c not in inside]
    around = _renamed(free, names, mapping)
    spread = loops(reduction.ranges, when(outside, loops(around, when(inside, body))))
    if formula.body == reduction:
        return fill + spread

    names = {r.axis: fresh("i") for r in formula.axes}
    mapping = {Axis(old): Axis(new) for old, new in names.items()}
    element = Load(target, index, reduction.dtype, reduction.origin)
    value = substitute(substitute(formula.body, {reduction: element}), mapping)
    index = tuple(Axis(name) for name in names.values())
    finish = loops(_renamed(formula.axes, names, mapping), (Store(target, index, value, formula.origin),))
    return fill + spread + finish


def _renamed(ranges: Iterable[Range], names: dict[str, str], mapping: dict[Expr, Expr]) -> list[Range]:
    return [Range(names[r.axis], substitute(r.lo, mapping), substitute(r.hi, mapping)) for r in ranges]

"""The adjoint of a definition by one of its accesses.

    out[o] = Reduce over r of body(t0, ...),  t0 = X[e(o, r)]
    Xbar[p] = Sum over the axes that e = p leaves free of  outbar[o] * d(reduction)/d(body) * d(body)/d(t0)

The derivative of a reduction by one of its terms x is read off its combine function c, with the rest of the terms as
one value: d c(x, rest)/dx. For Sum this is 1; for Prod it is `rest`, the product of the other terms (right also where
terms are zero); for Max it is a step, 1 for the term that is selected; the policy says which of equal terms that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import Definition, Extent, OperandType, Recipe, Step
from graphnn.declare.entries import Reduction
from graphnn.declare.notation import Operand, axis_symbol
from graphnn.declare.parts import find_parts
from graphnn.declare.reducers import REDUCERS
from graphnn.declare.substitute import substitute
from graphnn.declare.whole import choose, equate, replace_within
from graphnn.derive.output import OUTPUT, through_output
from graphnn.derive.scalar import differentiate
from graphnn.derive.solve import is_always, solve_indices
from graphnn.derive.steps import Ties


@dataclass(frozen=True, slots=True)
class _Formula:
    """A definition back in index notation, to be written on: its operands as formal operands."""

    definition: Definition
    operands: tuple[Operand, ...]
    entries: dict[sympy.Symbol, sympy.Expr]
    sizes: dict[sympy.Symbol, sympy.Expr]


def _formula(definition: Definition) -> _Formula:
    operands = tuple(Operand(f"x{n}", integer=o.dtype in ("int64", "bool")) for n, o in enumerate(definition.operands))
    entries: dict[sympy.Symbol, sympy.Expr] = {}
    for access in definition.accesses:
        entries[access.symbol] = operands[access.operand][tuple(i.xreplace(entries) for i in access.index)]
    sizes = {e.axis: e.size for e in (*definition.axes, *definition.reduced)}
    return _Formula(definition, operands, entries, sizes)


@cache
def derive_adjoint(definition: Definition, number: int, ties: Ties) -> Recipe:
    """The contribution of access `number` to its operand's adjoint.

    The recipe's operands are the definition's own, then its output, then the output's adjoint. DeriveError where the
    body is a step of that access.
    """
    formula = _formula(definition)
    access = definition.accesses[number]
    count = len(definition.operands)
    output, incoming = Operand("y"), Operand("g")
    out_axes = tuple(e.axis for e in definition.axes)
    slots = [Slot(o.name, n, t) for n, (o, t) in enumerate(zip(formula.operands, definition.operands, strict=True))]
    result_type = OperandType(definition.shape, definition.dtype)
    slots += [Slot("y", count, result_type), Slot("g", count + 1, result_type)]
    steps: list[Step] = []

    derivative = differentiate(definition.body, access.symbol, definition.op)
    if definition.is_map():
        found = through_output(definition.body, access.symbol, derivative)
        derivative = found.result.xreplace({OUTPUT: output[out_axes]}) if found else derivative
    selected, factor = sympy.true, sympy.S.One
    if definition.reducer is not None:
        selected, factor = _reducer_slope(formula, output, slots, steps, ties)

    targets = [axis_symbol(f"p{n}") for n in range(len(access.index))]
    shape = definition.operands[access.operand].shape
    sizes = formula.sizes | dict(zip(targets, shape, strict=True))
    order = [e.axis for e in (*definition.axes, *definition.reduced)]
    solution = solve_indices(access.index, targets, sizes, order)
    sizes = solution.sizes

    def place(expr: sympy.Expr) -> sympy.Expr:
        read = expr.free_symbols & formula.entries.keys()
        entries = {t: replace_within(formula.entries[t], solution.values) for t in read}
        placed = substitute(expr, solution.values | entries)
        return placed.xreplace({c: sympy.true for c in find_parts(placed, Relational) if is_always(c, sizes)})

    guard = sympy.And(*map(place, (definition.guard, selected, *solution.conditions)))
    body = place(incoming[out_axes] * factor * derivative)
    dtype = definition.operands[access.operand].dtype
    steps.append(_finish(definition.op, slots, targets, shape, body, guard, solution.free, sizes, count + 2, dtype))
    return tuple(steps)


def _finish(
    op: str,
    slots: Sequence[Slot],
    targets: Sequence[sympy.Symbol],
    shape: Sequence[sympy.Expr],
    body: sympy.Expr,
    guard: Boolean,
    free: Sequence[sympy.Symbol],
    sizes: dict[sympy.Symbol, sympy.Expr],
    count: int,
    dtype: str,
) -> Step:
    if free:
        body = Reduction(sympy.Symbol("sum"), body, guard, *free)
    elif guard != sympy.true:
        body = choose((body, guard))
    return _step(op, slots, [Extent(a, s) for a, s in zip(targets, shape, strict=True)], body, sizes, count, dtype)


def _step(
    op: str,
    slots: Sequence[Slot],
    axes: Sequence[Extent],
    body: sympy.Expr,
    sizes: dict[sympy.Symbol, sympy.Expr],
    count: int,
    dtype: str,
) -> Step:
    """Bind a formula; of the slots only those that it reads become operands."""
    names = {e.operand for e in find_parts(body, sympy.Expr) if hasattr(e, "operand")}
    used = [s for s in slots if s.name in names]
    local = [Slot(s.name, n, s.type) for n, s in enumerate(used)]
    definition = bind_definition(f"adjoint of {op}", local, axes, body, sizes, dtype, checked=False)
    return Step(definition, tuple(s.position if s.position < count else count - 1 - s.position for s in used))


def _reducer_slope(
    formula: _Formula, output: Operand, slots: list[Slot], steps: list[Step], ties: Ties
) -> tuple[Boolean, sympy.Expr]:
    """(condition, factor) of one term in the derivative of a reduction, adding the steps that they need."""
    definition = formula.definition
    term, rest = sympy.Symbol("x", real=True), sympy.Symbol("rest", real=True)
    slope = sympy.diff(REDUCERS[str(definition.reducer)].combine(term, rest), term)
    if slope.has(sympy.Heaviside):
        return _selected_term(formula, output, slots, steps, ties)
    if not slope.has(rest):
        return sympy.true, slope
    others = _rest_of_terms(formula, slots, steps)
    return sympy.true, slope.xreplace({rest: others})


def _add_step(name: str, step: Step, slots: list[Slot], steps: list[Step]) -> None:
    count = len([s for s in slots if not s.name.startswith("#")])
    steps.append(step)
    result = OperandType(step.definition.shape, step.definition.dtype)
    slots.append(Slot(name, count + len(steps) - 1, result))


def _rest_of_terms(formula: _Formula, slots: list[Slot], steps: list[Step]) -> sympy.Expr:
    """rest[o, r] = Reduce over r' != r of body(r')."""
    definition = formula.definition
    primed = {e.axis: axis_symbol(f"q{n}") for n, e in enumerate(definition.reduced)}
    differs = sympy.Or(*(sympy.Ne(new, old) for old, new in primed.items()))
    sizes = formula.sizes | {new: formula.sizes[old] for old, new in primed.items()}
    body = definition.body.xreplace(formula.entries).xreplace(primed)
    guard = sympy.And(definition.guard.xreplace(formula.entries).xreplace(primed), differs)
    axes = [*definition.axes, *definition.reduced]
    reduction = Reduction(sympy.Symbol(definition.reducer), body, guard, *primed.values())
    _add_step("#rest", _step(definition.op, slots, axes, reduction, sizes, len(slots), definition.dtype), slots, steps)
    return Operand("#rest")[tuple(e.axis for e in axes)]


def _selected_term(
    formula: _Formula, output: Operand, slots: list[Slot], steps: list[Step], ties: Ties
) -> tuple[Boolean, sympy.Expr]:
    """The term that equals the output: the first of them, or all of them with equal shares."""
    definition = formula.definition
    out_axes = tuple(e.axis for e in definition.axes)
    body = definition.body.xreplace(formula.entries)
    hit = equate(sympy.Eq, body, output[out_axes])
    guard = definition.guard.xreplace(formula.entries)
    reduced = [e.axis for e in definition.reduced]
    position, total = sympy.S.Zero, sympy.S.One
    for extent in reversed(definition.reduced):
        position, total = position + extent.axis * total, total * extent.size
    if ties == "first":
        share = Reduction(sympy.Symbol("min"), choose((position, hit), (total, sympy.true)), guard, *reduced)
    else:
        share = Reduction(sympy.Symbol("sum"), choose((sympy.S.One, hit)), guard, *reduced)
    dtype = "int64" if ties == "first" else definition.dtype
    step = _step(definition.op, slots, definition.axes, share, formula.sizes, len(slots), dtype)
    _add_step("#share", step, slots, steps)
    if ties == "first":
        return equate(sympy.Eq, position, Operand("#share", integer=True)[out_axes]), sympy.S.One
    return hit, 1 / Operand("#share")[out_axes]

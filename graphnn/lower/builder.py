"""Formulas -> loops: one nest per formula, in order; nothing is fused, tiled or re-laid here.

    h[i0 < N, i1 < 8] = tanh(b[i1] + sum[0 <= r0 < 4](x[i0, r0]*W[r0, i1]))
    ->  for i0 in 0 .. N:
          for i1 in 0 .. 8:
            fold s0 = sum[0 <= r0 < 4] fma(x[i0, r0], W[r0, i1], s0)
            h[i0, i1] = tanh(b[i1] + s0)

Axes and locals are renamed i0, i1, ... (loops), r0, ... (folds) and s0, ... (locals) in the order in which they
appear, so a name is bound once in the program and the same program gives the same text.
"""

from __future__ import annotations

from dataclasses import replace

from graphnn.errors import CompileError
from graphnn.lower.affine import affine, never_positive
from graphnn.lower.bounds import tighten
from graphnn.lower.guards import guarded
from graphnn.lower.ir import Buffer, Fold, Program, Stmt, Store
from graphnn.lower.nests import Names, loops
from graphnn.lower.scatter import match_scatter, scatter_nests
from graphnn.lower.verify import verify
from graphnn.simplify.expr import Axis, Expr, Load, Local, Op, Range, Reduce, children, index_constant, rebuild, walk
from graphnn.simplify.formula import Array, Formula, FormulaProgram


def lower(program: FormulaProgram) -> Program:
    """The stage: naive nests, or scatters where a formula is one, with tightened folds, verified.

    Raises CompileError for a formula that holds a Reduce inside a Reduce and for an update that is not a copy
    from another array of the same shape.
    """
    names = Names(program.sizes)
    body: list[Stmt] = []
    for formula in program.formulas:
        body += _lower_formula(_rename_formula(formula, names), program, names)
    for state, value in program.updates:
        body += _copy_nest(program.array(state), program.array(value), names)
    buffers = tuple(Buffer(a.name, a.dtype, a.shape, a.role, tuple(range(len(a.shape)))) for a in program.arrays)
    lowered = tighten(Program(program.name, program.sizes, buffers, tuple(body)))
    verify(lowered)
    return lowered


def _lower_formula(formula: Formula, program: FormulaProgram, names: Names) -> tuple[Stmt, ...]:
    if any(r.hi == index_constant(0) for r in formula.axes):
        return ()  # an array without elements; its nest would have strides of 0
    scatter = match_scatter(formula, program)
    if scatter is not None:
        return scatter_nests(scatter, names.fresh)
    return loops(formula.axes, _Folds(formula, program, names).statements())


def _copy_nest(state: Array, value: Array, names: Names) -> tuple[Stmt, ...]:
    """update w <- t  ->  for i0: w[i0] = t[i0], after every formula (a scheduler makes it in place)."""
    if value.role == "state" or value.shape != state.shape:
        raise CompileError(f"the update {state.name} <- {value.name} must copy another array of the same shape")
    axes = tuple(Range(names.fresh("i"), index_constant(0), extent) for extent in state.shape)
    index = tuple(Axis(r.axis) for r in axes)
    return loops(axes, (Store(state.name, index, Load(value.name, index, value.dtype)),))


def _rename_formula(formula: Formula, names: Names) -> Formula:
    """The same formula with canonical axes. Equal Reduces stay equal: they share their new axes."""
    scope = {r.axis: names.fresh("i") for r in formula.axes}
    seen: dict[Reduce, Reduce] = {}

    def rename(expr: Expr, scope: dict[str, str]) -> Expr:
        match expr:
            case Axis(name=name):
                return replace(expr, name=scope.get(name, name))
            case Reduce(ranges=ranges):
                if expr not in seen:
                    inner = {**scope, **{r.axis: names.fresh("r") for r in ranges}}
                    renamed = rebuild(expr, lambda child: rename(child, inner))
                    assert isinstance(renamed, Reduce)
                    bound = tuple(replace(r, axis=inner[r.axis]) for r in renamed.ranges)
                    seen[expr] = replace(renamed, ranges=bound)
                return seen[expr]
            case _:
                return rebuild(expr, lambda child: rename(child, scope))

    axes = tuple(Range(scope[r.axis], rename(r.lo, scope), rename(r.hi, scope)) for r in formula.axes)
    return replace(formula, axes=axes, body=rename(formula.body, scope))


class _Folds:
    """Takes the reductions out of one formula's body.

    A Reduce in a branch of a select is computed before the select. Where a load in it may then be out of range,
    the branch's condition becomes part of its guard: select(c, sum[r0 < N](x[i0 - 1, r0]), 0) -> sum[r0 < N if c](...).
    """

    def __init__(self, formula: Formula, program: FormulaProgram, names: Names) -> None:
        self.formula, self.program, self.names = formula, program, names
        self.locals: dict[Reduce, Local] = {}

    def statements(self) -> tuple[Stmt, ...]:
        value = self.extract(self.formula.body, None)
        folds = tuple(
            Fold(local.name, r.reducer, r.ranges, r.guard, r.body, r.origin or self.formula.origin)
            for r, local in self.locals.items()
        )
        index = tuple(Axis(r.axis) for r in self.formula.axes)
        return (*folds, Store(self.formula.target, index, value, self.formula.origin))

    def extract(self, expr: Expr, path: Expr | None) -> Expr:
        """`expr` with its reductions bound; it is only read where the condition `path` holds."""
        match expr:
            case Reduce():
                return self.bind(expr, path)
            case Op(fn="select", args=(condition, then, otherwise)):
                condition = self.extract(condition, path)
                negated = Op("not", (condition,), "bool")
                then = self.extract(then, guarded(path, condition))
                otherwise = self.extract(otherwise, guarded(path, negated))
                return replace(expr, args=(condition, then, otherwise))
            case _:
                return rebuild(expr, lambda child: self.extract(child, path))

    def bind(self, reduction: Reduce, path: Expr | None) -> Local:
        if any(isinstance(e, Reduce) for part in children(reduction) for e in walk(part)):
            raise CompileError(f"the formula of {self.formula.target} holds a reduction inside a reduction")
        if reduction not in self.locals and path is not None and not self.in_range(reduction):
            reduction = replace(reduction, guard=guarded(path, reduction.guard))
        if reduction not in self.locals:
            self.locals[reduction] = Local(self.names.fresh("s"), reduction.dtype, reduction.origin)
        return self.locals[reduction]

    def in_range(self, reduction: Reduce) -> bool:
        """Whether every load is in range for all points, or by an index that is checked at the boundary."""
        known = {r.axis: r for r in (*self.formula.axes, *reduction.ranges)}

        def inside(index: Expr, extent: Expr) -> bool:
            form = affine(index)
            past = form.plus(affine(extent), -1).shifted(1)
            return isinstance(index, Load) or (never_positive(form.negated(), known) and never_positive(past, known))

        loads = [e for part in children(reduction) for e in walk(part) if isinstance(e, Load)]
        return all(
            inside(index, extent)
            for load in loads
            for index, extent in zip(load.index, self.program.array(load.buffer).shape, strict=True)
        )

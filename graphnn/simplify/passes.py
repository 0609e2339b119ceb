"""simplify(): from a network's nodes to a program of formulas, with the trace of what was rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import sympy

from graphnn.declare.definition import FLOATS, Extent
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Entry, axis_symbol, size_symbol
from graphnn.simplify.algebra import map_bottom_up, reduce_rational, use_conditions
from graphnn.simplify.convert import Converter
from graphnn.simplify.expr import DType, Expr, Origin
from graphnn.simplify.formula import Array, FormulaProgram
from graphnn.simplify.reductions import Facts, split_sum
from graphnn.simplify.region import (
    Assignment,
    assignment_of,
    choose_roots,
    contraction_factors,
    entries,
    inline,
    read,
    tidy_indices,
)
from graphnn.simplify.rules import Trace
from graphnn.simplify.shift import ShiftedSum, find_shift, shift_exponentials
from graphnn.simplify.stability import stabilise

Accuracy = Literal["fast", "tight"]


@dataclass(slots=True)
class _Simplifier:
    """The state of one run: what is inlined, what is made, and what each made map is before stabilisation."""

    facts: Facts
    accuracy: Accuracy
    wanted: set[str]
    trace: Trace = field(default_factory=Trace)
    inlined: dict[str, Assignment] = field(default_factory=dict)
    made: dict[str, Assignment] = field(default_factory=dict)
    smooth: dict[str, Assignment] = field(default_factory=dict)
    sums: dict[str, ShiftedSum] = field(default_factory=dict)
    known: dict[tuple[object, ...], str] = field(default_factory=dict)  # equal reductions are made once

    def add(self, assignment: Assignment, root: bool) -> None:
        """Take one node, its operands being done."""
        body = tidy_indices(inline(assignment.body, self.inlined), assignment.sizes)
        guard = tidy_indices(inline(assignment.guard, self.inlined), assignment.sizes)
        before = replace(assignment, body=use_conditions(body), guard=guard)
        self.trace.record(assignment.name, "use the condition", body, before.body)
        if before.reducer is None:
            if root:
                self._make_map(before)
            else:
                self.inlined[before.name] = before
            return
        if contraction_factors(before):
            self._make_reduction(before)
            return
        before = replace(before, body=self._smooth(before.name, before.body))
        split = split_sum(before, self.facts, self.trace, self._part)
        if split is None:
            self._make_reduction(before)
        elif root:
            self._make_map(before.as_map(split))
        else:
            self.inlined[before.name] = before.as_map(split)

    def _part(self, part: Assignment) -> Entry:
        """Make a reduction that another expression needs; gives the access to it."""
        label, number = f"{part.name}.{part.reducer}", 1
        while label in self.made:
            number += 1
            label = f"{part.name}.{part.reducer}{number}"
        name = self._make_reduction(replace(part, name=label))
        return read(name, [e.axis for e in part.axes], part.dtype)

    def _make_reduction(self, reduction: Assignment) -> str:
        key = (reduction.axes, reduction.reducer, reduction.reduced, reduction.guard, reduction.body)
        if reduction.name not in self.wanted:
            known = self.known.setdefault(key, reduction.name)
            if known != reduction.name:
                self.inlined[reduction.name] = replace(
                    reduction,
                    reducer=None,
                    reduced=(),
                    guard=sympy.true,
                    body=read(known, [e.axis for e in reduction.axes], reduction.dtype),
                )
                return known
        shift = find_shift(reduction)
        if shift is not None:
            self.sums[reduction.name] = shift
        self.made[reduction.name] = replace(reduction, body=self._stable(reduction.name, reduction.body))
        return reduction.name

    def _make_map(self, assignment: Assignment) -> None:
        body = self._smooth(assignment.name, assignment.body)
        self.smooth[assignment.name] = replace(assignment, body=body)
        self.made[assignment.name] = replace(assignment, body=self._stable(assignment.name, body))

    def _smooth(self, node: str, body: sympy.Expr) -> sympy.Expr:
        """Look through logarithms, then cancel."""
        seen = self._look_through_logs(body)
        body = self.trace.record(node, "look through a logarithm", body, seen, self._saved(body))
        return self.trace.record(node, "cancel", body, reduce_rational(body))

    def _stable(self, node: str, body: sympy.Expr) -> sympy.Expr:
        """What runs: exponentials shifted, scalar rewrites applied. Never differentiated again."""
        if self.accuracy == "tight":
            seen = self._look_through_outputs(body)
            body = self.trace.record(node, "look through the output", body, seen, self._saved(body))
        body = shift_exponentials(node, body, self.sums, self.trace, self._use)
        return stabilise(node, body, self.trace)

    def _use(self, shift: ShiftedSum) -> None:
        for part in (shift.largest, shift.shifted):
            if part.name not in self.made:
                self.made[part.name] = replace(part, body=stabilise(part.name, part.body, self.trace))

    def _exponential(self) -> dict[str, Assignment]:
        """The made maps that hold exponentials, as they were before stabilisation."""
        return {name: a for name, a in self.smooth.items() if a.body.has(sympy.exp)}

    def _saved(self, body: sympy.Expr) -> dict[sympy.Expr, sympy.Expr]:
        """What the saved outputs in a formula stand for."""
        bodies = self._exponential()
        return {e: inline(e, bodies) for e in entries(body) if e.operand in bodies}

    def _look_through_logs(self, body: sympy.Expr) -> sympy.Expr:
        """log(a) with a saved a = 1/(1 + exp(-z)) -> log(1/(1 + exp(-z))), where that logarithm then dissolves."""

        def visit(expr: sympy.Expr) -> sympy.Expr:
            if not isinstance(expr, sympy.log):
                return expr
            seen = inline(expr, self._exponential())
            if seen == expr:
                return expr
            stable = stabilise("", seen, Trace())
            return expr if any(left.has(sympy.exp) for left in stable.atoms(sympy.log)) else seen

        return map_bottom_up(body, visit) if body.has(sympy.log) else body

    def _look_through_outputs(self, body: sympy.Expr) -> sympy.Expr:
        """1 - a with a saved a = f(z) -> its product form in z, which keeps every digit: sigmoid(-z)."""

        def visit(expr: sympy.Expr) -> sympy.Expr:
            if not expr.is_Add:
                return expr
            read_here = entries(expr)
            if len(read_here) != 1 or expr.free_symbols - read_here[0].free_symbols:
                return expr
            seen = inline(expr, self._exponential())
            if seen == expr:
                return expr
            product = stabilise("", sympy.factor(sympy.cancel(sympy.together(seen))), Trace())
            return expr if product.is_Add or product.has(sympy.log) else product

        return map_bottom_up(body, visit)


@dataclass(frozen=True, slots=True)
class Simplified:
    """The result: formulas, how they came about, and what the boundary must check of integer and distribution inputs.

    `results` names the array of each output tensor; `made` holds each array's final assignment, `smooth` the maps
    before stabilisation, `inlined` what was expanded.
    """

    program: FormulaProgram
    trace: Trace
    made: Mapping[str, Assignment]
    smooth: Mapping[str, Assignment]
    inlined: Mapping[str, Assignment]
    results: Mapping[str, str]
    index_bounds: tuple[tuple[str, Expr], ...]
    distributions: tuple[str, ...]


def simplify(
    network: Network,
    outputs: Sequence[Tensor],
    updates: Mapping[str, Tensor] | None = None,
    sizes: Mapping[str, int] | None = None,
    accuracy: Accuracy = "fast",
    dtype: DType | None = None,
) -> Simplified:
    """Formulas for `outputs` and for the new values of the state variables in `updates`.

    `sizes` binds symbolic sizes to numbers; `dtype` replaces every float dtype.
    """
    updates = dict(updates or {})
    bound = {size_symbol(name): sympy.Integer(value) for name, value in (sizes or {}).items()}
    order = network.ancestors([*outputs, *updates.values()])
    assignments = [
        assignment_of(node, node.definition, network.operands(node), bound)
        for node in order
        if node.definition is not None
    ]
    wanted = {t.name for t in (*outputs, *updates.values())}
    copies = [n for n in order if n.name in wanted and n.definition is None]
    bounds = _index_bounds(network, order, bound)
    distributions = _distributions(network, order, bound)
    simplifier = _Simplifier(Facts(bounds, distributions), accuracy, wanted)
    roots = choose_roots(assignments, wanted)
    for assignment in assignments:
        simplifier.add(assignment, assignment.name in roots)
    leaves = {n.name: n for n in order if n.definition is None}
    for copy in copies:
        simplifier.made[f"{copy.name}.out"] = _copy(copy, bound)
    renamed = {c.name: f"{c.name}.out" for c in copies}
    results = [renamed.get(t.name, t.name) for t in outputs]
    news = {state: renamed.get(t.name, t.name) for state, t in updates.items()}
    needed = _needed(simplifier.made, [*results, *news.values()])

    def final(name: str) -> DType:
        return dtype if dtype is not None and name in FLOATS else name  # type: ignore[return-value]

    dtypes = {n.name: final(n.dtype) for n in leaves.values()} | {a.name: final(a.dtype) for a in needed}
    used = {e.operand for a in needed for e in (*entries(a.body), *entries(a.guard))} | set(news)
    converters = [Converter(dtypes, dtypes[a.name], _origin(a, network, simplifier.trace)) for a in needed]
    formulas = tuple(c.formula(a) for c, a in zip(converters, needed, strict=True))
    plain = Converter(dtypes, "int64", Origin(""))
    arrays = [
        Array(n.name, dtypes[n.name], tuple(plain.index(d.xreplace(bound)) for d in n.shape_exprs), _role(n))
        for n in leaves.values()
        if n.name in used or n.kind == "input"
    ]
    arrays += [
        Array(f.target, dtypes[f.target], tuple(r.hi for r in f.axes), "output" if f.target in results else "temp")
        for f in formulas
    ]
    missing = [s for s in news if s not in leaves]
    for state in missing:
        tensor = network[state]
        shape = tuple(plain.index(d) for d in tensor.shape_exprs)
        arrays.append(Array(state, final(tensor.dtype), shape, "state"))
    free = {s.name for n in order for d in n.shape_exprs for s in d.free_symbols} - set(sizes or {})
    program = FormulaProgram(network.name, tuple(sorted(free)), tuple(arrays), formulas, tuple(news.items()))
    inputs = [name for name, leaf in leaves.items() if leaf.kind == "input"]
    checks = tuple((name, plain.index(bounds[name])) for name in inputs if name in bounds)
    return Simplified(
        program,
        simplifier.trace,
        simplifier.made,
        simplifier.smooth,
        simplifier.inlined,
        {t.name: renamed.get(t.name, t.name) for t in outputs},
        checks,
        tuple(sorted(distributions)),
    )


def _role(node: Tensor) -> Literal["input", "state"]:
    return "input" if node.kind == "input" else "state"


def _origin(assignment: Assignment, network: Network, trace: Trace) -> Origin:
    """Where a formula comes from: its node, the addend, the last rewrite, and the arrays it reads."""
    fired = trace.of(assignment.name)
    data = network.graph.nodes.get(assignment.name, {}).get("attributes", {})
    parents = tuple(dict.fromkeys(Origin(e.operand) for e in entries(assignment.body)))
    return Origin(assignment.name, int(data.get("addend", 0)), fired[-1].rule if fired else "declare", parents)


def _copy(node: Tensor, bound: Mapping[sympy.Symbol, sympy.Expr]) -> Assignment:
    axes = tuple(Extent(axis_symbol(f"i{n}"), d.xreplace(bound)) for n, d in enumerate(node.shape_exprs))
    body = read(node.name, [e.axis for e in axes], node.dtype)
    return Assignment(f"{node.name}.out", axes, None, (), sympy.true, body, node.dtype)


def _index_bounds(
    network: Network, order: Sequence[Tensor], bound: Mapping[sympy.Symbol, sympy.Expr]
) -> dict[str, sympy.Expr]:
    """The extents that integer arrays index, where one extent is known for each."""
    bounds: dict[str, sympy.Expr] = {}
    for node in order:
        if node.definition is None:
            continue
        operands = network.operands(node)
        by_symbol = {a.symbol: a for a in node.definition.accesses}
        for access in node.definition.accesses:
            for index, dim in zip(access.index, node.definition.operands[access.operand].shape, strict=True):
                if index in by_symbol:
                    name, extent = operands[by_symbol[index].operand].name, dim.xreplace(bound)
                    before = bounds.setdefault(name, extent)
                    if before.is_Integer and extent.is_Integer:
                        bounds[name] = min(before, extent)
    return bounds


def _distributions(
    network: Network, order: Sequence[Tensor], bound: Mapping[sympy.Symbol, sympy.Expr]
) -> dict[str, sympy.Expr]:
    """The inputs that a loss was promised to be distributions, with the length of their rows.

    The promise is about the second operand of the definition that reads both; what is computed is not checked at the
    boundary, so only inputs count.
    """
    promised: dict[str, sympy.Expr] = {}
    for node in order:
        if network.graph.nodes[node.name]["attributes"].get("distribution") is True:
            for operand in network.operands(node)[1:]:
                if operand.kind == "input" and operand.ndim:
                    promised[operand.name] = operand.shape_exprs[-1].xreplace(bound)
    return promised


def _needed(made: Mapping[str, Assignment], results: Sequence[str]) -> list[Assignment]:
    """The assignments that the results are made of, operands first."""
    done: dict[str, Assignment] = {}
    stack = [(name, False) for name in reversed(results)]
    while stack:
        name, expanded = stack.pop()
        if name in done or name not in made:
            continue
        if expanded:
            done[name] = made[name]
            continue
        stack.append((name, True))
        read_names = dict.fromkeys(e.operand for part in (made[name].body, made[name].guard) for e in entries(part))
        stack += [(r, False) for r in reversed(read_names) if r not in done]
    return list(done.values())

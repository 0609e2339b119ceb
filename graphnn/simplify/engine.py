"""The work of `simplify/` on one graph: node after node is inlined or made, each made formula simplified on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import sympy

from graphnn.declare.definition import FLOATS
from graphnn.declare.entries import Entry
from graphnn.declare.parts import find_parts
from graphnn.simplify.algebra import map_bottom_up, reduce_rational, use_conditions
from graphnn.simplify.bounded import as_product
from graphnn.simplify.elements import take_out
from graphnn.simplify.facts import Facts
from graphnn.simplify.formula import Accuracy
from graphnn.simplify.reductions import Sums, split_sum
from graphnn.simplify.region import Assignment, contraction_factors, entries, inline, read, tidy_indices
from graphnn.simplify.rules import Trace
from graphnn.simplify.shift import ShiftedSum, find_shift, shift_exponentials
from graphnn.simplify.stability import stabilise, stable_forms


def exposed_exponentials(form: sympy.Expr) -> int:
    """How many exponentials would be evaluated as such, and may overflow, once a formula is stabilised."""
    if not form.has(sympy.exp):
        return 0
    forms = stable_forms(take_out(form)[0])
    return sum(not e.args[0].has(sympy.Abs) for e in find_parts(forms[-1][1] if forms else form, sympy.exp))


@dataclass(slots=True)
class Simplifier:
    """The state of one run: what is inlined, what is made, and what each made map is before stabilisation."""

    facts: Facts
    accuracy: Accuracy
    wanted: set[str]
    trace: Trace = field(default_factory=Trace)
    inlined: dict[str, Assignment] = field(default_factory=dict)
    made: dict[str, Assignment] = field(default_factory=dict)
    smooth: dict[str, Assignment] = field(default_factory=dict)
    exponential: dict[str, Assignment] = field(default_factory=dict)  # of those the ones that hold exponentials
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
        split = split_sum(before, self.facts, self.trace, Sums(self._part, self._made_sum, self._shape))
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

    def _made_sum(self, wanted: Assignment) -> Entry | None:
        """The access to a reduction that is made already."""
        name = self.known.get(_meaning(wanted))
        return None if name is None else read(name, [e.axis for e in wanted.axes], wanted.dtype)

    def _shape(self, name: str) -> tuple[sympy.Expr, ...]:
        """The extents of an array: of one made here, or of a leaf."""
        made = self.made.get(name)
        return self.facts.shapes[name] if made is None else tuple(e.size for e in made.axes)

    def _make_reduction(self, reduction: Assignment) -> str:
        if reduction.name not in self.wanted:
            known = self.known.setdefault(_meaning(reduction), reduction.name)
            if known != reduction.name:
                self.inlined[reduction.name] = replace(
                    reduction,
                    reducer=None,
                    reduced=(),
                    guard=sympy.true,
                    body=read(known, [e.axis for e in reduction.axes], reduction.dtype),
                )
                return known
        shift = find_shift(reduction, self.sums.values())
        if shift is not None:
            self.sums[reduction.name] = shift
        self.made[reduction.name] = replace(reduction, body=self._stable(reduction.name, reduction.body))
        return reduction.name

    def _make_map(self, assignment: Assignment) -> None:
        body = self._smooth(assignment.name, assignment.body)
        self.smooth[assignment.name] = replace(assignment, body=body)
        if assignment.dtype in FLOATS and body.has(sympy.exp):
            self.exponential[assignment.name] = self.smooth[assignment.name]
        self.made[assignment.name] = replace(assignment, body=self._stable(assignment.name, body))

    def _smooth(self, node: str, body: sympy.Expr) -> sympy.Expr:
        """Look through logarithms, then cancel."""
        seen = self._look_through_logs(body)
        if seen != body:
            body = self.trace.record(node, "look through a logarithm", body, seen, self._saved(body))
        return self.trace.record(node, "cancel", body, reduce_rational(body, exposed_exponentials))

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
                body = shift_exponentials(part.name, part.body, self.sums, self.trace, self._use)
                self.made[part.name] = replace(part, body=stabilise(part.name, body, self.trace))

    def _saved(self, body: sympy.Expr) -> dict[sympy.Expr, sympy.Expr]:
        """What the saved outputs in a formula stand for."""
        return {e: inline(e, self.exponential) for e in entries(body) if e.operand in self.exponential}

    def _look_through_logs(self, body: sympy.Expr) -> sympy.Expr:
        """log(a) with a saved a = 1/(1 + exp(-z)) -> log(1/(1 + exp(-z))), where that logarithm then dissolves."""

        def visit(expr: sympy.Expr) -> sympy.Expr:
            if not isinstance(expr, sympy.log):
                return expr
            seen = inline(expr, self.exponential)
            if seen == expr:
                return expr
            stable = stabilise("", seen, Trace())
            return expr if any(left.has(sympy.exp) for left in find_parts(stable, sympy.log)) else seen

        return map_bottom_up(body, visit) if body.has(sympy.log) else body

    def _look_through_outputs(self, body: sympy.Expr) -> sympy.Expr:
        """1 - a with a saved a = f(z) -> its product form in z, which keeps every digit: sigmoid(-z)."""

        def visit(expr: sympy.Expr) -> sympy.Expr:
            if not expr.is_Add:
                return expr
            read_here = entries(expr)
            if len(read_here) != 1 or expr.free_symbols - read_here[0].free_symbols:
                return expr
            seen = inline(expr, self.exponential)
            if seen == expr:
                return expr
            product = stabilise("", as_product(seen), Trace())
            return expr if product.is_Add or product.has(sympy.log, sympy.exp) else product

        return map_bottom_up(body, visit)


def _meaning(reduction: Assignment) -> tuple[object, ...]:
    """What makes two reductions equal."""
    return (reduction.axes, reduction.reducer, reduction.reduced, reduction.guard, reduction.body)

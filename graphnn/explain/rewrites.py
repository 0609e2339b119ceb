"""The rewrites of `simplify/` as equations: each says what a node's whole formula is after it.

A trace holds what a rule was applied to: the body of a sum, one of its terms, or a map. Here every instance is put back
into the formula that it is a part of:

    dw[i0] = sum[r0](2*g[r0])      pull constant factors out: 2*g[r0] -> g[r0]      dw[i0] = 2*sum[r0](g[r0])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy
from sympy.core.function import AppliedUndef

from graphnn.declare.definition import Extent
from graphnn.declare.entries import Entry, Reduction
from graphnn.declare.network import Network, Tensor
from graphnn.simplify.passes import Simplified
from graphnn.simplify.region import Assignment, assignment_of, entries, inline, tidy_indices
from graphnn.simplify.rules import Rewrite

Step = tuple[str, sympy.Basic]


def rewrite_steps(network: Network, simplified: Simplified, nodes: Sequence[Tensor]) -> list[Step]:
    """(rule, equation) of each rewrite in the formulas of `nodes` and of the auxiliary arrays that they read.

    An auxiliary array (a maximum that is subtracted, a sum that a factor left) is no node of the network. Those that
    nothing rewrote come last, as ("where", equation).
    """
    helpers = _auxiliary(network, simplified, [node.name for node in nodes])
    formulas = {node.name: _start(simplified, node) for node in nodes}
    axes = {node.name: node.definition.axes for node in nodes if node.definition is not None}
    for helper in helpers:
        first = next(iter(simplified.trace.of(helper.name)), None)
        formulas[helper.name] = reduction_of(helper, helper.body if first is None else first.before)
        axes[helper.name] = helper.axes
    steps: list[Step] = []
    for rewrite in simplified.trace.rewrites:
        if rewrite.node in formulas:
            formulas[rewrite.node] = _apply(formulas[rewrite.node], rewrite)
            steps.append((rewrite.rule, equation(rewrite.node, axes[rewrite.node], formulas[rewrite.node])))
    unchanged = [h.name for h in helpers if not simplified.trace.of(h.name)]
    return steps + [("where", equation(name, axes[name], formulas[name])) for name in unchanged]


def equation(name: str, axes: Iterable[Extent], formula: sympy.Expr) -> sympy.Basic:
    """name[axes] = formula; an axis of one element is 0 on the left where the formula has 0 for it."""
    index = (sympy.S.Zero if e.size == 1 and e.axis not in formula.free_symbols else e.axis for e in axes)
    return sympy.Eq(Entry(sympy.Symbol(name), sympy.S.Zero, *index), formula, evaluate=False)


def reduction_of(assignment: Assignment, body: sympy.Expr) -> sympy.Expr:
    """The right-hand side of an assignment with this body."""
    if assignment.reducer is None:
        return body
    return Reduction(sympy.Symbol(assignment.reducer), body, assignment.guard, *(e.axis for e in assignment.reduced))


def _start(simplified: Simplified, node: Tensor) -> sympy.Expr:
    """A node's formula before its first rewrite: its definition with the maps inlined that are no arrays."""
    assert node.definition is not None
    own = assignment_of(node, node.definition, node.network.operands(node), {})
    return reduction_of(own, tidy_indices(inline(own.body, simplified.inlined), own.sizes))


def _auxiliary(network: Network, simplified: Simplified, names: Sequence[str]) -> list[Assignment]:
    """The arrays outside of the network that the arrays of these names are made of."""
    found: dict[str, Assignment] = {}
    stack = [name for name in reversed(names) if name in simplified.made]
    while stack:
        for entry in entries(simplified.made[stack.pop()].body):
            if entry.operand in simplified.made and entry.operand not in (*found, *network.graph):
                found[entry.operand] = simplified.made[entry.operand]
                stack.append(entry.operand)
    return list(found.values())


def _apply(formula: sympy.Expr, rewrite: Rewrite) -> sympy.Expr:
    """The formula after a rewrite of all of it, of the body of its reduction, or of one sum in it."""
    before, after = rewrite.before, rewrite.after
    if isinstance(before, AppliedUndef):  # as `reductions.py` notes a sum: sum(body, axes)
        return _apply_to_sum(formula, before, after)
    if isinstance(formula, Reduction) and formula.body == before:
        return formula.func(formula.args[0], after, *formula.args[2:])
    return after  # a map, or what is left of a sum whose parts have become arrays


def _apply_to_sum(formula: sympy.Expr, before: sympy.Expr, after: sympy.Expr) -> sympy.Expr:
    """sum(a + b) -> sum(a) + sum(b), in which the sum over `before` is exchanged; unchanged factors stay outside."""

    def exchange(found: Reduction) -> sympy.Expr:
        if not isinstance(after, AppliedUndef):
            return after
        left = before.args[0] / after.args[0] if before.args[1:] == after.args[1:] else sympy.S.One
        return left * Reduction(found.args[0], after.args[0], sympy.true, *after.args[1:])

    def split(found: Reduction) -> sympy.Expr:
        terms = sympy.Add.make_args(found.body)
        return sympy.Add(*(found.func(found.args[0], term, *found.args[2:]) for term in terms))

    reductions = {r: split(r) for r in formula.atoms(Reduction) if r.body != before.args[0]}
    formula = formula.xreplace(reductions)
    return formula.xreplace({r: exchange(r) for r in formula.atoms(Reduction) if r.body == before.args[0]})

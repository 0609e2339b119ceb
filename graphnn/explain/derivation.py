"""derivation(): the named steps from a definition to the formula that runs.

derivation(gn.sigmoid)      sigma' of one op, found through its output
derivation(loss, W)         a gradient: the adjoint of each op on the way, then every rewrite that fired
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy

from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import ELLIPSIS, Entry, Reduction
from graphnn.declare.op import Op
from graphnn.derive.adjoint import Ties
from graphnn.derive.output import OUTPUT, through_output
from graphnn.derive.scalar import differentiate
from graphnn.derive.sweep import gradients
from graphnn.errors import DeriveError
from graphnn.explain.formula import formula, latex
from graphnn.simplify.engine import Accuracy
from graphnn.simplify.passes import Simplified, simplify
from graphnn.simplify.region import Assignment, entries
from graphnn.simplify.rules import Trace
from graphnn.simplify.stability import stabilise


@dataclass(frozen=True, slots=True)
class Derivation:
    """`steps` are (rule, expression); `result` is the textbook form, `emitted` the one that runs, for `reason`."""

    title: str
    steps: tuple[tuple[str, sympy.Basic], ...]
    result: sympy.Basic
    emitted: sympy.Basic
    reason: str

    def latex(self) -> str:
        """An aligned LaTeX environment, a line a step with the rule beside it."""
        lines = [f"& {latex(expr)} && \\text{{{rule}}}" for rule, expr in self.steps]
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

    def markdown(self) -> str:
        """A numbered list of the steps, ending in the textbook form and in what runs."""
        lines = [f"### {self.title}", ""]
        lines += [f"{n}. {rule}: `{expr}`" for n, (rule, expr) in enumerate(self.steps, 1)]
        lines += ["", f"**Textbook form:** `{self.result}`", "", f"**What runs** ({self.reason}): `{self.emitted}`"]
        return "\n".join(lines)

    def __str__(self) -> str:
        width = max(len(rule) for rule, _ in self.steps)
        lines = [self.title]
        lines += [f"  {rule:<{width}}  {expr}" for rule, expr in self.steps]
        lines += [f"  {'result':<{width}}  {self.result}", f"  {'emitted':<{width}}  {self.emitted}   ({self.reason})"]
        return "\n".join(lines)


def derivation(
    target: Op | Tensor, wrt: Tensor | None = None, accuracy: Accuracy = "fast", ties: Ties = "first"
) -> Derivation:
    """How a derivative comes about.

    `target` is an op of one operand, or a Tensor together with the Tensor `wrt`. Each step is checked numerically at
    random points where it is an equation between closed expressions. DeriveError where there is no gradient.
    """
    if isinstance(target, Tensor):
        if wrt is None:
            raise DeriveError(
                f"derivation of '{target.name}' needs the tensor to differentiate by, as its second argument"
            )
        return _of_tensor(target, wrt, accuracy, ties)
    if not isinstance(target, Op) or len(target.operands) != 1:
        raise DeriveError(f"{target!r} is not an op of one operand; give a Tensor and the tensor to differentiate by")
    if target.out != (ELLIPSIS,):
        raise DeriveError(f"{target!r} is not elementwise; give a Tensor and the tensor to differentiate by")
    return _of_op(target, accuracy)


def _of_op(op: Op, accuracy: Accuracy) -> Derivation:
    network = Network("derivation")
    tensor = op(network.input("t", ()))
    assert tensor.definition is not None
    body, symbol = tensor.definition.body, tensor.definition.accesses[0].symbol
    slope = differentiate(body, symbol, op.name)
    steps: list[tuple[str, sympy.Basic]] = [
        ("definition", sympy.Eq(OUTPUT, body, evaluate=False)),
        ("differentiate", slope),
    ]
    found = through_output(body, symbol, slope)
    trace = Trace()
    stable = stabilise("tight", sympy.factor(slope) if slope.is_Add else slope, trace)
    result: sympy.Basic = slope
    if found is not None:
        steps += found.steps
        result = found.result
        _check(slope, found.result.xreplace({OUTPUT: body}), symbol)
    if accuracy == "tight" or found is None:
        steps += [(r.rule, r.after) for r in trace.rewrites]
        reason = "exact relative to each value" if accuracy == "tight" else "no cheaper form in the output"
        return Derivation(f"d {op.name}(t)/dt", tuple(steps), result, stable, reason)
    return Derivation(f"d {op.name}(t)/dt", tuple(steps), result, result, "cheapest: reads the saved output")


def _check(before: sympy.Expr, after: sympy.Expr, symbol: sympy.Symbol) -> None:
    """An instance of a rewrite, at points spread over its domain, to 30 digits."""
    with mpmath.workdps(40):
        for point in map(sympy.Rational, (-2.75, -0.5, 0.3125, 1.0, 3.5)):
            a, b = (sympy.N(e.subs(symbol, point), 40) for e in (before, after))
            if a.is_real and b.is_real and abs(a - b) > abs(a) * sympy.Float("1e-30"):
                raise DeriveError(f"the rewrite {before} -> {after} is wrong at {symbol} = {point}: {a} and {b}")


def _of_tensor(target: Tensor, wrt: Tensor, accuracy: Accuracy, ties: Ties) -> Derivation:
    (gradient,) = gradients(target, [wrt], ties)
    network = target.network
    before = network.ancestors([target])
    known = {t.name for t in before}
    simplified = simplify(network, [target, gradient], accuracy=accuracy)
    steps: list[tuple[str, sympy.Basic]] = [("definition", _equation(target))]
    for node in network.ancestors([gradient]):
        if node.name not in known and node.definition is not None:
            steps.append((node.definition.op, _equation(node)))
    final = _reached(simplified, gradient.name)
    for rewrite in simplified.trace.rewrites:
        if rewrite.node in final or network.graph.nodes.get(rewrite.node, {}).get("op", "").startswith("adjoint"):
            steps.append((rewrite.rule, rewrite.after))
    textbook = _textbook(simplified, gradient, before)
    emitted = _body(simplified.made[gradient.name])
    reason = "exact relative to each element" if accuracy == "tight" else "saved outputs where they are accurate enough"
    return Derivation(f"d {target.name} / d {wrt.name}", tuple(steps), textbook, emitted, reason)


def _equation(tensor: Tensor) -> sympy.Basic:
    assert tensor.definition is not None
    axes = [e.axis for e in tensor.definition.axes]
    left = Entry(sympy.Symbol(tensor.name), sympy.S.Zero, *axes)
    return sympy.Eq(left, formula(tensor), evaluate=False)


def _body(assignment: Assignment) -> sympy.Basic:
    if assignment.reducer is None:
        return assignment.body
    return Reduction(
        sympy.Symbol(assignment.reducer), assignment.body, assignment.guard, *(e.axis for e in assignment.reduced)
    )


def _reached(simplified: Simplified, name: str) -> set[str]:
    """The arrays that the formula of `name` is made of, itself included."""
    reached, stack = set(), [name]
    while stack:
        current = stack.pop()
        if current not in reached and current in simplified.made:
            reached.add(current)
            stack += [e.operand for e in entries(simplified.made[current].body)]
    return reached


def _textbook(simplified: Simplified, gradient: Tensor, forward: Sequence[Tensor]) -> sympy.Basic:
    """The gradient before stabilisation, with the network's own tensors put back where their formulas stand."""
    smooth = simplified.smooth.get(gradient.name)
    if smooth is None:
        return _body(simplified.made[gradient.name])
    body = smooth.body
    for node in forward:
        inlined: Any = simplified.inlined.get(node.name)
        if inlined is None or not inlined.body.has(sympy.exp) or len(inlined.axes) != len(smooth.axes):
            continue
        index = [e.axis for e in smooth.axes]
        name = Entry(sympy.Symbol(node.name), sympy.S.Zero, *index)
        body = body.subs(inlined.body.xreplace({e.axis: i for e, i in zip(inlined.axes, index, strict=True)}), name)
    return body

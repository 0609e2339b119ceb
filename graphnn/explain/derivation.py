"""derivation(): the named steps from a definition to the formula that runs.

derivation(gn.sigmoid)      sigma' of one op, found through its output
derivation(loss, W)         a gradient: the adjoint of each op on the way, then every rewrite that fired
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mpmath
import sympy

from graphnn.declare.entries import ELLIPSIS, Entry
from graphnn.declare.network import Network, Tensor
from graphnn.declare.op import Op
from graphnn.declare.registry import OPS
from graphnn.derive.output import OUTPUT, through_output, through_quotient
from graphnn.derive.scalar import differentiate
from graphnn.derive.steps import Ties
from graphnn.derive.sweep import gradients
from graphnn.errors import DeriveError, GraphnnError
from graphnn.explain.formula import described, formula, latex, partials, words
from graphnn.explain.rewrites import equation, reduction_of, rewrite_steps
from graphnn.explain.text import expression_text
from graphnn.simplify.algebra import reduce_rational
from graphnn.simplify.cost import cost
from graphnn.simplify.engine import exposed_exponentials
from graphnn.simplify.formula import Accuracy
from graphnn.simplify.instances import check_instances
from graphnn.simplify.passes import Simplified, simplify
from graphnn.simplify.rules import Trace
from graphnn.simplify.stability import stabilise


@dataclass(frozen=True, slots=True)
class Derivation:
    """`steps` are (rule, expression); `result` is the textbook form, `emitted` the one that runs, for `reason`.

    `partials` holds LaTeX for the names of gradients.
    """

    title: str
    steps: tuple[tuple[str, sympy.Basic], ...]
    result: sympy.Basic
    emitted: sympy.Basic
    reason: str
    partials: Mapping[str, str] = field(default_factory=dict)

    def latex(self, names: Mapping[str, str] | None = None) -> str:
        """An aligned LaTeX environment: a line a step with the rule beside it, then the textbook form and what runs.

        `names` gives LaTeX for names of nodes, as in `gn.latex`.
        """
        ends = [("result", self.result), (f"emitted ({self.reason})", self.emitted)]
        shown = {**self.partials, **(names or {})}
        lines = [f"& {latex(expr, shown)} && {words(rule)}" for rule, expr in (*self.steps, *ends)]
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

    def markdown(self) -> str:
        """A numbered list of the steps, ending in the textbook form and in what runs."""
        lines = [f"### {self.title}", ""]
        lines += [f"{n}. {rule}: `{expression_text(expr)}`" for n, (rule, expr) in enumerate(self.steps, 1)]
        lines += ["", f"**Textbook form:** `{expression_text(self.result)}`", ""]
        lines += [f"**What runs** ({self.reason}): `{expression_text(self.emitted)}`"]
        return "\n".join(lines)

    def __str__(self) -> str:
        steps = (*self.steps, ("result", self.result), ("emitted", self.emitted))
        width = max(len(rule) for rule, _ in steps)
        lines = [f"  {rule:<{width}}  {expression_text(expr)}" for rule, expr in steps]
        return "\n".join([self.title, *lines]) + f"   ({self.reason})"


def derivation(
    target: Op | Tensor,
    wrt: Tensor | None = None,
    accuracy: Accuracy = "fast",
    ties: Ties = "first",
    training: bool = True,
) -> Derivation:
    """How a derivative comes about.

    `target` is an op of one number (gn.sigmoid, gn.gelu), or a Tensor together with the Tensor `wrt`. Scalar rewrites
    are checked numerically at random points (CompileError where the sides differ). DeriveError where there is no
    gradient. A network gets the nodes of the gradient once, however often it is asked for. The forms that run are those
    of training unless training=False.
    """
    if isinstance(target, Tensor):
        if wrt is None:
            raise DeriveError(
                f"derivation of '{target.name}' needs the tensor to differentiate by, as its second argument"
            )
        return _of_tensor(target, wrt, accuracy, ties, training)
    return _of_op(_on_a_number(target), accuracy)


def _on_a_number(op: Any) -> Tensor:
    """y = op(t) for a number t, as one definition."""
    advice = "give a Tensor and the tensor to differentiate by: gn.derivation(y, x)"
    if isinstance(op, Op):
        if len(op.operands) != 1:
            raise DeriveError(f"{op!r} is not an op of one operand; {advice}")
        if op.out != (ELLIPSIS,):
            raise DeriveError(f"{op!r} is not elementwise; {advice}")
    elif not any(op is known for known in OPS.values()):
        raise DeriveError(f"{described(op)}: {advice}")
    network = Network("derivation")
    number = network.input("t", ())
    try:
        made = op(number)
    except (GraphnnError, TypeError) as error:
        raise DeriveError(f"{described(op)}: {advice}") from error
    if not isinstance(made, Tensor) or made.definition is None or network.operands(made) != (number,):
        raise DeriveError(f"{described(op)}: {advice}")
    return made


def _of_op(tensor: Tensor, accuracy: Accuracy) -> Derivation:
    assert tensor.definition is not None
    body, symbol = tensor.definition.body, tensor.definition.accesses[0].symbol
    name = _op(tensor)
    slope = differentiate(body, symbol, name)
    steps: list[tuple[str, sympy.Basic]] = [
        ("definition", sympy.Eq(OUTPUT, body, evaluate=False)),
        ("differentiate", slope),
    ]
    found = through_output(body, symbol, slope)
    trace = Trace()
    access = Entry(sympy.Symbol("t"), sympy.S.Zero)
    plain = reduce_rational(slope.xreplace({symbol: access}), exposed_exponentials)
    stable = stabilise("tight", plain.xreplace({access: symbol}), trace)
    shown_through = found or through_quotient(body, symbol, slope)
    result: sympy.Basic = slope
    if shown_through is not None:
        steps += shown_through.steps
        result = shown_through.result
        _check(slope, result.xreplace(dict([shown_through.means])), symbol)
    elif cost(plain) < cost(slope):
        result = plain.xreplace({access: symbol})
    check_instances(trace)
    emitted, reason = result, "cheapest: reads the saved output"
    if accuracy == "tight" or found is None:
        steps += [(r.rule, r.after) for r in trace.rewrites]
        emitted = stable
        reason = "exact relative to each value" if accuracy == "tight" else "no cheaper form in the output"
    shown = tuple((rule, _renamed(expr, symbol)) for rule, expr in steps)
    title = f"d {name}(t)/dt"
    return Derivation(title, shown, _renamed(result, symbol), _renamed(emitted, symbol), reason)


def _renamed(expr: sympy.Basic, symbol: sympy.Symbol) -> sympy.Basic:
    """The formula in t. Stages before read the access's number from its name."""
    if isinstance(expr, sympy.Eq):
        return expr.func(*(_renamed(side, symbol) for side in expr.args), evaluate=False)
    return expr.xreplace({symbol: sympy.Symbol("t", real=True)})


def _check(before: sympy.Expr, after: sympy.Expr, symbol: sympy.Symbol) -> None:
    """An instance of a rewrite, at points spread over its domain, to 30 digits."""
    with mpmath.workdps(40):
        for point in map(sympy.Rational, (-2.75, -0.5, 0.3125, 1.0, 3.5)):
            a, b = (sympy.N(e.subs(symbol, point), 40) for e in (before, after))
            if a.is_real and b.is_real and abs(a - b) > abs(a) * sympy.Float("1e-30"):
                raise DeriveError(f"the rewrite {before} -> {after} is wrong at {symbol} = {point}: {a} and {b}")


def _of_tensor(target: Tensor, wrt: Tensor, accuracy: Accuracy, ties: Ties, training: bool) -> Derivation:
    (gradient,) = gradients(target, [wrt], ties)
    network = target.network
    before = network.ancestors([target])
    known = {t.name for t in before}
    simplified = simplify(network, [target, gradient], accuracy=accuracy, training=training)
    check_instances(simplified.trace)
    adjoints = [n for n in network.ancestors([gradient]) if n.name not in known]
    steps = [("definition", _equation(target)), *((_op(node), _equation(node)) for node in adjoints)]
    steps += rewrite_steps(network, simplified, adjoints)
    textbook = _textbook(simplified, gradient, before)
    made = simplified.made[gradient.name]
    emitted = reduction_of(made, made.body)
    reason = "exact relative to each element" if accuracy == "tight" else "saved outputs where they are accurate enough"
    title = f"d {target.name} / d {wrt.name}"
    return Derivation(title, tuple(steps), textbook, emitted, reason, partials(network))


def _equation(tensor: Tensor) -> sympy.Basic:
    axes = () if tensor.definition is None else tensor.definition.axes
    return equation(tensor.name, axes, formula(tensor))


def _op(tensor: Tensor) -> str:
    op: str = tensor.network.graph.nodes[tensor.name]["op"]
    return op


def _textbook(simplified: Simplified, gradient: Tensor, forward: Sequence[Tensor]) -> sympy.Basic:
    """The gradient before stabilisation, with the network's own tensors put back where their formulas stand."""
    smooth = simplified.smooth.get(gradient.name)
    if smooth is None:
        made = simplified.made[gradient.name]
        return reduction_of(made, made.body)
    body = smooth.body
    for node in forward:
        inlined: Any = simplified.inlined.get(node.name)
        if inlined is None or not inlined.body.has(sympy.exp) or len(inlined.axes) != len(smooth.axes):
            continue
        index = [e.axis for e in smooth.axes]
        name = Entry(sympy.Symbol(node.name), sympy.S.Zero, *index)
        body = body.subs(inlined.body.xreplace({e.axis: i for e, i in zip(inlined.axes, index, strict=True)}), name)
    return body

"""The formula of a tensor, as a sympy expression in index notation and as LaTeX."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

from graphnn.declare.entries import ELLIPSIS, Entry, Reduction
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import axis_symbol
from graphnn.declare.op import Op
from graphnn.declare.registry import OPS
from graphnn.errors import GraphError
from graphnn.simplify.heads import Sigmoid
from graphnn.simplify.region import Assignment, assignment_of, inline, is_reindex


def formula(tensor: Tensor, inline: bool = False, down_to: Sequence[Tensor] | None = None) -> sympy.Expr:
    """What the tensor's elements are, at axes i0, i1, ...: a sympy expression whose accesses print as W[i0, r0].

    One node deep; `inline=True` expands every elementwise node that it reads, down to reductions, inputs and
    parameters. `down_to` expands everything, reductions in place, except for these tensors, inputs and parameters.
    GraphError for an input or a parameter, which have no formula, and for what is no Tensor of the network.
    """
    if not isinstance(tensor, Tensor):
        raise GraphError(f"formula takes a Tensor; {described(tensor)}")
    if tensor.definition is None:
        raise GraphError(f"'{tensor.name}' is an {tensor.kind} and has no formula")
    if down_to is not None:
        return _nested(tensor, _names_of(tensor.network, down_to))
    return _reduction(expand(tensor) if inline else _assignment(tensor))


def _reduction(assignment: Assignment) -> sympy.Expr:
    """The right-hand side."""
    if assignment.reducer is None:
        return assignment.body
    axes = [e.axis for e in assignment.reduced]
    return Reduction(sympy.Symbol(assignment.reducer), assignment.body, assignment.guard, *axes)


def _names_of(network: Network, tensors: Sequence[Tensor]) -> set[str]:
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for tensor in given:
        if not isinstance(tensor, Tensor):
            raise GraphError(f"formula: down_to= takes Tensors; {described(tensor)}")
        if tensor.network is not network:
            raise GraphError(f"formula: down_to= has '{tensor.name}', a tensor of another network")
    return {t.name for t in given}


def _nested(tensor: Tensor, stops: Collection[str]) -> sympy.Expr:
    """The tensor's formula with the nodes before it put in, except for `stops`."""
    network = tensor.network
    between, stack = {tensor.name}, [tensor]
    while stack:
        for operand in network.operands(stack.pop()):
            if operand.definition is not None and operand.name not in {*stops, *between}:
                between.add(operand.name)
                stack.append(operand)
    bodies: dict[str, Assignment] = {}
    result = sympy.S.Zero
    for node in network.ancestors([tensor]):
        if node.name not in between:
            continue
        own = _assignment(node)
        body = _reduction(replace(own, guard=inline_maps(own.guard, bodies), body=inline_maps(own.body, bodies)))
        # An axis of its own for each sum: the one that it is put into may have an r0, too.
        result = body.xreplace({e.axis: sympy.Dummy("r", integer=True) for e in own.reduced})
        bodies[node.name] = own.as_map(result)
    return _numbered(result, 0)


def _numbered(expr: Any, depth: int) -> Any:
    """The axes of reductions named r0, r1, ... from the outside in."""
    if isinstance(expr, Reduction):
        names = {axis: axis_symbol(f"r{depth + n}") for n, axis in enumerate(expr.axes)}
        inner = [_numbered(part, depth + len(names)) for part in (expr.body, expr.guard)]
        return expr.func(expr.args[0], *(part.xreplace(names) for part in inner), *names.values())
    return expr.func(*(_numbered(arg, depth) for arg in expr.args)) if expr.has(Reduction) else expr


def _assignment(tensor: Tensor) -> Assignment:
    assert tensor.definition is not None
    return assignment_of(tensor, tensor.definition, tensor.network.operands(tensor), {})


def expand(tensor: Tensor) -> Assignment:
    """The tensor's definition with all maps inlined that it is made of."""
    bodies: dict[str, Assignment] = {}
    result = _assignment(tensor)
    for node in tensor.network.ancestors([tensor]):
        if node.definition is None:
            continue
        own = _assignment(node)
        own = replace(own, guard=inline_maps(own.guard, bodies), body=inline_maps(own.body, bodies))
        if own.reducer is None or is_reindex(own):
            bodies[own.name] = own
        if node.name == tensor.name:
            result = own
    return result


def inline_maps(expr: Any, bodies: dict[str, Assignment]) -> Any:
    """`expr` with the accesses of `bodies` expanded."""
    return inline(expr, bodies)


def latex(what: Any, names: Mapping[str, str] | None = None, down_to: Sequence[Tensor] | None = None) -> str:
    """LaTeX of a Tensor's formula, an op as written, an optimizer's rule, a derivation, or a sympy expression.

    `names` gives LaTeX for names of nodes: {"hidden.W": "W^1"} prints an element as W^1_{i j}. The nodes of gradients
    are partial derivatives. `down_to` is that of `formula`.

    GraphError for anything else, for a Tensor without a formula, for names= or down_to= where they say nothing.
    """
    if names is not None and not (isinstance(names, Mapping) and all(isinstance(n, str) for n in names.values())):
        raise GraphError(f"latex: names= is a dict of LaTeX by name, not {names!r:.60}")
    if down_to is not None and not isinstance(what, Tensor):
        raise GraphError("latex: down_to= is for a Tensor's formula")
    if isinstance(what, Tensor):
        axes = _definition_axes(what)
        printer = _Printer({**partials(what.network, names), **(names or {})})
        label = printer.label(what.name)
        left = _subscripted(label, axes) if axes else label
        return f"{left} = {printer.doprint(formula(what, down_to=down_to))}"
    if isinstance(what, Op):
        return f"{_name(what.name)}_{{{' '.join(map(_axis, what.out))}}} = {_Printer(names).doprint(what.body)}"
    if isinstance(what, sympy.Basic | int | float):
        return str(_Printer(names).doprint(what))
    if not hasattr(what, "latex"):
        raise GraphError(f"latex takes a Tensor, an op, an optimizer, a derivation or an expression; {described(what)}")
    if names is not None:
        raise GraphError("latex: names= is for Tensors, ops and expressions; a derivation's .latex takes it")
    text: str = what.latex()
    return text


def partials(network: Network, names: Mapping[str, str] | None = None) -> dict[str, str]:
    """LaTeX of the gradients in a network, by node: "dC/dW" is a fraction of two partial differentials."""
    printer, found = _Printer(names), {}
    for node, data in network.graph.nodes(data=True):
        of, slash, by = node[1:].partition("/d")
        if data.get("derived") and slash and of in network and by in network:
            found[node] = f"\\frac{{\\partial {printer.label(of)}}}{{\\partial {printer.label(by)}}}"
    return found


def described(what: object) -> str:
    """What something is that is no Tensor, as a clause."""
    name = next((name for name, op in OPS.items() if op is what), None)
    if isinstance(what, Op):
        return f"'{what.name}' is an op, which gives a Tensor when it is called on one"
    if name is not None:
        return f"'{name}' is a composition of ops, which gives a Tensor when it is called on one"
    if callable(what):
        return f"'{getattr(what, 'name', type(what).__name__)}' is to be called first"
    return f"a {type(what).__name__} is given"


def _definition_axes(tensor: Tensor) -> str:
    definition = tensor.definition
    return " ".join(_axis(e.axis) for e in definition.axes) if definition is not None else ""


_LETTERS = {"i": "ijklmn", "r": "rstuvw"}
_ESCAPES = str.maketrans({c: f"\\{c}" for c in "#$%&_{}"} | {"\\": "\\backslash ", "^": "\\wedge ", "~": "\\sim "})


def _axis(symbol: sympy.Symbol) -> str:
    """i0, i1, ... -> i, j, ...; r0, r1, ... -> r, s, ...; broadcast dimensions -> dots."""
    if symbol == ELLIPSIS:
        return "\\ldots"
    letters = _LETTERS.get(symbol.name[:1], "")
    number = symbol.name[1:]
    return letters[int(number)] if number.isdigit() and int(number) < len(letters) else symbol.name


def words(text: str) -> str:
    """Text in LaTeX, in which nothing is a command."""
    return f"\\text{{{text.translate(_ESCAPES)}}}"


def _name(name: str) -> str:
    """A person's label as inert text: one letter as a variable, else upright."""
    return name if len(name) == 1 and name.isalpha() else f"\\mathrm{{{name.translate(_ESCAPES)}}}"


def _subscripted(label: str, index: str) -> str:
    """A fraction gets brackets, so that an index belongs to all of it."""
    return f"\\left({label}\\right)_{{{index}}}" if label.startswith("\\frac") else f"{label}_{{{index}}}"


_OPERATORS = {"sum": "\\sum", "prod": "\\prod", "max": "\\max", "min": "\\min"}


class _Printer(LatexPrinter):  # type: ignore[misc]
    """sympy's printer with accesses as subscripts, reductions as big operators, and names as a person gives them."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._names = names or {}

    def label(self, name: str) -> str:
        return self._names.get(name) or _name(name)

    def _print_Entry(self, entry: Entry) -> str:
        index = " ".join(self._print(i) if i.is_Atom else f"({self._print(i)})" for i in entry.index)
        label = self.label(entry.operand)
        return _subscripted(label, index) if index else label

    def parenthesize(self, item: Any, level: int, is_neg: bool = False, strict: bool = False) -> str:
        """A given name may hold a superscript: its power gets brackets."""
        if isinstance(item, Entry) and item.operand in self._names and level >= PRECEDENCE["Pow"]:
            return f"\\left({self._print(item)}\\right)"
        text: str = super().parenthesize(item, level, is_neg, strict)
        return text

    _print_IntegerEntry = _print_Entry

    def _print_Reduction(self, reduction: Reduction) -> str:
        below = ", ".join(map(_axis, reduction.axes))
        condition = "" if reduction.guard == sympy.true else f",\\; {self._print(reduction.guard)}"
        operator = _OPERATORS[reduction.reducer]
        return f"{operator}_{{{below}{condition}}} {self.parenthesize(reduction.body, 40)}"

    def _print_Symbol(self, symbol: sympy.Symbol, style: str = "plain") -> str:
        axis = _axis(symbol)
        return axis if axis != symbol.name else self.label(symbol.name)

    def _print_Sigmoid(self, call: Sigmoid, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp else ""
        return f"\\sigma{power}\\left({self._print(call.args[0])}\\right)"

    def _print_Erfc(self, call: sympy.Expr, exp: str | None = None) -> str:
        return f"\\operatorname{{erfc}}{'^{' + exp + '}' if exp else ''}\\left({self._print(call.args[0])}\\right)"

    def _print_log1p(self, call: sympy.Expr, exp: str | None = None) -> str:
        return f"\\operatorname{{log1p}}{'^{' + exp + '}' if exp else ''}\\left({self._print(call.args[0])}\\right)"

    def _print_expm1(self, call: sympy.Expr, exp: str | None = None) -> str:
        return f"\\operatorname{{expm1}}{'^{' + exp + '}' if exp else ''}\\left({self._print(call.args[0])}\\right)"

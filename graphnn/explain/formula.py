"""The formula of a tensor, as a sympy expression in index notation and as LaTeX."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from graphnn.declare.network import Tensor
from graphnn.declare.notation import ELLIPSIS, Entry, Reduction
from graphnn.declare.op import Op
from graphnn.declare.registry import OPS
from graphnn.errors import GraphError
from graphnn.simplify.heads import Sigmoid
from graphnn.simplify.region import Assignment, assignment_of, inline, is_reindex


def formula(tensor: Tensor, inline: bool = False) -> sympy.Expr:
    """What the tensor's elements are, at axes i0, i1, ...: a sympy expression whose accesses print as W[i0, r0].

    One node deep; `inline=True` expands every elementwise node that it reads, down to reductions, inputs and
    parameters. GraphError for an input or a parameter, which have no formula, and for what is no Tensor.
    """
    if not isinstance(tensor, Tensor):
        raise GraphError(f"formula takes a Tensor; {described(tensor)}")
    if tensor.definition is None:
        raise GraphError(f"'{tensor.name}' is an {tensor.kind} and has no formula")
    assignment = expand(tensor) if inline else _assignment(tensor)
    if assignment.reducer is None:
        return assignment.body
    axes = [e.axis for e in assignment.reduced]
    return Reduction(sympy.Symbol(assignment.reducer), assignment.body, assignment.guard, *axes)


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
        own = Assignment(
            own.name,
            own.axes,
            own.reducer,
            own.reduced,
            inline_maps(own.guard, bodies),
            inline_maps(own.body, bodies),
            own.dtype,
        )
        if own.reducer is None or is_reindex(own):
            bodies[own.name] = own
        if node.name == tensor.name:
            result = own
    return result


def inline_maps(expr: Any, bodies: dict[str, Assignment]) -> Any:
    """`expr` with the accesses of `bodies` expanded."""
    return inline(expr, bodies)


def latex(what: Any) -> str:
    """LaTeX of a Tensor's formula, an op as written, an optimizer's rule, a derivation, or a sympy expression.

    GraphError for anything else, and for a Tensor without a formula.
    """
    if isinstance(what, Tensor):
        axes = _definition_axes(what)
        left = _name(what.name) + (f"_{{{axes}}}" if axes else "")
        return f"{left} = {_Printer().doprint(formula(what))}"
    if isinstance(what, Op):
        return f"{_name(what.name)}_{{{' '.join(map(_axis, what.out))}}} = {_Printer().doprint(what.body)}"
    if isinstance(what, sympy.Basic | int | float):
        return str(_Printer().doprint(what))
    if not hasattr(what, "latex"):
        raise GraphError(f"latex takes a Tensor, an op, an optimizer, a derivation or an expression; {described(what)}")
    text: str = what.latex()
    return text


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


_OPERATORS = {"sum": "\\sum", "prod": "\\prod", "max": "\\max", "min": "\\min"}


class _Printer(LatexPrinter):  # type: ignore[misc]
    """sympy's printer with accesses as subscripts and reductions as big operators."""

    def _print_Entry(self, entry: Entry, exp: str | None = None) -> str:
        index = " ".join(self._print(i) if i.is_Atom else f"({self._print(i)})" for i in entry.index)
        text = _name(entry.operand) + (f"_{{{index}}}" if index else "")
        return f"{text}^{{{exp}}}" if exp else text

    _print_IntegerEntry = _print_Entry

    def _print_Reduction(self, reduction: Reduction) -> str:
        below = ", ".join(map(_axis, reduction.axes))
        condition = "" if reduction.guard == sympy.true else f",\\; {self._print(reduction.guard)}"
        operator = _OPERATORS[reduction.reducer]
        return f"{operator}_{{{below}{condition}}} {self.parenthesize(reduction.body, 40)}"

    def _print_Symbol(self, symbol: sympy.Symbol, style: str = "plain") -> str:
        axis = _axis(symbol)
        return axis if axis != symbol.name else _name(symbol.name)

    def _print_Sigmoid(self, call: Sigmoid, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp else ""
        return f"\\sigma{power}\\left({self._print(call.args[0])}\\right)"

    def _print_log1p(self, call: sympy.Expr, exp: str | None = None) -> str:
        return f"\\operatorname{{log1p}}{'^{' + exp + '}' if exp else ''}\\left({self._print(call.args[0])}\\right)"

    def _print_expm1(self, call: sympy.Expr, exp: str | None = None) -> str:
        return f"\\operatorname{{expm1}}{'^{' + exp + '}' if exp else ''}\\left({self._print(call.args[0])}\\right)"

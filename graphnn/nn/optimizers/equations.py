"""An optimizer as LaTeX: everything that is compiled between the gradients and the new weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import sympy
from sympy.printing.latex import LatexPrinter

from graphnn.declare.op import as_number
from graphnn.nn.optimizers.clipping import bounded, shortened
from graphnn.nn.optimizers.schedules import Adjustable, Schedule
from graphnn.nn.optimizers.updates import bind, symbol

if TYPE_CHECKING:
    from graphnn.nn.optimizers.rule import Optimizer

_LETTERS = {"lr": r"\eta", "rho": r"\rho", "eps": r"\epsilon", "decay": r"\lambda"}
_FOR_WEIGHTS = r"\ \text{(for biases 0)}"


def optimizer_latex(optimizer: Optimizer) -> str:
    """Aligned rows: clipping of g, attributes that are formulas of t, the rule, and the numbers in it.

    A prime marks a new value, and new slots stand for their formulas.
    """
    rows = [*_clipping(optimizer), *_schedules(optimizer), *_rule(optimizer), *_numbers(optimizer)]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _clipping(optimizer: Optimizer) -> Iterator[str]:
    g, n = symbol("g"), symbol("n")
    if optimizer.clip_value is not None:
        yield rf"g &\leftarrow {sympy.latex(bounded(g, as_number(optimizer.clip_value, 'clip_value')))}"
    if optimizer.clip_norm is not None:
        yield r"n &= \sqrt{\sum g^{2}}\ \text{(over all parameters)}"
        yield rf"g &\leftarrow {sympy.latex(shortened(g, n, as_number(optimizer.clip_norm, 'clip_norm')))}"


def _schedules(optimizer: Optimizer) -> Iterator[str]:
    for name, value in optimizer.attributes.items():
        remark = _FOR_WEIGHTS if name in optimizer.rule.weights_only else ""
        if isinstance(value, Schedule):
            yield f"{_letter(name)} &= {value.latex()}{remark}"
        elif isinstance(value, Adjustable):
            yield rf"{_letter(name)} &= \text{{adjustable, at first }} {sympy.latex(value.first)}{remark}"


def _rule(optimizer: Optimizer) -> Iterator[str]:
    fresh: dict[sympy.Expr, sympy.Symbol] = {}
    constants = {symbol(a): symbol(f" {a}") for a in optimizer.rule.attributes}  # sorted before slots: lr*g, not g*lr
    names = {printed: _letter(plain.name) for plain, printed in constants.items()}
    names |= {symbol(slot): _letter(slot) for slot in optimizer.rule.state}
    bound = bind(optimizer.rule, optimizer.attributes).formulas
    for key in bound:  # a step count that a schedule adds is among them
        formula = shown = optimizer.rule.formulas.get(key, bound[key])
        for new in sorted(fresh, key=sympy.count_ops, reverse=True):  # one may contain another
            shown = shown.subs(new, fresh[new])
        shown = shown.xreplace(constants)
        yield rf"{_letter(key)}' &= {_Printer({'symbol_names': names}).doprint(shown)}"
        if not formula.is_Atom:
            prime = symbol(f"{key}'")
            fresh[formula] = prime
            names[prime] = f"{_letter(key)}'"


def _numbers(optimizer: Optimizer) -> Iterator[str]:
    numbers = {a: v for a, v in optimizer.attributes.items() if not isinstance(v, Schedule | Adjustable)}
    for name, value in numbers.items():
        yield f"{_letter(name)} &= {sympy.latex(value)}{_FOR_WEIGHTS if name in optimizer.rule.weights_only else ''}"


class _Printer(LatexPrinter):  # type: ignore[misc]
    """sympy's printer; a sum starts with what is added: w - g and not -g + w."""

    def _as_ordered_terms(self, expr: sympy.Add, order: str | None = None) -> list[sympy.Expr]:
        return sorted(super()._as_ordered_terms(expr, order), key=lambda term: term.could_extract_minus_sign())


def _letter(name: str) -> str:
    return _LETTERS.get(name) or str(sympy.latex(symbol(name)))

"""What a formula computes from scalars alone is computed once per step, not once per element.

w - lr*m/(1 - beta**(t + 1))  ->  w + m*c  with c = -lr/(1 - beta**(t + 1))
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from graphnn.late import sympy

Key = TypeVar("Key", bound=Hashable)


def split_once(
    formulas: Mapping[Key, sympy.Expr], scalars: set[sympy.Symbol], constants: set[sympy.Symbol]
) -> tuple[dict[sympy.Symbol, sympy.Expr], dict[Key, sympy.Expr]]:
    """(the parts over `scalars` and `constants`, by new symbols; the formulas in terms of those symbols).

    Parts over constants alone stay where they are: they are folded into the code. No parameter of a Python function
    can be named like the new symbols.
    """
    parts: dict[sympy.Expr, sympy.Symbol] = {}

    def name(part: sympy.Expr) -> sympy.Expr:
        if part.is_Symbol or not part.free_symbols & scalars:
            return part
        return parts.setdefault(part, sympy.Symbol(f"once.{len(parts)}", real=True))

    def visit(expr: sympy.Basic) -> sympy.Basic:
        if not expr.free_symbols & scalars or isinstance(expr, sympy.logic.boolalg.Boolean):
            return expr
        if isinstance(expr, sympy.Expr) and expr.free_symbols <= scalars | constants:
            return name(expr)
        if expr.is_Add or expr.is_Mul:
            alone = [a for a in expr.args if a.free_symbols <= scalars | constants]
            rest = [visit(a) for a in expr.args if a not in alone]
            return expr.func(name(expr.func(*alone)), *rest)
        return expr.func(*map(visit, expr.args))

    split = {key: visit(formula) for key, formula in formulas.items()}
    return {symbol: part for part, symbol in parts.items()}, split

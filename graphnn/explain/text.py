"""Expressions on one line, as a person writes them."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from graphnn.declare.entries import Entry, Reduction


def expression_text(expr: Any) -> str:
    """One line: equations with =, cases as (a if i0 = y[i0] else b), elements of scalars without brackets."""
    return str(_Printer().doprint(expr))


class _Printer(StrPrinter):  # type: ignore[misc]
    # Entries and reductions bring a _sympystr along, which sympy would prefer to the methods here.
    printmethod = "_expression_text"

    def _print_Erfc(self, call: sympy.Expr) -> str:
        return f"erfc({self._print(call.args[0])})"

    def _print_Equality(self, relation: sympy.Eq) -> str:
        return f"{self._print(relation.lhs)} = {self._print(relation.rhs)}"

    def _print_Piecewise(self, cases: sympy.Piecewise) -> str:
        parts = [
            self._print(value) + ("" if condition == sympy.true else f" if {self._print(condition)}")
            for value, condition in cases.args
        ]
        return f"({' else '.join(parts)})"

    def _print_Entry(self, entry: Entry) -> str:
        index = ", ".join(map(self._print, entry.index))
        return f"{entry.operand}[{index}]" if index else entry.operand

    _print_IntegerEntry = _print_Entry

    def _print_Reduction(self, reduction: Reduction) -> str:
        where = "" if reduction.guard == sympy.true else f" if {self._print(reduction.guard)}"
        return f"{reduction.reducer}[{', '.join(map(str, reduction.axes))}{where}]({self._print(reduction.body)})"

"""Tables for a terminal. Everything in them is text, so that no name formats anything."""

from __future__ import annotations

from typing import Any

import sympy
from rich import box
from rich.table import Table
from rich.text import Text
from sympy.printing.str import StrPrinter

from graphnn.declare.labels import printable
from graphnn.declare.network import Network
from graphnn.explain.derivation import Derivation
from graphnn.explain.formula import formula


def network_table(network: Network) -> Table:
    """A row per node: name, kind, op, shape, dtype, formula."""
    table = Table(box=box.SIMPLE_HEAD, title=inert(f"network {network.name}", "bold"), title_justify="left")
    for heading in ("name", "kind", "op", "shape", "dtype", "formula"):
        table.add_column(heading, overflow="fold")
    for name, data in network.graph.nodes(data=True):
        tensor = network[name]
        shape = ", ".join(map(str, tensor.shape))
        body = "" if tensor.definition is None else expression_text(formula(tensor))
        row = (tensor.kind, data["op"], f"[{shape}]", tensor.dtype, body)
        table.add_row(inert(name, "bold"), *map(inert, row))
    return table


def derivation_table(found: Derivation) -> Table:
    """A row per step, then the textbook form and the one that runs."""
    table = Table(box=box.SIMPLE, title=inert(found.title, "bold"), title_justify="left", show_header=False)
    table.add_column(overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    for number, (rule, expr) in enumerate(found.steps, 1):
        table.add_row(inert(rule, "cyan"), inert(expression_text(expr)), end_section=number == len(found.steps))
    table.add_row(inert("textbook form", "bold"), inert(expression_text(found.result)))
    table.add_row(
        inert("what runs", "bold green"), Text.assemble(inert(expression_text(found.emitted)), f"\n({found.reason})")
    )
    return table


class _Printer(StrPrinter):  # type: ignore[misc]
    """Equations and conditions as a person writes them."""

    def _print_Equality(self, relation: sympy.Eq) -> str:
        return f"{self._print(relation.lhs)} = {self._print(relation.rhs)}"

    def _print_Piecewise(self, cases: sympy.Piecewise) -> str:
        parts = [
            self._print(value) + ("" if condition == sympy.true else f" if {self._print(condition)}")
            for value, condition in cases.args
        ]
        return f"({' else '.join(parts)})"


def expression_text(expr: Any) -> str:
    """One line: equations with =, cases as (a if i0 = y[i0] else b)."""
    return str(_Printer().doprint(expr))


def inert(text: str, style: str = "") -> Text:
    """Text as it is, without markup, emoji codes or control characters."""
    return Text(printable(text), style)

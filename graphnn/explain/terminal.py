"""Tables for a terminal. Everything in them is text, so that no name formats anything."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from graphnn.declare.labels import printable
from graphnn.declare.network import Network, Tensor
from graphnn.explain.derivation import Derivation
from graphnn.explain.formula import formula
from graphnn.explain.text import expression_text


def network_table(network: Network, width: int = 120) -> Table:
    """A row per node: name, kind or op, type, formula.

    Formulas get the columns that the others leave of `width`, and half of them at least: the others are folded first.
    """
    rows = [_row(network[name], data["op"]) for name, data in network.graph.nodes(data=True)]
    headings = ("name", "is a", "type", "formula")
    *widths, longest = (max(map(len, column)) for column in zip(headings, *rows, strict=True))
    room = width - _PADDING * len(headings)
    table = Table(box=box.SIMPLE_HEAD, title=inert(f"network {network.name}", "bold"), title_justify="left")
    for heading, limit in zip(headings, (*_fit(widths, room - min(longest, room // 2)), None), strict=True):
        table.add_column(heading, overflow="fold", max_width=limit)
    for name, *texts in rows:
        table.add_row(inert(name, "bold"), *map(inert, texts))
    return table


_PADDING = 3  # about a column, and a frame on the left


def _row(tensor: Tensor, op: str) -> tuple[str, str, str, str]:
    body = "" if tensor.definition is None else expression_text(formula(tensor))
    kind = f"{tensor.dtype}[{', '.join(map(str, tensor.shape))}]"
    return printable(tensor.name), printable(op or tensor.kind), kind, printable(body)


def _fit(widths: list[int], room: int) -> list[int]:
    """The widest are cut until they fit."""
    fitted = list(widths)
    while sum(fitted) > max(room, len(fitted)):
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def derivation_table(found: Derivation) -> Table:
    """A row per step, then the result (the textbook form) and what is emitted."""
    table = Table(box=box.SIMPLE, title=inert(found.title, "bold"), title_justify="left", show_header=False)
    table.add_column(overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    for number, (rule, expr) in enumerate(found.steps, 1):
        table.add_row(inert(rule, "cyan"), inert(expression_text(expr)), end_section=number == len(found.steps))
    table.add_row(inert("result", "bold"), inert(expression_text(found.result)))
    table.add_row(
        inert("emitted", "bold green"), Text.assemble(inert(expression_text(found.emitted)), f"\n({found.reason})")
    )
    return table


def inert(text: str, style: str = "") -> Text:
    """Text as it is, without markup, emoji codes or control characters."""
    return Text(printable(text), style)

"""What `simplify/` hands to `lower/`: buffers, and one formula per materialised tensor, in order.

    h[i0 < N, i1 < 64] = sigmoid(b[i1] + sum[0 <= r0 < 64](x[i0, r0]*W[r0, i1]))

A formula's body holds at most one Reduce, and that Reduce holds none: lowering turns it into one Fold.
Formulas are in dependency order and each target is written once; a state's new value is a formula
whose target is listed in `updates`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphnn.simplify.expr import DType, Expr, Origin, Range, Role, text

Accuracy = Literal["fast", "tight"]  # what formulas are stabilised to: an absolute bar, or one relative to each element


@dataclass(frozen=True, slots=True)
class Array:
    """A named array of the program: its dtype, its shape (Const and Size expressions), and who owns it."""

    name: str
    dtype: DType
    shape: tuple[Expr, ...]
    role: Role


@dataclass(frozen=True, slots=True)
class Formula:
    """target[axes] = body, for every point of the axes."""

    target: str
    axes: tuple[Range, ...]
    body: Expr
    origin: Origin | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FormulaProgram:
    """`updates` maps a state to the temp array that holds its new value when all formulas have run."""

    name: str
    sizes: tuple[str, ...]
    arrays: tuple[Array, ...]
    formulas: tuple[Formula, ...]
    updates: tuple[tuple[str, str], ...] = ()

    def array(self, name: str) -> Array:
        return next(a for a in self.arrays if a.name == name)


def print_formulas(program: FormulaProgram) -> str:
    """The stage `simplify` as text, a line a formula."""
    lines = [f"formulas {program.name}({', '.join(program.sizes)})"]
    for array in program.arrays:
        shape = ", ".join(map(text, array.shape))
        lines.append(f"  {array.role} {array.name}: {array.dtype}[{shape}]")
    for formula in program.formulas:
        axes = ", ".join(f"{r.axis} < {text(r.hi)}" for r in formula.axes)
        lines.append(f"  {formula.target}[{axes}] = {text(formula.body)}")
    lines += [f"  update {state} <- {value}" for state, value in program.updates]
    return "\n".join(lines) + "\n"

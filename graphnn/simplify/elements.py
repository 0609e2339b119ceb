"""What a formula reads, out of its way: formulas that differ in their arrays and indices only are rewritten once.

    exp(z[i0, i1])/s[i0]   ->   exp(e001)/e000   with e000 = s[i0], e001 = z[i0, i1]

Algebra takes an element as it is, so the layers of a network share it; and elements without indices are fast to walk.
"""

from __future__ import annotations

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.entries import Entry
from graphnn.declare.parts import find_parts
from graphnn.declare.substitute import substitute

Elements = dict[sympy.Expr, sympy.Expr]


def outermost(expr: sympy.Basic) -> list[Entry]:
    """The accesses of an expression, those within the indices of others left out, as they stand."""
    if isinstance(expr, Entry):
        return [expr]
    return [e for arg in expr.args for e in outermost(arg)]


def take_out(expr: sympy.Expr) -> tuple[sympy.Expr, Elements]:
    """(the expression of numbered elements, what they stand for).

    Elements are numbered in sympy's order of what they stand for, so that they take its place in sums and products.
    Those in conditions stay: sympy writes an equation by how long its sides are.
    """
    compared = {entry for condition in find_parts(expr, Boolean) for entry in outermost(condition)}
    found = sorted({*outermost(expr)} - compared, key=sympy.default_sort_key)
    numbered = {entry: entry.func(sympy.Symbol(f"e{n:03}"), sympy.S.Zero) for n, entry in enumerate(found)}
    return substitute(expr, numbered), {element: entry for entry, element in numbered.items()}

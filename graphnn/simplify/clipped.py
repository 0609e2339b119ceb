"""A comparison that asks a saved maximum or minimum instead of what it was taken of, which then need not be saved.

    y = max(z, 0), and y is an array:    select(z > 0, 1, 0)  ->  select(y > 0, 1, 0)

Both sides are equal bit for bit, NaN included: relu's gradient is a matter of relu's output.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import sympy

from graphnn.declare.entries import Entry
from graphnn.declare.parts import find_parts
from graphnn.declare.whole import compare, extreme_of
from graphnn.simplify.region import Assignment, read

_KEPT = {sympy.Max: (sympy.Gt, sympy.Le), sympy.Min: (sympy.Lt, sympy.Ge)}  # what clipping does not change


@dataclass(frozen=True, slots=True)
class Clipped:
    """The array `name` is `function` of `source`, element by element, and `bound`."""

    name: str
    source: str
    function: type[sympy.Expr]
    bound: sympy.Expr
    dtype: str


def compare_outputs(
    assignments: Sequence[Assignment], saved: Collection[str]
) -> list[tuple[Assignment, dict[sympy.Expr, sympy.Expr]]]:
    """The assignments with comparisons that ask arrays of `saved`, and what the arrays asked stand for.

    An assignment asks only what comes before it.
    """
    clipped: dict[tuple[str, sympy.Expr], Clipped] = {}
    done = []
    for assignment in assignments:
        changes: dict[sympy.Basic, sympy.Basic] = {}
        facts: dict[sympy.Expr, sympy.Expr] = {}
        for part in (assignment.body, assignment.guard):
            for comparison in sorted(
                find_parts(part, sympy.Gt, sympy.Le, sympy.Lt, sympy.Ge), key=sympy.default_sort_key
            ):
                asked = _ask(comparison, clipped)
                if asked is not None:
                    changes[comparison], fact = asked
                    facts |= fact
        body, guard = (part.xreplace(changes) for part in (assignment.body, assignment.guard))
        done.append((replace(assignment, body=body, guard=guard), facts))
        found = _clipped(assignment) if assignment.name in saved else None
        if found is not None:
            clipped.setdefault((found.source, found.bound), found)
    return done


def _clipped(assignment: Assignment) -> Clipped | None:
    """y[i0, i1] = max(z[i0, i1], 0) and nothing else."""
    body, own = assignment.body, tuple(sympy.S.Zero if e.size == 1 else e.axis for e in assignment.axes)
    if assignment.reducer is not None or body.func not in _KEPT or len(body.args) != 2:
        return None
    source, bound = sorted(body.args, key=lambda argument: argument.is_number)
    if not isinstance(source, Entry) or source.index != own or not bound.is_number:
        return None
    return Clipped(assignment.name, source.operand, body.func, bound, assignment.dtype)


def _ask(
    comparison: sympy.Expr, clipped: dict[tuple[str, sympy.Expr], Clipped]
) -> tuple[sympy.Expr, dict[sympy.Expr, sympy.Expr]] | None:
    """z[i] > 0  ->  y[i] > 0, and that y[i] is max(z[i], 0)."""
    for value, bound, relation in (
        (comparison.lhs, comparison.rhs, comparison.func),
        (comparison.rhs, comparison.lhs, comparison.reversed.func),
    ):
        found = clipped.get((value.operand, bound)) if isinstance(value, Entry) else None
        if found is not None and relation in _KEPT[found.function]:
            output = read(found.name, value.index, found.dtype)
            return compare(relation, output, bound), {output: extreme_of(found.function, (value, bound))}
    return None

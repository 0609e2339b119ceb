"""Conditions on the terms of a contraction: which of its factors holds them."""

from __future__ import annotations

from graphnn.lower.affine import affine, never_positive
from graphnn.lower.guards import conjunction, conjuncts
from graphnn.lower.ir import Fold, Program
from graphnn.simplify.expr import Axis, Expr, Op, Range, axes_of, loads_of


def rectangular(fold: Fold, moving: tuple[Range, ...]) -> tuple[Range, ...] | None:
    """The ranges of a fold with bounds that hold for all values of the `moving` axes; None where they have none."""
    axes = {r.axis for r in moving}
    ranges = []
    for r in fold.ranges:
        lo, hi = _without_axes(r.lo, axes, "max"), _without_axes(r.hi, axes, "min")
        if lo is None or hi is None:
            return None
        ranges.append(Range(r.axis, lo, hi))
    return tuple(ranges)


def excluded(fold: Fold, k: tuple[Range, ...]) -> list[Expr]:
    """What the guard of a fold and its bounds exclude from the wider ranges `k`."""
    conditions = list(conjuncts(fold.guard))
    for old, new in zip(fold.ranges, k, strict=True):
        if old.lo != new.lo:
            conditions.append(Op("le", (old.lo, Axis(old.axis)), "bool"))
        if old.hi != new.hi:
            conditions.append(Op("lt", (Axis(old.axis), old.hi), "bool"))
    return conditions


def place_guards(
    conditions: list[Expr], own: tuple[Range, Range], safe: list[bool]
) -> tuple[Expr | None, Expr | None] | None:
    """A guard of each factor. A condition goes to every factor that needs it to stay in range, else to one of the two.

    None where the factor that needs a condition does not hold its axes.
    """
    guards: tuple[list[Expr], list[Expr]] = ([], [])
    for condition in conditions:
        allowed = [own[1 - s].axis not in axes_of(condition) for s in (0, 1)]
        if not any(allowed) or any(not allowed[s] and not safe[s] for s in (0, 1)):
            return None
        for s in [s for s in (0, 1) if allowed[s] and not safe[s]] or [allowed.index(True)]:
            guards[s].append(condition)
    return conjunction(guards[0]), conjunction(guards[1])


def _without_axes(bound: Expr, moving: set[str], hull: str) -> Expr | None:
    """A bound that holds for all values of the `moving` axes: max(0, i0 - 2) -> 0 from below."""
    if not axes_of(bound) & moving:
        return bound
    if isinstance(bound, Op) and bound.fn == hull:
        return next((e for arg in bound.args if (e := _without_axes(arg, moving, hull)) is not None), None)
    return None


def in_range(program: Program, factor: Expr, ranges: tuple[Range, ...]) -> bool:
    """Whether every load of a factor is in range at all points of `ranges`, whatever the guard says."""
    known = {r.axis: r for r in ranges}
    for load in loads_of(factor):
        for expr, size in zip(load.index, program.buffer(load.buffer).shape, strict=True):
            form = affine(expr)
            beyond = form.plus(affine(size), -1).shifted(1)
            if not (never_positive(form.negated(), known) and never_positive(beyond, known)):
                return False
    return True

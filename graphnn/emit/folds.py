"""Reductions: one chain of terms in scalar code, in vector code one for each lane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from graphnn.emit.access import expressions_in, names_in, offset_of, slope
from graphnn.emit.crossing import fold_across, loads_by_rows
from graphnn.emit.expression import Expressions
from graphnn.emit.fold_lanes import fold_in_lanes
from graphnn.emit.scalar import emit_scalar
from graphnn.emit.writer import Value, constant, lanes_of
from graphnn.lower.ir import Fold, For, fused_factors
from graphnn.schedule.affine import ONE, ZERO, integer, known_extent
from graphnn.simplify.expr import COMBINE, Const, Expr, Load, Local, Op, Range, identity_of, index_constant, walk

CHAINS = 4  # vectors of a loop that folds: an add takes 3 or 4 cycles
FEW = 9  # terms, as of a window of 3 x 3, that are written one after the other: the loops around 2 x 2 took 50 cycles


class Folds(Expressions):
    """Expressions with folds over them."""

    def fold(self, fold: Fold) -> Value:
        """One chain in row-major order from the reducer's identity; a chain per lane where the terms vary by lane."""
        if fold.lanes > 1:
            return fold_in_lanes(self, fold)
        varies = self.varies(fold.value) or (fold.guard is not None and self.varies(fold.guard))
        evaluate = self.expr if varies else self.value
        return self.fold_over(fold, fold.ranges, evaluate(identity_of(fold.reducer, fold.value.dtype)), evaluate)

    def fold_over(
        self, fold: Fold, ranges: tuple[Range, ...], total: Value, evaluate: Callable[[Expr], Value]
    ) -> Value:
        """`total` combined with the terms of the ranges that are left."""
        if not ranges:
            return self.fold_term(fold, total, evaluate)
        first, *rest = ranges
        if not rest and (sure := self.sure_terms(fold.guard, first)) is not None:
            middle = Local(f"{first.axis}:sure", "int64")  # no user's name has a colon
            self.bind(middle.name, sure)
            plain = replace(fold, ranges=(replace(first, hi=middle),), guard=None)
            total = self.fold_over(plain, plain.ranges, total, evaluate)
            first = replace(first, lo=middle)
        loads = () if rest else loads_by_rows(self, fold)
        if loads:
            return fold_across(self, first, loads, total, lambda sum_: self.fold_term(fold, sum_, evaluate))
        if isinstance(first.lo, Const) and _are_few((first, *rest)):
            for place in range(known_extent(first) or 0):
                with self.straight(first.axis, constant("i64", int(first.lo.value) + place)):
                    total = self.fold_over(fold, tuple(rest), total, evaluate)
            return total
        with self.loop(first.axis, self.value(first.lo), self.value(first.hi), carry=[total]) as loop:
            loop.next = [self.fold_over(fold, tuple(rest), loop.carried[0], evaluate)]
        return loop.results[0]

    def sure_terms(self, guard: Expr | None, terms: Range) -> Value | None:
        """Where the terms end whose guard holds in every lane; None unless it is `a < b` and only ever stops holding.

        A compare and a masked load for each term made sums of rows of 1000 from memory 3 times as slow as of 1024.
        """
        axis = self.vector_axis
        if self.lanes == 1 or axis is None or self.checks is not None or not isinstance(guard, Op) or guard.fn != "lt":
            return None
        a, b = guard.args
        step, across = slope(a, terms.axis), slope(a, axis)
        moving = self.varying | {terms.axis}
        if not isinstance(step, Const) or not isinstance(across, Const) or not moving.isdisjoint(names_in(b)):
            return None
        if int(step.value) <= 0 or int(across.value) < 0 or not names_in(a).isdisjoint(self.varying - {axis}):
            return None
        w, lo, hi, each = self.writer, self.value(terms.lo), self.value(terms.hi), int(step.value)
        with self.axis(terms.axis, lo):
            gap = integer("sub", b, integer("add", a, index_constant(int(across.value) * (self.lanes - 1))))
            left = w.intrinsic("smax.i64", "i64", self.first_lane(gap), constant("i64", 0))
        count = w.binary("sdiv", w.binary("add", left, constant("i64", each - 1)), constant("i64", each))
        return w.intrinsic("smin.i64", "i64", w.binary("add", lo, count), hi)

    def fold_term(self, fold: Fold, total: Value, evaluate: Callable[[Expr], Value]) -> Value:
        """`total` combined with one term, unless the guard skips it."""

        def combined() -> Value:
            factors = fused_factors(fold)
            if factors is not None:
                a, b = map(evaluate, factors)
                return self.writer.fma(a, b, total)
            return emit_scalar(self.writer, COMBINE[fold.reducer], (evaluate(fold.value), total))

        if fold.guard is None:
            return combined()
        test = self.value(fold.guard)
        if lanes_of(test.type) > 1:
            with self.masked(test):
                kept = combined()
        elif self.reads(fold.value):
            return self.guarded(test, combined, lambda: total)
        else:
            kept = combined()
        return self.writer.select(test, kept, total)

    def folds_along(self, loop: For) -> bool:
        """Whether a vector loop holds a fold, and all that its lanes read lies next to each other in memory.

        Then several vectors run at once: the latency of one chain is hidden behind the others, and a row is read in
        one go, where the hardware fetches ahead. Row sums of 1000 columns took 2 times as long.
        """
        loads = [e for root in expressions_in(loop.body) for e in walk(root) if isinstance(e, Load)]
        offsets = (offset_of(self.declared[load.buffer], load.index) for load in loads)
        return any(isinstance(s, Fold) for s in loop.body) and all(
            slope(offset, loop.axis) in (ZERO, ONE) for offset in offsets
        )


def _are_few(ranges: tuple[Range, ...]) -> bool:
    """Whether the ranges have constant bounds and at most FEW points together."""
    extents = [known_extent(r) if isinstance(r.lo, Const) else None for r in ranges]
    return None not in extents and prod(e for e in extents if e is not None) <= FEW

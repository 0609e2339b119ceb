"""Correlations among contractions: windows of stride 1 that slide along an outer loop, and along m or n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from graphnn.lower.affine import affine, split
from graphnn.lower.ir import Contract, Let, Store
from graphnn.schedule.affine import independent, known_extent
from graphnn.schedule.nest import extents_inside
from graphnn.simplify.expr import Const, Expr, Load, Range, axes_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """`place` + `step`*tap is one index of the data; with `flipped` it is `place` - `step`*tap.

    Along m or n a step is a vector of examples, place = step*pixel + lane, or 1 where filters are in the lanes.
    """

    place: Range
    taps: Range
    step: int
    flipped: bool

    @property
    def size(self) -> int:
        """The number of taps."""
        return known_extent(self.taps) or 0

    @property
    def places(self) -> int:
        """The number of outputs along the window's way."""
        return (known_extent(self.place) or 0) // self.step

    def tap(self, number: Expr) -> Expr:
        """The value of the taps' axis whose element of the data comes `number` after the place's first."""
        if self.flipped:
            return affine(self.taps.hi).plus(affine(number), -1).shifted(-1).expr()
        return affine(self.taps.lo).plus(affine(number)).expr()


@dataclass(frozen=True, slots=True)
class Windows:
    """The window that slides along rows of an image, if one does, and the one that slides along its columns."""

    row: Window | None
    column: Window


@dataclass(frozen=True, slots=True)
class Correlation:
    """sum over rest and taps of kernel[m, rest, taps]*data[rest, places + taps], in loops over the places of `row`.

    `row` slides along the innermost of the loops around the contraction, `column` along the axis that only the data
    hold: n, or m where it is `swapped`. `outer` are the loops around those.
    """

    contract: Contract
    kernel: Load
    data: Load
    outer: tuple[Range, ...]
    windows: Windows
    rest: tuple[Range, ...]
    swapped: bool

    @property
    def filters_in_lanes(self) -> bool:
        """Whether a vector is so many filters of one pixel, and not a pixel of so many examples."""
        return self.column.step == 1

    @property
    def filters(self) -> Range:
        """The axis that only the kernel holds."""
        return self.contract.n if self.swapped else self.contract.m

    def along(self, filters: T, others: tuple[T, ...]) -> tuple[T, ...]:
        """What belongs to the filters, and others, in the order of m and n."""
        return (*others, filters) if self.swapped else (filters, *others)

    def over(self, places: Range) -> Contract:
        """The contraction over other places of its column."""
        return replace(self.contract, m=places) if self.swapped else replace(self.contract, n=places)

    @property
    def row(self) -> Window | None:
        return self.windows.row

    @property
    def column(self) -> Window:
        return self.windows.column

    @property
    def loops(self) -> tuple[Range, ...]:
        """All loops around the contraction."""
        return self.outer if self.row is None else (*self.outer, self.row.place)


def find_correlation(loops: Sequence[Range], contract: Contract, lanes: int) -> Correlation | None:
    """The contraction inside of the loops as a correlation; None where it is none that has whole vectors for a pixel.

    for b: for y: contract m=o n=j k=(c, u, v) fma(W[o, c, u, v], x[b, c, y + u, j + 16*v])
      ->  row y + u, column j + 16*v, rest c
    for b: for y: contract m=x n=o k=(c, u, v) fma(x[b, c, y + u, x + v], W[c, u, v, o])
      ->  row y + u, column x + v, rest c
    """
    if contract.lanes != 1 or not all(isinstance(s, Let | Store) for s in contract.body):
        return None
    if any(
        known_extent(r) is None or not isinstance(r.lo, Const) for r in (*loops, contract.m, contract.n, *contract.k)
    ):
        return None
    for swapped in (False, True):
        kernel, data = (contract.b, contract.a) if swapped else (contract.a, contract.b)
        places = contract.m if swapped else contract.n
        if not isinstance(kernel, Load) or not isinstance(data, Load):
            continue
        steps = (1,) if swapped else ()  # a filter in each lane, else an example
        windows = (w for k in contract.k if (w := find_window(places, k, data)))
        column = next((w for w in windows if w.step % lanes == 0 or w.step in steps), None)
        if column is None or (known_extent(places) or 0) % column.step:
            continue
        outer, row = tuple(loops), None
        if outer and outer[-1].axis not in axes_of(kernel):
            others = [k for k in contract.k if k != column.taps]
            row = next((w for k in others if (w := find_window(outer[-1], k, data)) and w.step == 1), None)
        if row is not None:
            outer = outer[:-1]
        rest = tuple(k for k in contract.k if k != column.taps and (row is None or k != row.taps))
        found = Correlation(contract, kernel, data, outer, Windows(row, column), rest, swapped)
        moved = (*(() if row is None else (row.place,)), places, found.filters)
        return found if run_in_any_order(moved, contract) else None
    return None


def find_window(place: Range, taps: Range, data: Load) -> Window | None:
    """The window of two axes, where one index of the data holds both and no other holds either."""
    held = [e for e in data.index if {place.axis, taps.axis} & set(axes_of(e))]
    if len(held) != 1:
        return None
    parts = split(affine(held[0]), place.axis)
    inner = None if parts is None else split(parts[1], taps.axis)
    if parts is None or inner is None or parts[0] != 1 or inner[0] == 0:
        return None
    return Window(place, taps, abs(inner[0]), inner[0] < 0)


def run_in_any_order(loops: Sequence[Range], contract: Contract) -> bool:
    """Whether a contraction's body may run in any order of some of the loops around it, its m and n among them."""
    inside = {r.axis: known_extent(r) for r in loops} | extents_inside(contract.body)
    return all(independent(r, contract.body, {a: e for a, e in inside.items() if a != r.axis}) for r in loops)

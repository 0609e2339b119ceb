"""Gradients of a correlation by its kernel, among contractions: sums over places, in loops over taps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphnn.lower.ir import Contract, Let, Store
from graphnn.schedule.affine import known_extent
from graphnn.schedule.correlations import Windows, find_window, run_in_any_order
from graphnn.simplify.expr import Const, Load, Range, axes_of


@dataclass(frozen=True, slots=True)
class KernelGradient:
    """sum over rest and places of errors[rest, places]*data[rest, places + taps], in loops over the taps.

    One of the two holds m, the other n: `data` is `a` of the contraction where `data_first`. `outer` are the loops that
    are no taps.
    """

    contract: Contract
    data: Load
    errors: Load
    data_first: bool
    outer: tuple[Range, ...]
    windows: Windows
    rest: tuple[Range, ...]

    @property
    def taps(self) -> tuple[Range, ...]:
        row, column = self.windows.row, self.windows.column
        return (column.taps,) if row is None else (row.taps, column.taps)


def find_kernel_gradient(loops: Sequence[Range], contract: Contract, lanes: int) -> KernelGradient | None:
    """The contraction inside of the loops as the gradient of a kernel; None where it is none.

    for u: for v: contract m=o n=c k=(b, y, j) fma(g[b, o, y, j], x[b, c, y + u, j + 16*v])
      ->  windows y + u and j + 16*v, rest b
    """
    if contract.lanes != 1 or not all(isinstance(s, Let | Store) for s in contract.body):
        return None
    ranges = (*loops, contract.m, contract.n, *contract.k)
    if any(known_extent(r) is None or not isinstance(r.lo, Const) for r in ranges):
        return None
    for data, errors in ((contract.a, contract.b), (contract.b, contract.a)):
        if not isinstance(data, Load) or not isinstance(errors, Load):
            continue
        found = [w for k in contract.k for r in loops if (w := find_window(k, r, data)) is not None]
        found = [w for w in found if w.taps.axis not in axes_of(errors) and w.places]
        column = next((w for w in found if w.step % lanes == 0 and not (known_extent(w.place) or 0) % w.step), None)
        if column is None:
            continue
        row = next((w for w in found if w.step == 1 and w.taps != column.taps and w.place != column.place), None)
        moved = [column] if row is None else [row, column]
        taps, places = [w.taps for w in moved], [w.place for w in moved]
        outer, rest = tuple(r for r in loops if r not in taps), tuple(r for r in contract.k if r not in places)
        if run_in_any_order((*taps, contract.m, contract.n), contract):
            return KernelGradient(contract, data, errors, data is contract.a, outer, Windows(row, column), rest)
    return None

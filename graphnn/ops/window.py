"""Windows that slide over spatial axes: strides, dilations, padding, and how many places there are.

Along one axis of extent H a window of K elements, dilated by d, covers d*(K - 1) + 1 of them. With `before` and `after`
elements of padding it has floor((H + before + after - d*(K - 1) - 1)/stride) + 1 places, and in the place y its element
u lies at stride*y + d*u - before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graphnn.declare.extents import Dim
from graphnn.declare.network import Tensor
from graphnn.declare.sizes import as_exprs
from graphnn.errors import GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import as_int

Amounts = tuple[tuple[int, int], ...]  # padding (before, after) of each axis


@dataclass(frozen=True, slots=True)
class Slide:
    """How a window moves along one axis."""

    stride: int
    dilation: int
    before: int
    after: int

    def covers(self, size: sp.Expr) -> sp.Expr:
        """How many elements a window of `size` reaches over."""
        return self.dilation * (size - 1) + 1

    def places(self, extent: sp.Expr, size: sp.Expr) -> sp.Expr:
        """The output's extent."""
        from graphnn.declare.whole import floor_of  # where formulas are

        room = extent + self.before + self.after - self.covers(size)
        return floor_of(sp.expand(room) / self.stride) + 1

    def at(self, place: sp.Expr, element: sp.Expr) -> sp.Expr:
        """The index that an element of the window in a place reads."""
        return self.stride * place + self.dilation * element - self.before


def one_per_axis(op: str, what: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """The ints of `count` axes from an int for all of them or a sequence; GraphError where one is below `least`."""
    given = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,) * count
    if len(given) != count:
        raise GraphError(f"{op}: {what}={given} has {len(given)} entries, but there are {count} spatial axes")
    numbers = tuple(as_int(op, what, number) for number in given)
    if bad := [n for n in numbers if n < least]:
        raise GraphError(f"{op}: {what} is at least {least}, not {bad[0]} ({what}={value})")
    return numbers


def as_amounts(op: str, padding: Any, count: int) -> Amounts:
    """(before, after) of each axis from an int, one int per axis or one pair per axis; GraphError for anything else."""
    entries = tuple(padding) if isinstance(padding, Iterable) and not isinstance(padding, str) else (padding,) * count
    if len(entries) != count:
        pairs = ", ".join(["(before, after)"] * count) + ("," if count == 1 else "")
        raise GraphError(
            f"{op}: padding={padding} has {len(entries)} entries for {count} axes; give an int, an int per axis or "
            f"({pairs})"
        )
    amounts = []
    for entry in entries:
        pair = tuple(entry) if isinstance(entry, Iterable) and not isinstance(entry, str) else (entry, entry)
        if len(pair) != 2:
            raise GraphError(f"{op}: the padding of an axis is an int or (before, after), not {entry!r:.40}")
        before, after = (as_int(op, "padding", number) for number in pair)
        if before < 0 or after < 0:
            raise GraphError(f"{op}: padding is nonnegative, not {entry!r:.40}; slice the tensor to crop it")
        amounts.append((before, after))
    return tuple(amounts)


def slides(op: str, x: Tensor, sizes: Sequence[Dim], stride: Any, padding: Any, dilation: Any) -> tuple[Slide, ...]:
    """The slides of a window of `sizes` over the last axes of x.

    `padding` is "valid" (none), "same" (ceil(extent/stride) places, the odd element at the end) or amounts. GraphError
    for wrong arguments; ShapeError where the window does not fit, or "same" needs an extent that is symbolic.
    """
    count = len(sizes)
    strides = one_per_axis(op, "stride", stride, count, 1)
    dilations = one_per_axis(op, "dilation", dilation, count, 1)
    extents = _numbers(x.shape[x.ndim - count :])
    sizes = _numbers(sizes)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise GraphError(f"{op}: padding is an int, amounts per axis, 'same' or 'valid', not {padding!r:.40}")
        amounts: Amounts = ((0, 0),) * count
        if padding == "same":
            amounts = tuple(map(lambda *axis: _same(op, x, *axis), extents, sizes, strides, dilations))
    else:
        amounts = as_amounts(op, padding, count)
    found = tuple(Slide(s, d, *a) for s, d, a in zip(strides, dilations, amounts, strict=True))
    for number, (slide, extent, size) in enumerate(zip(found, extents, sizes, strict=True)):
        padded, covered = extent + slide.before + slide.after, slide.covers(size)
        room = padded - covered
        if size == 0 or (room < 0 if isinstance(room, int) else room.is_negative):
            dilated = f" of {size} elements dilated by {slide.dilation}" if slide.dilation > 1 else ""
            raise ShapeError(
                f"{op}: the window covers {covered} elements{dilated} of axis {x.ndim - count + number} of '{x.name}', "
                f"which has {extent} and {slide.before} + {slide.after} of padding (shape {x.shape})"
                + ("; a window has at least one element" if size == 0 else "")
            )
    return found


def _numbers(dims: Sequence[Dim]) -> list[Any]:
    """Extents to compute with: ints where they are, and expressions."""
    return [dim if isinstance(dim, int) else as_exprs([dim])[0] for dim in dims]


def _same(op: str, x: Tensor, extent: sp.Expr, size: sp.Expr, stride: int, dilation: int) -> tuple[int, int]:
    """The amounts with which there are ceil(extent/stride) places."""
    total = dilation * (size - 1)
    if stride > 1:
        if not isinstance(extent, int) or not isinstance(total, int):
            total = sp.Max(0, (sp.ceiling(extent / sp.Integer(stride)) - 1) * stride + total + 1 - extent)
        else:
            total = max(0, (-(-extent // stride) - 1) * stride + total + 1 - extent)
    if not isinstance(total, int) and not total.is_Integer:
        raise ShapeError(
            f"{op}: padding='same' depends on the extent {extent} and the window's {size} with stride {stride}; "
            f"declare them as ints, or give amounts ('{x.name}' has shape {x.shape})"
        )
    before = int(total) // 2
    return before, int(total) - before

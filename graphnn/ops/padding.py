"""pad: the elements around a tensor, as another reading of the tensor itself.

Along one axis of extent H, with r = i - before, the element i of the result is

zero        x[r] inside, else a constant
reflect     x[-r] in front, x[2*(H - 1) - r] behind: mirrored at the outermost element, which is not repeated
symmetric   x[-r - 1] in front, x[2*H - 1 - r] behind: mirrored at the edge, the outermost element is repeated
replicate   x[0] in front, x[H - 1] behind

Each is one formula of three affine pieces. Several axes are padded one after the other, as the index maps compose.
"""

from __future__ import annotations

import functools
from numbers import Real
from typing import Any

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op, as_number, is_finite
from graphnn.declare.registry import register
from graphnn.errors import GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import check_tensors, numbered_axes
from graphnn.ops.window import Amounts, as_amounts

MODES = {
    "zero": "zero",
    "constant": "zero",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "replicate",
    "edge": "replicate",
}
X = Operand("x")


def as_mode(op: str, mode: Any) -> str:
    """The mode by its name here or in numpy.pad; GraphError for another."""
    if not isinstance(mode, str) or mode not in MODES:
        raise GraphError(f"{op}: padding mode {mode!r:.40} is not one of {', '.join(MODES)}")
    return MODES[mode]


@functools.cache
def _constant(amounts: Amounts, value: float) -> Op:
    shown = {"padding": [list(pair) for pair in amounts], "mode": "zero", "value": float(value)}
    return Op("pad", functools.partial(_surrounded, amounts, value), ["x"], shown=shown)


def _surrounded(amounts: Amounts, value: float) -> Formula:
    axes = numbered_axes(len(amounts))
    index = tuple(axis - before for axis, (before, _) in zip(axes, amounts, strict=True))
    inside = [
        condition
        for n, (before, after) in enumerate(amounts)
        for condition in ([sp.Ge(index[n], 0)] * bool(before) + [sp.Lt(index[n], X.shape[n])] * bool(after))
    ]
    extents = {axes[n]: X.shape[n] + sum(pair) for n, pair in enumerate(amounts) if any(pair)}
    body = sp.Piecewise((X[index], sp.And(*inside)), (as_number(value, "pad: value"), True)) if inside else X[index]
    return written(axes, body, extents)


@functools.cache
def _mirror(mode: str, ndim: int, axis: int, before: int, after: int) -> Op:
    shown = {"axis": axis, "padding": [before, after], "mode": mode}
    return Op("pad", functools.partial(_mirrored, mode, ndim, axis, before, after), ["x"], shown=shown)


def _mirrored(mode: str, ndim: int, axis: int, before: int, after: int) -> Formula:
    axes = numbered_axes(ndim)
    extent = X.shape[axis]
    place = axes[axis] - before
    front, behind = {
        "reflect": (-place, 2 * (extent - 1) - place),
        "symmetric": (-place - 1, 2 * extent - 1 - place),
        "replicate": (sp.S.Zero, extent - 1),
    }[mode]

    def read(index: sp.Expr) -> sp.Expr:
        return X[(*axes[:axis], index, *axes[axis + 1 :])]

    pieces = [(read(front), sp.Lt(place, 0))] * bool(before) + [(read(behind), sp.Ge(place, extent))] * bool(after)
    body = sp.Piecewise(*pieces, (read(place), True))
    return written(axes, body, {axes[axis]: extent + before + after})


def _check_extent(op: str, x: Tensor, axis: int, pair: tuple[int, int], mode: str) -> None:
    """Raise ShapeError unless there are elements enough to mirror."""
    least = {"reflect": max(pair) + 1, "symmetric": max(pair), "replicate": 1}[mode]
    extent = x.shape[axis]
    if not isinstance(extent, int):
        raise ShapeError(
            f"{op}: mode '{mode}' needs {least} elements of axis {axis} or more, but the extent {extent} of '{x.name}' "
            f"is known at the call only; declare it as an int (shape {x.shape})"
        )
    if extent < least:
        raise ShapeError(
            f"{op}: mode '{mode}' with padding {pair} needs at least {least} elements of axis {axis}, "
            f"but '{x.name}' has {extent} (shape {x.shape})"
        )


def pad_axes(op: str, x: Tensor, amounts: Amounts, mode: str, value: float, name: str | None) -> Tensor:
    """x with amounts for each of its axes; errors are those of the calling op."""
    if mode == "zero":
        return _constant(amounts, value)(x, name=name)
    padded = [axis for axis, pair in enumerate(amounts) if any(pair)]
    for axis in padded:
        _check_extent(op, x, axis, amounts[axis], mode)
    if not padded:
        return _constant(amounts, 0)(x, name=name)
    with x.network.composing("pad", name) as final:
        for axis in padded[:-1]:
            x = _mirror(mode, x.ndim, axis, *amounts[axis])(x, name=x.network.fresh_name(f"{final}.{axis}"))
        return _mirror(mode, x.ndim, padded[-1], *amounts[padded[-1]])(x, name=final)


def pad(x: Tensor, padding: Any, mode: str = "zero", value: float = 0, name: str | None = None) -> Tensor:
    """x with elements added around it; x's dtype, each extent larger by before + after.

    `padding` is an int for all axes, an int per axis, or (before, after) per axis. `mode` is "zero" (or "constant",
    with `value`), "reflect", "symmetric" or "replicate" (or "edge"), as numpy.pad defines them.

    ShapeError where reflect has no before + 1 elements to mirror, symmetric no `before`, replicate none, or their
    extent is symbolic; GraphError for another mode or amounts that are no nonnegative ints.
    """
    check_tensors("pad", x)
    kind = as_mode("pad", mode)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise GraphError(f"pad: value is a number, not {' '.join(repr(value).split()):.40}")
    if not is_finite(value):
        raise GraphError(f"pad: value is {value}; a formula's constants are finite")
    if kind != "zero" and value != 0:
        raise GraphError(f"pad: value={value} goes with mode='zero' only, not with {mode!r}")
    return pad_axes("pad", x, as_amounts("pad", padding, x.ndim), kind, value, name)


register("pad", pad)

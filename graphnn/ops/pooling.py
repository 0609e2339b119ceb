"""max_pool and avg_pool over sliding windows, and over all of the spatial axes.

max_pool   out[..., y] = max over u of x[..., stride*y + u - before]
avg_pool   out[..., y] = sum over u of x[..., stride*y + u - before] / (elements of the window that lie inside x)

Windows are clamped to x: what lies in the padding takes no part. The number inside is a product over the axes, of
min(stride*y - before + K, H) - max(stride*y - before, 0) each.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Max, Operand, Sum, guard
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.errors import GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops import reduction
from graphnn.ops.arguments import check_tensors, numbered_axes
from graphnn.ops.window import Slide, one_per_axis, slides

X = Operand("x")


@functools.cache
def _pool(op: str, ndim: int, sizes: tuple[int, ...], windows: tuple[Slide, ...], clamped: bool) -> Op:
    """The op over the last axes of x; an average counts the elements inside where it is `clamped`."""
    shown = {
        "size": list(sizes),
        "stride": [slide.stride for slide in windows],
        "padding": [[slide.before, slide.after] for slide in windows],
    }
    formula = functools.partial(_pooled, op == "max_pool", ndim, sizes, windows, clamped)
    return Op(op, formula, ["x"], dtype=None if op == "max_pool" else "float", shown=shown)


def _pooled(largest: bool, ndim: int, sizes: tuple[int, ...], windows: tuple[Slide, ...], clamped: bool) -> Formula:
    count = len(sizes)
    axes, elements = numbered_axes(ndim), numbered_axes(ndim + count)[ndim:]
    extents: dict[sp.Symbol, sp.Expr] = dict(zip(elements, map(sp.Integer, sizes), strict=True))
    read, inside = [], []
    for axis, element, size, slide in zip(axes[ndim - count :], elements, sizes, windows, strict=True):
        extent = X.shape[axes.index(axis)]
        extents[axis] = slide.places(extent, sp.Integer(size))
        read.append(slide.at(axis, element))
        start, end = slide.at(axis, sp.S.Zero), slide.at(axis, sp.Integer(size))
        first = sp.Max(start, 0) if slide.before and clamped else start
        last = sp.Min(end, extent) if slide.after and clamped else end
        inside.append(last - first)
    entry: Any = X[(*axes[: ndim - count], *read)]
    element_read = guard(entry) if any(slide.before or slide.after for slide in windows) else entry
    body = Max(element_read, *elements) if largest else Sum(element_read / math.prod(inside), *elements)
    return written(axes, body, extents)


def _spatial(op: str, x: Tensor) -> int:
    """The number of spatial axes of x (N, C, *spatial)."""
    check_tensors(op, x)
    if x.ndim < 3:
        raise ShapeError(
            f"{op}: x is (N, C, *spatial) with at least one spatial axis, but '{x.name}' has shape {x.shape}"
        )
    return x.ndim - 2


def _windows(op: str, x: Tensor, size: Any, stride: Any, padding: Any) -> tuple[tuple[int, ...], tuple[Slide, ...]]:
    """Sizes and slides; none of the windows lies in the padding altogether."""
    count = _spatial(op, x)
    sizes = one_per_axis(op, "size", size, count, 1)
    found = slides(op, x, sizes, sizes if stride is None else stride, padding, 1)
    for axis, (number, slide) in enumerate(zip(sizes, found, strict=True), 2):
        if max(slide.before, slide.after) >= number or x.shape[axis] == 0:
            raise ShapeError(
                f"{op}: a window of {number} elements of axis {axis} would lie in the padding ({slide.before}, "
                f"{slide.after}) altogether; pad by less than its size ('{x.name}' has shape {x.shape})"
            )
    return sizes, found


def max_pool(x: Tensor, size: Any, stride: Any = None, padding: Any = 0, name: str | None = None) -> Tensor:
    """The largest element of each window; x (N, C, *spatial) to (N, C, *places), x's dtype.

    `size` is an int or one per spatial axis, `stride` likewise (the size unless given: windows side by side), `padding`
    as in `correlate`; windows are clamped to x, so padding never wins. The gradient goes to the first of equal
    elements, or is split among them: see `ties` of `gradients`.

    ShapeError where a window does not fit into the padded x or lies in the padding altogether; GraphError for
    arguments of a wrong kind or out of range.
    """
    sizes, windows = _windows("max_pool", x, size, stride, padding)
    return _pool("max_pool", x.ndim, sizes, windows, True)(x, name=name)


def avg_pool(
    x: Tensor,
    size: Any,
    stride: Any = None,
    padding: Any = 0,
    include_padding: bool = False,
    name: str | None = None,
) -> Tensor:
    """The mean of each window; x (N, C, *spatial) to (N, C, *places), a float.

    Arguments and errors are those of `max_pool`. A window that reaches into the padding is divided by the number of its
    elements inside x; with include_padding=True by its size, as if the zeros were elements.
    """
    sizes, windows = _windows("avg_pool", x, size, stride, padding)
    if not isinstance(include_padding, bool):
        raise GraphError(f"avg_pool: include_padding is a bool, not {include_padding!r:.40}")
    return _pool("avg_pool", x.ndim, sizes, windows, not include_padding)(x, name=name)


def global_max_pool(x: Tensor, name: str | None = None) -> Tensor:
    """The largest element of each channel; x (N, C, *spatial) to (N, C). ShapeError for a spatial extent of 0."""
    spatial = range(2, 2 + _spatial("global_max_pool", x))
    return reduction.max(x, axis=spatial, name=x.network.fresh_name("global_max_pool") if name is None else name)


def global_avg_pool(x: Tensor, name: str | None = None) -> Tensor:
    """The mean of each channel; x (N, C, *spatial) to (N, C), a float. ShapeError for a spatial extent of 0."""
    spatial = range(2, 2 + _spatial("global_avg_pool", x))
    return reduction.mean(x, axis=spatial, name=x.network.fresh_name("global_avg_pool") if name is None else name)


register("max_pool", max_pool)
register("avg_pool", avg_pool)
register("global_max_pool", global_max_pool)
register("global_avg_pool", global_avg_pool)

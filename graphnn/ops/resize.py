"""upsample: more pixels over the same picture, along all spatial axes.

Output pixels are f times as small as input pixels, and centres are half-way: the output pixel y lies at
s = (2*y + 1 - f)/(2*f) among the input pixels (align_corners=False elsewhere).

nearest    out[y] = x[floor(y/f)]
bilinear   out[y] = (1 - t)*x[k] + t*x[k + 1] with k = floor(s), t = s - k; beyond the outermost centres their value

Each spatial axis is one formula; several are interpolated one after the other, in which order does not matter.
"""

from __future__ import annotations

import functools
from typing import Any

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.errors import GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import check_tensors, numbered_axes
from graphnn.ops.window import one_per_axis

X = Operand("x")


@functools.cache
def _nearest(ndim: int, factors: tuple[int, ...]) -> Op:
    shown = {"factor": list(factors), "mode": "nearest"}
    return Op("upsample", functools.partial(_repeated, ndim, factors), ["x"], shown=shown)


def _repeated(ndim: int, factors: tuple[int, ...]) -> Formula:
    axes = numbered_axes(ndim)
    whole = ndim - len(factors)
    read = [sp.floor(axis / f) for axis, f in zip(axes[whole:], factors, strict=True)]
    extents = {axes[whole + n]: f * X.shape[whole + n] for n, f in enumerate(factors)}
    return written(axes, X[(*axes[:whole], *read)], extents)


@functools.cache
def _linear(ndim: int, axis: int, factor: int) -> Op:
    shown = {"axis": axis, "factor": factor, "mode": "bilinear"}
    return Op("upsample", functools.partial(_interpolated, ndim, axis, factor), ["x"], dtype="float", shown=shown)


def _interpolated(ndim: int, axis: int, factor: int) -> Formula:
    axes = numbered_axes(ndim)
    y, extent = axes[axis], X.shape[axis]
    # floor((2*y + 1 - f)/(2*f)) in integers: 2*y + 1 never is a multiple of 2.
    before = sp.floor((y + (factor + 1) // 2) / factor) - 1
    t = (2 * y + 1 - factor) / sp.Integer(2 * factor) - before

    def read(index: sp.Expr) -> sp.Expr:
        return X[(*axes[:axis], index, *axes[axis + 1 :])]

    between = (1 - t) * read(before) + t * read(before + 1)
    body = sp.Piecewise(
        (read(sp.S.Zero), sp.Lt(before, 0)), (read(extent - 1), sp.Ge(before, extent - 1)), (between, True)
    )
    return written(axes, body, {y: factor * extent})


def upsample(x: Tensor, factor: Any, mode: str = "nearest", name: str | None = None) -> Tensor:
    """x (N, C, *spatial) with each spatial extent times `factor`, an int of at least 1 or one per spatial axis.

    `mode` is "nearest" (x's dtype) or "bilinear" (a float), with half-pixel centres: linear along each spatial axis,
    whatever their number. ShapeError where x has no spatial axis; GraphError for another mode or factor.
    """
    check_tensors("upsample", x)
    if x.ndim < 3:
        raise ShapeError(f"upsample: x is (N, C, *spatial) with a spatial axis, but '{x.name}' has shape {x.shape}")
    factors = one_per_axis("upsample", "factor", factor, x.ndim - 2, 1)
    if not isinstance(mode, str) or mode not in ("nearest", "bilinear"):
        raise GraphError(f"upsample: mode is 'nearest' or 'bilinear', not {mode!r:.40}")
    if mode == "nearest":
        return _nearest(x.ndim, factors)(x, name=name)
    with x.network.composing("upsample", name) as final:
        for axis, f in enumerate(factors[:-1], 2):
            x = _linear(x.ndim, axis, f)(x, name=x.network.fresh_name(f"{final}.{axis}"))
        return _linear(x.ndim, x.ndim - 1, factors[-1])(x, name=final)


register("upsample", upsample)

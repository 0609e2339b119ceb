"""correlate and convolve: weighted sums over sliding windows, for any number of spatial axes.

correlate   out[n, o, y] = sum over c, u of W[o, c, u] * x[n, c, stride*y + dilation*u - before]
convolve    out[n, o, y] = sum over c, u of W[o, c, u] * x[n, c, stride*y + dilation*(K - 1 - u) - before]

Zero padding is the guard of that one access, which reads 0 outside of x. A convolution reads its windows backwards,
which is the same as flipping the kernel; in mathematics it is x[t - u]. Groups are one more axis of the same formula,
into which the channels are reshaped, so that every index stays affine.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand, Sum, guard
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.declare.sizes import as_exprs
from graphnn.errors import GraphError, ShapeError
from graphnn.ops.arguments import as_int, check_tensors, numbered_axes
from graphnn.ops.layout import reshape
from graphnn.ops.padding import as_mode, pad_axes
from graphnn.ops.window import Slide, slides

X, W = Operand("x"), Operand("W")


@functools.cache
def correlation(op: str, ndim: int, kernel: int, windows: tuple[Slide, ...]) -> Op:
    """The op for x of `ndim` dimensions and a W of `kernel` leading axes in front of its window.

    0: a plain filter; 2: W[o, c, u] for x[..., c, y] -> [..., o, y]; 3: groups, W[g, o, c, u] for x[..., g, c, y] ->
    [..., g, o, y]. One formula for all, with those axes in it.
    """
    shown = {
        "stride": [slide.stride for slide in windows],
        "padding": [[slide.before, slide.after] for slide in windows],
        "dilation": [slide.dilation for slide in windows],
    }
    formula = functools.partial(_correlated, op == "convolve", ndim, kernel, windows)
    return Op(op, formula, ["x", "W"], shown=shown)


def _correlated(backwards: bool, ndim: int, kernel: int, windows: tuple[Slide, ...]) -> Formula:
    count = len(windows)
    axes = numbered_axes(kernel + 2 * count)
    leading, places, elements = axes[:kernel], axes[kernel : kernel + count], axes[kernel + count :]
    extents, read = {}, []
    for number, (slide, place, element) in enumerate(zip(windows, places, elements, strict=True)):
        size = W.shape[kernel + number]
        extents[place] = slide.places(X.shape[ndim - count + number], size)
        read.append(slide.at(place, size - 1 - element if backwards else element))
    channels = leading[-1:]  # what is summed beside the window
    groups = leading[: max(0, kernel - 2)]
    entry: Any = X[(..., *groups, *channels, *read)]
    padded = any(slide.before or slide.after for slide in windows)
    body = Sum((guard(entry) if padded else entry) * W[(*leading, *elements)], *channels, *elements)
    out = (..., *leading[: max(0, kernel - 1)], *places)
    return written(out, body, extents)


def _check_kernel(op: str, x: Tensor, W: Tensor, groups: int) -> bool:
    """Whether W has channels; ShapeError where it does not go with x."""
    both = f"('{x.name}' has shape {x.shape}, '{W.name}' {W.shape})"
    channels = W.ndim > 2
    needed = W.ndim - 1 if channels else W.ndim
    if not 1 <= W.ndim <= 5 or x.ndim < needed:
        raise ShapeError(
            f"{op}: a kernel is (out, in/groups, *window) with 1 to 3 spatial axes for x (..., in, *spatial), or a "
            f"filter (K,) or (KH, KW) for x (..., *spatial) {both}"
        )
    if not channels:
        if groups != 1:
            raise GraphError(f"{op}: groups={groups} needs a kernel (out, in/groups, *window) {both}")
        return False
    inputs, outputs, depth = x.shape[x.ndim - W.ndim + 1], W.shape[0], W.shape[1]
    reads = depth if groups == 1 else groups * (depth if isinstance(depth, int) else as_exprs([depth])[0])
    for what, extent in (("input", inputs), ("output", outputs)):
        if groups > 1 and not (isinstance(extent, int) and extent % groups == 0):
            raise ShapeError(f"{op}: groups={groups} does not divide the {extent} {what} channels {both}")
    if inputs != reads:
        raise ShapeError(
            f"{op}: x has {inputs} channels in axis {x.ndim - W.ndim + 1}, but W reads {reads}: {groups} "
            f"group{'s' * (groups > 1)} of {depth}, the extent of its axis 1 {both}"
        )
    return True


def _slide(
    op: str,
    x: Tensor,
    W: Tensor,
    stride: Any,
    padding: Any,
    padding_mode: str,
    dilation: Any,
    groups: int,
    name: str | None,
) -> Tensor:
    check_tensors(op, x, W)
    mode = as_mode(op, padding_mode)
    number = as_int(op, "groups", groups)
    if number < 1:
        raise GraphError(f"{op}: groups is at least 1, not {number}")
    channels = _check_kernel(op, x, W, number)
    windows = slides(op, x, W.shape[2 * channels :], stride, padding, dilation)
    network = x.network
    with network.composing(op, name) as final:
        if mode != "zero" and any(slide.before or slide.after for slide in windows):
            around = ((0, 0),) * (x.ndim - len(windows)) + tuple((slide.before, slide.after) for slide in windows)
            x = pad_axes(op, x, around, mode, 0, network.fresh_name(f"{final}.padded"))
            windows = tuple(replace(slide, before=0, after=0) for slide in windows)
        if number == 1:
            return correlation(op, x.ndim, 2 * channels, windows)(x, W, name=final)
        parts = split_groups(x, number, len(windows), f"{final}.x"), split_groups(W, number, W.ndim - 1, f"{final}.W")
        grouped = correlation(op, x.ndim + 1, 3, windows)(*parts, name=network.fresh_name(f"{final}.groups"))
        return join_groups(grouped, len(windows), final)


def split_groups(x: Tensor, groups: int, spatial: int, name: str) -> Tensor:
    """(..., channels, *spatial) as (..., groups, channels/groups, *spatial)."""
    axis = x.ndim - 1 - spatial
    extent: Any = x.shape[axis]
    shape = (*x.shape[:axis], groups, extent // groups, *x.shape[axis + 1 :])
    return reshape(x, shape, name=x.network.fresh_name(name))


def join_groups(x: Tensor, spatial: int, name: str) -> Tensor:
    """(..., groups, channels/groups, *spatial) as (..., channels, *spatial)."""
    axis = x.ndim - 1 - spatial
    groups, extent = map(int, x.shape[axis - 1 : axis + 1])
    return reshape(x, (*x.shape[: axis - 1], groups * extent, *x.shape[axis + 1 :]), name=name)


def correlate(
    x: Tensor,
    W: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    padding_mode: str = "zero",
    dilation: Any = 1,
    groups: int = 1,
    name: str | None = None,
) -> Tensor:
    """The correlation of x with the kernel W, which is not flipped: what neural networks call a convolution.

    A kernel of channels W (out, in/groups, *window) takes x (..., in, *spatial) to (..., out, *places), with 1 to 3
    spatial axes; `...` is a batch axis as a rule. A plain filter W (K,) or (KH, KW) takes x (..., *spatial) to
    (..., *places): correlate(image, edge) of an image (H, W), or of each channel of (3, H, W) by itself.

    `stride` and `dilation` are an int or one per spatial axis. `padding` is "valid" (none), "same" (ceil(extent/stride)
    places, the odd element at the end), an int, an int per axis or (before, after) per axis; `padding_mode` is
    "zero" or another of `pad`. With `groups`, output channels read their own in/groups input channels only.

    x and W have one float dtype, which is the result's. ShapeError where the window does not fit into the padded x,
    channels differ or groups do not divide them; GraphError for arguments of a wrong kind or out of range.
    """
    return _slide("correlate", x, W, stride, padding, padding_mode, dilation, groups, name)


def convolve(
    x: Tensor,
    W: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    padding_mode: str = "zero",
    dilation: Any = 1,
    groups: int = 1,
    name: str | None = None,
) -> Tensor:
    """The convolution of x with the kernel W: the correlation with W flipped along its spatial axes.

    Arguments, shapes and errors are those of `correlate`. With padding=K - 1 a signal and a filter (K,) give what
    numpy.convolve gives: every place where they overlap.
    """
    return _slide("convolve", x, W, stride, padding, padding_mode, dilation, groups, name)


register("correlate", correlate)
register("convolve", convolve)

"""The transposed convolution: the adjoint of a correlation by its input, as derived from that correlation's formula."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphnn.declare.definition import OperandType, Recipe, Step
from graphnn.declare.initializer import Glorot
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.activation import Activation
from graphnn.nn.layers.convolution import checked_channels, checked_groups, finish, weighted_name
from graphnn.ops.arguments import check_tensors
from graphnn.ops.convolution import correlation, join_groups, split_groups
from graphnn.ops.window import Amounts, Slide, as_amounts, one_per_axis


def correlate_transpose(
    x: Tensor,
    W: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    name: str | None = None,
) -> Tensor:
    """The transposed correlation of x with W: what takes the gradient of `correlate`'s result back to its input.

    x (N, in, *places), W (in, out/groups, *window) to (N, out, *spatial), one float dtype: the kernel that correlates
    (N, out, *spatial) to (N, in, *places) under the same stride, padding, dilation and groups. Each extent is
    (places - 1)*stride - before - after + dilation*(K - 1) + 1 + output_padding, where 0 <= output_padding < stride
    chooses among the extents that give as many places; padding="same" makes it places*stride.

    ShapeError where channels differ, groups do not divide them, or nothing would be left; GraphError for arguments of a
    wrong kind or out of range.
    """
    op = "correlate_transpose"
    check_tensors(op, x, W)
    count = check_count(f"{op}: groups", groups, 1)
    both = f"('{x.name}' has shape {x.shape}, '{W.name}' {W.shape})"
    if not 3 <= x.ndim <= 5 or W.ndim != x.ndim:
        raise ShapeError(
            f"{op}: x is (N, in, *places) and W (in, out/groups, *window), with 1 to 3 spatial axes {both}"
        )
    if x.dtype != W.dtype or not x.dtype.startswith("float"):
        raise DTypeError(f"{op}: x is {x.dtype} and W {W.dtype}; both must be float32 or both float64 {both}")
    if x.shape[1] != W.shape[0]:
        raise ShapeError(f"{op}: x has {x.shape[1]} channels in axis 1, but W reads {W.shape[0]} in its axis 0 {both}")
    if count > 1 and not (isinstance(x.shape[1], int) and x.shape[1] % count == 0):
        raise ShapeError(f"{op}: groups={count} does not divide the {x.shape[1]} input channels {both}")
    sizes, places = W.shape_exprs[2:], x.shape_exprs[2:]
    windows, spare = _windows(op, sizes, stride, padding, output_padding, dilation)
    extents = [_extent(op, *axis, both) for axis in zip(windows, places, sizes, spare, strict=True)]
    network, spatial = x.network, len(windows)
    with network.composing(op, name) as final:
        if count > 1:
            x = split_groups(x, count, spatial, f"{final}.x")
            W = split_groups(W, count, W.ndim - 1, f"{final}.W")
        label = final if count == 1 else network.fresh_name(f"{final}.groups")
        shown = {"stride": [w.stride for w in windows], "padding": [[w.before, w.after] for w in windows]}
        shown |= {"dilation": [w.dilation for w in windows], "output_padding": list(spare)}
        result = network.add_recipe(_adjoint(x, W, windows, extents), (x, W), op, label, shown)
        return result if count == 1 else join_groups(result, spatial, final)


def _windows(
    op: str, sizes: tuple[sp.Expr, ...], stride: Any, padding: Any, output_padding: Any, dilation: Any
) -> tuple[tuple[Slide, ...], tuple[int, ...]]:
    """How the correlation slides that is transposed, and what is added to each extent."""
    count = len(sizes)
    strides = one_per_axis(op, "stride", stride, count, 1)
    dilations = one_per_axis(op, "dilation", dilation, count, 1)
    spare = one_per_axis(op, "output_padding", output_padding, count, 0)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise GraphError(f"{op}: padding is an int, amounts per axis, 'same' or 'valid', not {padding!r:.40}")
        amounts: Amounts = ((0, 0),) * count
        if padding == "same":
            if any(spare) or not all(size.is_Integer for size in sizes):
                raise GraphError(f"{op}: padding='same' fixes the extent: it takes int windows and no output_padding")
            surplus = [int(d * (k - 1) + 1 - s) for d, k, s in zip(dilations, sizes, strides, strict=True)]
            amounts = tuple((max(0, n) // 2, max(0, n) - max(0, n) // 2) for n in surplus)
            spare = tuple(max(0, -n) for n in surplus)
    else:
        amounts = as_amounts(op, padding, count)
    if bad := [(p, s) for p, s in zip(spare, strides, strict=True) if p >= s]:
        raise GraphError(f"{op}: output_padding is less than the stride, not {bad[0][0]} with stride {bad[0][1]}")
    return tuple(Slide(s, d, *a) for s, d, a in zip(strides, dilations, amounts, strict=True)), spare


def _extent(op: str, window: Slide, places: sp.Expr, size: sp.Expr, spare: int, both: str) -> sp.Expr:
    """The extent that gives so many places."""
    extent = sp.expand((places - 1) * window.stride + window.covers(size) - window.before - window.after + spare)
    if extent.is_nonpositive or size == 0:
        raise ShapeError(f"{op}: {places} places of a window of {size} leave an extent of {extent} {both}")
    return extent


def _adjoint(x: Tensor, W: Tensor, windows: tuple[Slide, ...], extents: list[sp.Expr]) -> Recipe:
    """The derived adjoint of the correlation (output, W) -> x by `output`, as a recipe for operands (x, W)."""
    from graphnn.derive.adjoint import derive_adjoint  # correlations that are not transposed derive nothing

    count = len(windows)
    output = OperandType((*x.shape_exprs[: x.ndim - count - 1], W.shape_exprs[-count - 1], *extents), x.dtype)
    op = correlation("correlate", x.ndim, W.ndim - count, windows)
    *_, step = op.recipe([output, OperandType(W.shape_exprs, W.dtype)])
    number = next(n for n, access in enumerate(step.definition.accesses) if access.operand == 0)
    slots = {3: 0, 1: 1}  # the adjoint's operands: the correlation's two, its result, and the result's adjoint
    return tuple(
        Step(part.definition, tuple(s if s < 0 else slots[s] for s in part.sources))
        for part in derive_adjoint(step.definition, number, "first")
    )


def conv2d_transpose(
    x: Tensor,
    channels: int,
    kernel: int | Iterable[int],
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: Activation | None = None,
    init: Any = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """a = activation(z), where z is the transposed correlation of x with kernels, and a bias for each channel.

    Shapes: x (N, C, H, W), {name}.W (C, channels/groups, KH, KW), {name}.b (channels,), result (N, channels, *spatial),
    with the extents of `gn.correlate_transpose`, as are the arguments stride to groups; names, activation, init, bias
    and errors are as in `gn.conv2d`.
    """
    layer = "conv2d_transpose"
    inputs = checked_channels(layer, x, 2)
    outputs = check_count(f"{layer}: channels", channels, 1)
    sizes = one_per_axis(layer, "kernel", kernel, 2, 1)
    count = checked_groups(layer, x, groups, outputs)
    network = x.network
    with network.composing(layer, name) as final:
        weights = network.parameter(
            f"{final}.W", (inputs, outputs // count, *sizes), init=Glorot() if init is None else init, dtype=x.dtype
        )
        label = weighted_name(final, bias, activation)
        weighted = correlate_transpose(x, weights, stride, padding, output_padding, dilation, count, label)
        return finish(layer, weighted, outputs, bias, activation, final)

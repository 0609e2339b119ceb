"""conv1d, conv2d and conv3d: correlations with kernels and biases of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.initializer import Glorot
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, ShapeError
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.activation import Activation, activate
from graphnn.ops.arguments import check_tensors
from graphnn.ops.convolution import correlate
from graphnn.ops.elementwise import add
from graphnn.ops.layout import reshape
from graphnn.ops.window import one_per_axis


def checked_channels(layer: str, x: Tensor, rank: int) -> int:
    """The channels of x (N, C, *spatial), checked."""
    check_tensors(layer, x)
    if x.dtype not in FLOATS:
        raise DTypeError(f"{layer}: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")
    if x.ndim != rank + 2 or not isinstance(x.shape[1], int):
        raise ShapeError(
            f"{layer}: x is (N, C, *spatial) with {rank} spatial axes and an int number of channels C, "
            f"but '{x.name}' has shape {x.shape}"
        )
    return x.shape[1]


def checked_groups(layer: str, x: Tensor, groups: int, outputs: int) -> int:
    """The number of groups, which divides the channels of x and of the result."""
    count = check_count(f"{layer}: groups", groups, 1)
    if int(x.shape[1]) % count or outputs % count:
        raise ShapeError(
            f"{layer}: groups={count} does not divide both the {x.shape[1]} channels of '{x.name}' (shape {x.shape}) "
            f"and the {outputs} of the result"
        )
    return count


def finish(
    layer: str, weighted: Tensor, channels: int, bias: bool, activation: Activation | None, final: str
) -> Tensor:
    """activation(weighted + b) with a bias for each channel, under the names that a layer's nodes have."""
    network = weighted.network
    if bias:
        biases = network.parameter(f"{final}.b", (channels,), dtype=weighted.dtype, role="bias")
        column = reshape(biases, (channels,) + (1,) * (weighted.ndim - 2), name=f"{final}.b.column")
        weighted = add(weighted, column, name=final if activation is None else f"{final}.z")
    return weighted if activation is None else activate(layer, activation, weighted, final)


def weighted_name(final: str, bias: bool, activation: Activation | None) -> str:
    if bias:
        return f"{final}.xW"
    return final if activation is None else f"{final}.z"


def _convolution(
    layer: str,
    rank: int,
    x: Tensor,
    channels: int,
    kernel: int | Iterable[int],
    activation: Activation | None,
    init: Any,
    bias: bool,
    name: str | None,
    groups: int,
    **slide: Any,
) -> Tensor:
    inputs = checked_channels(layer, x, rank)
    outputs = check_count(f"{layer}: channels", channels, 1)
    sizes = one_per_axis(layer, "kernel", kernel, rank, 1)
    count = checked_groups(layer, x, groups, outputs)
    network = x.network
    with network.composing(layer, name) as final:
        weights = network.parameter(
            f"{final}.W", (outputs, inputs // count, *sizes), init=Glorot() if init is None else init, dtype=x.dtype
        )
        label = weighted_name(final, bias, activation)
        weighted = correlate(x, weights, groups=count, name=label, **slide)
        return finish(layer, weighted, outputs, bias, activation, final)


def conv1d(
    x: Tensor,
    channels: int,
    kernel: int | Iterable[int],
    stride: Any = 1,
    padding: Any = 0,
    padding_mode: str = "zero",
    dilation: Any = 1,
    groups: int = 1,
    activation: Activation | None = None,
    init: Any = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """As conv2d, for x (N, C, T) and kernels (channels, C/groups, K)."""
    slide = {"stride": stride, "padding": padding, "padding_mode": padding_mode, "dilation": dilation}
    return _convolution("conv1d", 1, x, channels, kernel, activation, init, bias, name, groups, **slide)


def conv2d(
    x: Tensor,
    channels: int,
    kernel: int | Iterable[int],
    stride: Any = 1,
    padding: Any = 0,
    padding_mode: str = "zero",
    dilation: Any = 1,
    groups: int = 1,
    activation: Activation | None = None,
    init: Any = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """a = activation(z), where z is the correlation of x with `channels` kernels, and a bias for each.

    Shapes: x (N, C, H, W), {name}.W (channels, C/groups, KH, KW), {name}.b (channels,), result (N, channels, *places);
    all of x's dtype. `kernel` is an int or (KH, KW); stride to groups are those of `gn.correlate`. The result is named
    `name`, its pre-activation `{name}.z`. `activation` is an op or any function from a Tensor to a Tensor, `init` a
    number or an Initializer for W (Glorot unless given), biases start at 0.

    Raises ShapeError where x has another rank, symbolic channels or too small an extent for the window, or groups do
    not divide the channels; DTypeError where x is no float; GraphError for arguments of a wrong kind or out of range.
    An error leaves the network as it was.
    """
    slide = {"stride": stride, "padding": padding, "padding_mode": padding_mode, "dilation": dilation}
    return _convolution("conv2d", 2, x, channels, kernel, activation, init, bias, name, groups, **slide)


def conv3d(
    x: Tensor,
    channels: int,
    kernel: int | Iterable[int],
    stride: Any = 1,
    padding: Any = 0,
    padding_mode: str = "zero",
    dilation: Any = 1,
    groups: int = 1,
    activation: Activation | None = None,
    init: Any = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """As conv2d, for x (N, C, D, H, W) and kernels (channels, C/groups, KD, KH, KW)."""
    slide = {"stride": stride, "padding": padding, "padding_mode": padding_mode, "dilation": dilation}
    return _convolution("conv3d", 3, x, channels, kernel, activation, init, bias, name, groups, **slide)

"""batch_norm: each channel is normalised, by the batch while training and by what was seen before in inference."""

from __future__ import annotations

import functools
from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op
from graphnn.errors import DTypeError, ShapeError
from graphnn.late import sympy as sp
from graphnn.nn.arguments import FRACTION, NONNEGATIVE, check_number
from graphnn.ops.arguments import as_axis, check_tensors, numbered_axes
from graphnn.ops.elementwise import square, where
from graphnn.ops.reduction import mean as mean_over

X, MEAN, VARIANCE, GAMMA, BETA = (Operand(n) for n in ("x", "mean", "variance", "gamma", "beta"))
OLD, NEW = Operand("old"), Operand("new")


def _mixture() -> Formula:
    momentum = sp.Symbol("momentum", real=True)
    return written((...,), momentum * OLD[...] + (1 - momentum) * NEW[...])


_decaying_mean = Op("decaying_mean", functools.partial(_mixture), ["old", "new"], {"momentum": 0})


@functools.cache
def _centre(ndim: int, axis: int) -> Op:
    return Op("centre", functools.partial(_centred, ndim, axis), ["x", "mean"])


def _centred(ndim: int, axis: int) -> Formula:
    index = numbered_axes(ndim)
    return written(index, X[index] - MEAN[index[axis]])


@functools.cache
def _standardise(ndim: int, axis: int, scale: bool, shift: bool) -> Op:
    operands = ["x", "mean", "variance", *(["gamma"] if scale else []), *(["beta"] if shift else [])]
    formula = functools.partial(_standardised, ndim, axis, scale, shift)
    return Op("batch_norm", formula, operands, {"eps": 0}, shown={"axis": axis})


def _standardised(ndim: int, axis: int, scale: bool, shift: bool) -> Formula:
    index = numbered_axes(ndim)
    channel = index[axis]
    body = (X[index] - MEAN[channel]) / sp.sqrt(VARIANCE[channel] + sp.Symbol("eps", real=True))
    body = body * GAMMA[channel] if scale else body
    body = body + BETA[channel] if shift else body
    return written(index, body)


def batch_norm(
    x: Tensor,
    axis: int = 1,
    momentum: float = 0.9,
    eps: float = 1e-5,
    scale: bool = True,
    shift: bool = True,
    name: str | None = None,
) -> Tensor:
    """(x - mean)/sqrt(variance + eps)*gamma + beta, with a mean and a variance for each channel along `axis`.

    In training they are those of the batch, over all axes but `axis` (the variance is sum (x - mean)^2/n), and
    gradients flow through them; each step of training moves the state variables {name}.mean and {name}.var towards
    them, momentum*old + (1 - momentum)*new. In inference they are these two, which start at 0 and 1.

    Shapes: x and the result (N, C, ...), with C channels on `axis`; {name}.mean, {name}.var and the parameters
    {name}.gamma (from 1, unless scale=False) and {name}.beta (from 0, unless shift=False) (C,), all of x's dtype. Both
    parameters have the role "bias": an L2 penalty leaves them alone.

    Raises ShapeError where x lacks the axis or has no other, or C is symbolic, DTypeError where x is no float,
    GraphError for a momentum outside of [0, 1) or a negative eps. An error leaves the network as it was.
    Source: Ioffe and Szegedy 2015.
    """
    check_tensors("batch_norm", x)
    momentum = check_number("batch_norm: momentum", momentum, FRACTION)
    eps = check_number("batch_norm: eps", eps, NONNEGATIVE)
    if x.dtype not in FLOATS:
        raise DTypeError(f"batch_norm: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")
    axis = as_axis("batch_norm", axis, x.ndim, x.shape)
    others = tuple(n for n in range(x.ndim) if n != axis)
    channels = x.shape[axis]
    if not others or not isinstance(channels, int):
        raise ShapeError(
            f"batch_norm: '{x.name}' has shape {x.shape}; axis {axis} numbers the channels, whose extent must be an "
            "int, and the batch is along the other axes, of which there must be one"
        )
    network = x.network
    with network.composing("batch_norm", name) as final:
        running_mean = network.variable(f"{final}.mean", (channels,), 0.0, x.dtype)
        running_variance = network.variable(f"{final}.var", (channels,), 1.0, x.dtype)
        mean = mean_over(x, others, name=f"{final}.batch_mean")
        centred = _centre(x.ndim, axis)(x, mean, name=f"{final}.centred")
        variance = mean_over(square(centred, name=f"{final}.squares"), others, name=f"{final}.batch_var")
        for running, new in ((running_mean, mean), (running_variance, variance)):
            network.update(running, _decaying_mean(running, new, momentum=momentum, name=f"{running.name}.next"))
        operands = [
            x,
            where(network.training, mean, running_mean, name=f"{final}.mean_used"),
            where(network.training, variance, running_variance, name=f"{final}.var_used"),
        ]
        for wanted, suffix, first in ((scale, "gamma", 1.0), (shift, "beta", 0.0)):
            if wanted:
                operands.append(network.parameter(f"{final}.{suffix}", channels, first, x.dtype, role="bias"))
        formula: Any = _standardise(x.ndim, axis, bool(scale), bool(shift))
        result: Tensor = formula(*operands, eps=eps, name=final)
        return result

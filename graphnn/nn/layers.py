"""Layers: compositions of ops that declare their own parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.initializer import Glorot
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.data import check_count
from graphnn.ops.arguments import check_tensors
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import add, identity

Activation = Callable[..., Tensor]


def dense(
    x: Tensor,
    units: int,
    activation: Activation | None = None,
    init: Any = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """a = activation(z) with z = x W + b: `units` weighted sums over the last axis of x, which has any rank.

    Shapes: x (..., K), {name}.W (K, units), {name}.b (units,), result (..., units); all of x's dtype. The result is
    named `name`, its pre-activation `{name}.z` (without an activation the result is the weighted sum itself).
    `activation` is an op or any function from a Tensor to a Tensor, `init` a number or an Initializer for W (Glorot
    unless given), biases start at 0.

    Raises ShapeError where x is a scalar or its last extent is symbolic, DTypeError where x is no float, GraphError
    for units below 1 or an activation that gives no Tensor. An error leaves the network as it was.
    """
    check_tensors("dense", x)
    units = check_count("dense: units", units, 1)
    if x.dtype not in FLOATS:
        raise DTypeError(f"dense: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")
    if x.ndim == 0 or not isinstance(x.shape[-1], int):
        raise ShapeError(
            f"dense: '{x.name}' has shape {x.shape}; its last extent is that of the weights and must be an int"
        )
    network = x.network
    with network.composing("dense", name) as final:
        weights = network.parameter(
            f"{final}.W", (x.shape[-1], units), init=Glorot() if init is None else init, dtype=x.dtype
        )
        z = final if activation is None else f"{final}.z"
        if not bias:
            weighted = matmul(x, weights, name=z)
        else:
            product = matmul(x, weights, name=f"{final}.xW")
            biases = network.parameter(f"{final}.b", (units,), dtype=x.dtype, role="bias")
            weighted = add(product, biases, name=z)
        return weighted if activation is None else _activate(activation, weighted, final)


def _activate(activation: Activation, z: Tensor, name: str) -> Tensor:
    """activation(z) as a node of that name; a function that takes no name is followed by the identity."""
    if not callable(activation):
        raise GraphError(f"dense: activation is an op or a function of a Tensor, not {activation!r}")
    named = "name" in inspect.signature(activation).parameters
    result = activation(z, name=name) if named else activation(z)
    if not isinstance(result, Tensor) or result.network is not z.network:
        raise GraphError(f"dense: the activation gave {type(result).__name__}, not a Tensor of the network of 'x'")
    return result if named else identity(result, name=name)

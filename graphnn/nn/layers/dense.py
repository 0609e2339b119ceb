"""dense: weighted sums of all inputs."""

from __future__ import annotations

from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.initializer import Glorot
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, ShapeError
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.activation import Activation, activate
from graphnn.ops.arguments import check_tensors
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import add


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
        return weighted if activation is None else activate("dense", activation, weighted, final)

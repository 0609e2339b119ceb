"""What a layer does with its pre-activation."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from graphnn.declare.network import Tensor
from graphnn.errors import GraphError
from graphnn.ops.elementwise import identity

Activation = Callable[..., Tensor]


def activate(layer: str, activation: Activation, z: Tensor, name: str) -> Tensor:
    """activation(z) as a node of that name; a function that takes no name is followed by the identity."""
    if isinstance(activation, str):
        raise GraphError(f"{layer}: activation is an op, not its name: activation=gn.{activation}")
    if not callable(activation):
        raise GraphError(f"{layer}: activation is an op or a function of a Tensor, not {activation!r}")
    named = "name" in inspect.signature(activation).parameters
    result = activation(z, name=name) if named else activation(z)
    if not isinstance(result, Tensor) or result.network is not z.network:
        raise GraphError(f"{layer}: the activation gave {type(result).__name__}, not a Tensor of the network of 'x'")
    return result if named else identity(result, name=name)

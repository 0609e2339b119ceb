"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from graphnn.declare.network import Tensor
from graphnn.nn.layers.activation import Activation
from graphnn.nn.layers.dense import dense
from graphnn.ops.elementwise import relu


def mlp(
    inputs: Tensor,
    hidden: Sequence[int],
    outputs: int,
    activation: Activation = relu,
    init: object = None,
    name: str = "mlp",
) -> Tensor:
    """A multi-layer perceptron: dense layers {name}.1, {name}.2, ... with `activation`, then {name}.logits without.

    Shapes: inputs (..., K), result (..., outputs). Arguments and errors are those of `dense`.
    """
    a = inputs
    for number, units in enumerate(hidden, 1):
        a = dense(a, units, activation, init=init, name=f"{name}.{number}")
    return dense(a, outputs, init=init, name=f"{name}.logits")

"""Single units: the perceptron with its learning rule, and the sigmoid neuron."""

from __future__ import annotations

from typing import Any

from graphnn.declare.initializer import as_initializer
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.arguments import POSITIVE, check_number
from graphnn.nn.layers.dense import dense
from graphnn.ops.arguments import check_tensors
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import add, multiply, sigmoid, step, subtract
from graphnn.ops.layout import transpose
from graphnn.ops.reduction import sum as sum_over


def perceptron(x: Tensor, units: int = 1, weights: Any = 0.0, bias: Any = 0.0, name: str = "perceptron") -> Tensor:
    """1 where w.x + b > 0, else 0: threshold units, which have no gradient (`rosenblatt` trains them).

    Shapes: x (N, K), {name}.W (K, units), {name}.b (units,), result (N, units); K*units + units parameters. `weights`
    and `bias` are first values: a number, an array or an Initializer. perceptron(x, weights=[[-2], [-2]], bias=[3]) is
    NAND of two bits. Errors are those of `dense`.

    F. Rosenblatt, "The Perceptron: A Perceiving and Recognizing Automaton", Cornell Aeronautical Laboratory, 1957.
    """
    first = as_initializer(bias)
    unit = dense(x, units, step, init=weights, name=name)
    x.network.initializers[f"{name}.b"] = first
    return unit


def rosenblatt(unit: Tensor, target: Tensor, rate: float = 1.0) -> dict[str, Tensor]:
    """New weights and biases of a `perceptron`: w + rate*(t - y)*x and b + rate*(t - y), summed over the rows.

    A unit that is right stays as it is; one that is wrong moves towards the input or away from it. It is an update of
    its own, not a gradient: gn.compile(unit, updates=rosenblatt(unit, target)) learns at each call, one example at a
    time as published if that is what it is given, and finds a separating plane in finitely many mistakes if there is
    one. `target` has the unit's shape and dtype.

    Raises GraphError where `unit` is no result of `perceptron` or `rate` is not positive, ShapeError and DTypeError for
    another target. F. Rosenblatt, "Principles of Neurodynamics", 1962, chapter 5.
    """
    check_tensors("rosenblatt", unit, target)
    rate = check_number("rosenblatt: rate", rate, POSITIVE)
    network, name = unit.network, unit.name
    if f"{name}.xW" not in network or f"{name}.W" not in network.parameters or f"{name}.b" not in network.parameters:
        raise GraphError(f"rosenblatt: '{name}' is no result of perceptron(): it has no weights of its own")
    if target.shape != unit.shape:
        raise ShapeError(f"rosenblatt: the target '{target.name}' has shape {target.shape}, '{name}' {unit.shape}")
    if target.dtype != unit.dtype:
        raise DTypeError(f"rosenblatt: the target '{target.name}' is {target.dtype}, '{name}' {unit.dtype}")
    x, weights = network.operands(network[f"{name}.xW"])
    with network.composing("rosenblatt", network.fresh_name(f"{name}.rosenblatt")) as final:
        error = multiply(subtract(target, unit, name=f"{final}.error"), rate, name=f"{final}.step")
        along = matmul(transpose(x, name=f"{final}.xT"), error, name=f"{final}.dW")
        return {
            f"{name}.W": add(weights, along, name=f"{final}.W"),
            f"{name}.b": add(network[f"{name}.b"], sum_over(error, axis=0, name=f"{final}.db"), name=f"{final}.b"),
        }


def sigmoid_neuron(x: Tensor, init: Any = None, name: str = "neuron") -> Tensor:
    """a = sigmoid(w.x + b): one unit.

    Shapes: x (N, K), {name}.W (K, 1), {name}.b (1,), result (N, 1); K + 1 parameters. Arguments and errors are those of
    `dense`.
    """
    return dense(x, 1, sigmoid, init=init, name=name)

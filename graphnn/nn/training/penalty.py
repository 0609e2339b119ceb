"""Penalties on parameters, to be added to a loss."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from graphnn.declare.network import Tensor
from graphnn.errors import GraphError
from graphnn.nn.arguments import NONNEGATIVE, check_number
from graphnn.ops.elementwise import abs as absolute
from graphnn.ops.elementwise import add, multiply, square
from graphnn.ops.reduction import sum as total


def l2_penalty(parameters: Sequence[Tensor], strength: float) -> Tensor:
    """strength/2 * sum w^2 over those of `parameters` that are weights, not biases; a scalar.

    The course's lambda/(2n) sum w^2 has strength lambda/n. Raises GraphError for a strength that is no nonnegative
    number, and where there are no weights of one network.
    """
    return _penalty("l2_penalty", parameters, strength, square, 2)


def l1_penalty(parameters: Sequence[Tensor], strength: float) -> Tensor:
    """strength * sum |w| over those of `parameters` that are weights, not biases; a scalar. At w = 0 it pulls nowhere.

    Raises GraphError for a strength that is no nonnegative number, and where there are no weights of one network.
    """
    return _penalty("l1_penalty", parameters, strength, absolute, 1)


def penalise(loss: Tensor, parameters: Sequence[Tensor], l2: float, l1: float) -> Tensor:
    """The loss with both penalties on the weights; itself where their strengths are 0."""
    if l2 != 0:
        loss = add(loss, l2_penalty(parameters, l2))
    return loss if l1 == 0 else add(loss, l1_penalty(parameters, l1))


def _penalty(
    what: str, parameters: Sequence[Tensor], strength: float, size: Callable[[Tensor], Tensor], divisor: int
) -> Tensor:
    """strength/divisor times the sum of the `size` of every element of the weights."""
    number = check_number(f"{what}: the strength", strength, NONNEGATIVE)
    if isinstance(parameters, Tensor) or not isinstance(parameters, Sequence):
        raise GraphError(f"{what} takes a list of parameters, not {parameters!r:.60}")
    for parameter in parameters:
        if not isinstance(parameter, Tensor) or parameter.kind != "parameter":
            raise GraphError(f"{what}: {parameter!r:.60} is no parameter")
        if parameter.network is not parameters[0].network:
            raise GraphError(f"{what}: '{parameter.name}' belongs to another network than '{parameters[0].name}'")
    weights = [p for p in parameters if p.network.made.nodes[p.name]["attributes"]["role"] == "weight"]
    if not weights:
        raise GraphError(f"{what}: there is no weight among the parameters; biases are not penalised")
    with weights[0].network.composing(what) as final:
        sizes = functools.reduce(add, [total(size(w)) for w in weights])
        return multiply(sizes, number / divisor, name=final)

"""What a Trainer is given: a loss, parameters, an optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.optimizers.rule import Optimizer, Rule


def check_loss(loss: Any) -> None:
    """Raise GraphError, ShapeError or DTypeError unless this is a scalar float of a network."""
    if not isinstance(loss, Tensor):
        raise GraphError(f"a Trainer takes the Tensor to minimise, not a {type(loss).__name__}")
    if loss.ndim:
        raise ShapeError(f"the loss '{loss.name}' has shape {loss.shape}; training needs a scalar")
    if loss.dtype not in FLOATS:
        raise DTypeError(f"the loss '{loss.name}' is {loss.dtype}; training needs a float")


def check_optimizer(optimizer: Any) -> None:
    """Raise GraphError unless this is an Optimizer, or None."""
    if isinstance(optimizer, Rule):
        raise GraphError(f"'{optimizer.name}' is an update rule, not yet an optimizer; call it: gn.SGD(0.1)")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise GraphError(f"optimizer= takes an Optimizer such as SGD(0.1), not {optimizer!r}")


def trained_parameters(loss: Tensor, parameters: Iterable[Tensor | str] | None) -> list[Tensor]:
    """The parameters to train, in the order of declaration; GraphError where they are none of the loss's."""
    network = loss.network
    reached = {t.name for t in network.ancestors([loss])}
    if parameters is None:
        declared = network.parameters.items()
        wanted = {n for n, _ in declared if n in reached and network.made.nodes[n]["attributes"]["trainable"]}
    else:
        if isinstance(parameters, str | Tensor) or not isinstance(parameters, Iterable):
            raise GraphError(f"parameters= takes a list of parameters or their names, not {parameters!r:.60}")
        given = list(parameters)
        for parameter in given:
            if not isinstance(parameter, str | Tensor):
                raise GraphError(f"parameters= takes a list of parameters or their names, not {parameter!r:.60} in it")
        wanted = {p if isinstance(p, str) else p.name for p in given}
        for name in sorted(wanted):
            if name not in network.parameters:
                raise GraphError(f"'{name}' is no parameter; there are {', '.join(network.parameters)}")
            if name not in reached:
                raise GraphError(f"the loss '{loss.name}' does not depend on the parameter '{name}'")
    if not wanted:
        raise GraphError(f"the loss '{loss.name}' depends on no parameter to train")
    return [t for name, t in network.parameters.items() if name in wanted]

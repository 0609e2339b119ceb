"""The updates that belong to a network: which are allowed, and which belong to given tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphnn.errors import DTypeError, GraphError, ShapeError

if TYPE_CHECKING:
    from graphnn.declare.network import Network, Tensor


def check_update(network: Network, variable: Any, value: Any) -> None:
    """Raise GraphError, ShapeError or DTypeError unless a step may store `value` in `variable`."""
    for tensor in (variable, value):
        if getattr(tensor, "network", None) is not network:
            raise GraphError(f"update: {tensor!r:.80} is no Tensor of network {network.name!r}")
    if variable.name not in network.state_variables:
        raise GraphError(f"update: '{variable.name}' is an {variable.kind} and no state variable")
    if variable.name in network.updates:
        raise GraphError(f"update: '{variable.name}' is updated already, by '{network.updates[variable.name].name}'")
    if variable.shape != value.shape:
        raise ShapeError(f"update: '{variable.name}' has shape {variable.shape}, its new value {value.shape}")
    if variable.dtype != value.dtype:
        raise DTypeError(f"update: '{variable.name}' is {variable.dtype}, its new value {value.dtype}")


def reached_updates(network: Network, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """The updates of the variables that the tensors depend on, and of those that these updates depend on.

    What was requested is made only where it decides.
    """
    if not network.updates:
        return {}
    certain = [tensor for tensor in tensors if network.requests.origin(tensor) is None]
    found = _reached(network, certain)
    if found.keys() == network.updates.keys() or len(certain) == len(tensors):
        return found
    if found.keys() == _reached(network, network.requests.reach(tensors)[0]).keys():
        return found
    return _reached(network, tensors)


def _reached(network: Network, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    while True:
        reached = {t.name for t in network.ancestors([*tensors, *found.values()])}
        more = {name: value for name, value in network.updates.items() if name in reached}
        if more.keys() in (found.keys(), network.updates.keys()):
            return more
        found = more

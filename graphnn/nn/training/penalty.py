"""Penalties on parameters, to be added to a loss."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from graphnn.declare.network import Tensor
from graphnn.errors import GraphError
from graphnn.ops.elementwise import add, multiply, square
from graphnn.ops.reduction import sum as total


def l2_penalty(parameters: Sequence[Tensor], strength: float) -> Tensor:
    """strength/2 * sum w^2 over those of `parameters` that are weights, not biases; a scalar.

    The course's lambda/(2n) sum w^2 has strength lambda/n. Raises GraphError for a negative strength or no weights.
    """
    if not strength >= 0:
        raise GraphError(f"l2_penalty: the strength is a nonnegative number, not {strength!r}")
    weights = [p for p in parameters if p.network.graph.nodes[p.name]["attributes"].get("role") == "weight"]
    if not weights:
        raise GraphError("l2_penalty: there is no weight among the parameters; biases are not penalised")
    squares = [total(square(w)) for w in weights]
    return multiply(functools.reduce(add, squares), strength / 2)

"""Clipping of gradients: nodes between the gradients and the updates.

clip_by_value   g -> max(-c, min(c, g)), each element by itself
clip_by_norm    g -> g * c / max(c, n), with n the norm of all gradients together

    Trainer(loss, Adam(1e-3, clip_norm=1.0))
    Adam(1e-3).updates(parameters, clip_by_norm(gradients(loss, parameters), 1.0))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphnn.declare.formula import written
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op, as_number, elementwise
from graphnn.errors import DTypeError, GraphError
from graphnn.late import sympy
from graphnn.nn.arguments import POSITIVE, check_number
from graphnn.ops.elementwise import multiply, square
from graphnn.ops.reduction import sum as total


def bounded(g: Any, c: Any) -> Any:
    """An element, brought into [-c, c]."""
    return sympy.Max(-c, sympy.Min(c, g))


def shortened(g: Any, n: Any, c: Any) -> Any:
    """An element of a vector of norm n that is brought to norm c where it is longer."""
    return g * c / sympy.Max(c, n)


def clip_by_value(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """max(-limit, min(limit, g)) of every element; a Tensor per gradient, of its shape and dtype.

    Raises GraphError where `limit` is no positive number, and for what is no sequence of Tensors of one network.
    """
    network = _check("clip_by_value", gradients)
    c = as_number(check_number("clip_by_value: the limit", limit, POSITIVE), "limit")
    op = elementwise("clip by value", lambda g: bounded(g, c))
    with network.composing("clip_by_value"):
        return [op(g, name=network.fresh_name(f"{g.name}.bounded")) for g in gradients]


def clip_by_norm(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """g * limit/max(limit, n) with n = sqrt(sum g^2) over all of `gradients` together: their direction stays.

    A Tensor per gradient, of its shape and dtype. The formula is that of Pascanu, Mikolov and Bengio 2013.
    Raises GraphError where `limit` is no positive number, and for what is no sequence of Tensors of one network;
    DTypeError where they have several dtypes.
    """
    network = _check("clip_by_norm", gradients)
    c = as_number(check_number("clip_by_norm: the limit", limit, POSITIVE), "limit")
    if other := [g for g in gradients if g.dtype != gradients[0].dtype]:
        first = gradients[0]
        raise DTypeError(f"clip_by_norm: '{first.name}' is {first.dtype}, '{other[0].name}' is {other[0].dtype}")
    names = [f"s{k}" for k in range(len(gradients))]
    norm = sympy.sqrt(sum(Operand(name)[...] for name in names))
    # One node, which is dear enough to be computed once and not for each element that it scales.
    op = Op("clip by norm", written((...,), shortened(1, norm, c)), names)
    with network.composing("clip_by_norm"):
        squares = [square(g, name=network.fresh_name(f"{g.name}.squared")) for g in gradients]
        sizes = [total(s, name=network.fresh_name("clip_by_norm.size")) for s in squares]
        factor = op(*sizes, name=network.fresh_name("clip_by_norm"))
        return [multiply(g, factor, name=network.fresh_name(f"{g.name}.shortened")) for g in gradients]


def _check(what: str, gradients: Any) -> Network:
    """The network of the gradients."""
    if isinstance(gradients, str) or not isinstance(gradients, Sequence) or not gradients:
        raise GraphError(f"{what} takes a list of gradients, of which there is at least one, not {gradients!r:.60}")
    for gradient in gradients:
        if not isinstance(gradient, Tensor):
            raise GraphError(f"{what}: a gradient is a Tensor, not {gradient!r:.60}")
        if gradient.network is not gradients[0].network:
            raise GraphError(f"{what}: '{gradient.name}' belongs to another network than '{gradients[0].name}'")
    network: Network = gradients[0].network
    return network

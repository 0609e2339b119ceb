"""The NaN watch: a step that is not finite changes nothing, and the first bad node is named.

    finite = |loss| <= the largest float;  w.next = where(finite, w - lr*g, w)

So weights and slots are still those that gave the bad loss, and the node can be found afterwards (`first_bad.py`) by
evaluating the formulas again: a good step pays one select per updated element, in a register.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphnn.declare.extents import TensorType
from graphnn.declare.network import Tensor
from graphnn.ops.elementwise import abs, add, less_equal, where
from graphnn.ops.reduction import sum as total
from graphnn.simplify.expr import DType


def guard(
    loss: Tensor, gradients: Sequence[Tensor], updates: Mapping[str, Tensor], dtype: DType | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """(whether the loss and these gradients are finite, the updates that keep the old value where they are not)."""
    network = loss.network
    largest = float(np.finfo(dtype or loss.dtype).max)
    variables = {name: network[name] for name in updates}

    def make() -> list[Tensor]:
        def part(op: Callable[..., Tensor], *operands: Tensor) -> Tensor:
            return op(*operands, name=network.fresh_name(f"{loss.name}.magnitude"))

        sizes = [part(total, part(abs, g)) for g in gradients]
        magnitude = functools.reduce(functools.partial(part, add), sizes, part(abs, loss))
        finite = less_equal(magnitude, largest, name=network.fresh_name(f"{loss.name}.finite"))
        return [finite] + [
            where(finite, value, variables[name], name=network.fresh_name(f"{name}.watched"))
            for name, value in updates.items()
        ]

    types = [TensorType((), "bool"), *(TensorType(v.shape, v.dtype) for v in variables.values())]
    sources = [loss, *gradients, *updates.values(), *variables.values()]
    about = ["watch", largest, len(gradients), len(updates)]
    finite, *watched = network.requests.ask(f"the watch of {loss.name}", about, sources, types, make)
    return finite, dict(zip(updates, watched, strict=True))

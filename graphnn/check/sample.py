"""Random values for a network's inputs that the network accepts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphnn.check.differences import Array
from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.errors import ShapeError
from graphnn.schedule.memory import evaluate
from graphnn.simplify.passes import simplify

INTEGERS = 10  # where no access bounds an integer input


def draw_inputs(tensor: Tensor, sizes: Mapping[str, int], seed: int = 0) -> dict[str, Array]:
    """An array for each input that `tensor` depends on.

    Floats are normal, except that rows promised to sum to 1 do; labels and indices lie in the extent that they number;
    bools are fair coins. ShapeError where `sizes` leaves an extent open.
    """
    leaves = [t for t in tensor.network.ancestors([tensor]) if t.kind == "input"]
    free = sorted({s.name for t in leaves for extent in t.shape_exprs for s in extent.free_symbols} - set(sizes))
    if free:
        raise ShapeError(f"the inputs of '{tensor.name}' have the symbolic sizes {', '.join(free)}; give a number each")
    facts = simplify(tensor.network, [tensor], sizes=sizes, training=True)  # as compare() takes gradients
    bounds = {name: evaluate(extent, dict(sizes)) for name, extent in facts.index_bounds}
    generator = np.random.default_rng(seed)
    return {leaf.name: _draw(leaf, sizes, bounds, leaf.name in facts.distributions, generator) for leaf in leaves}


def _draw(
    leaf: Tensor,
    sizes: Mapping[str, int],
    bounds: Mapping[str, int],
    distribution: bool,
    generator: np.random.Generator,
) -> Array:
    shape = tuple(int(e.subs({s: sizes[s.name] for s in e.free_symbols})) for e in leaf.shape_exprs)
    if leaf.dtype not in FLOATS:
        drawn = generator.integers(0, 2 if leaf.dtype == "bool" else bounds.get(leaf.name, INTEGERS), shape)
        return drawn.astype(leaf.dtype)
    if distribution:
        weights = generator.random(shape)
        return np.asarray(weights / weights.sum(-1, keepdims=True), leaf.dtype)
    return generator.standard_normal(shape).astype(leaf.dtype)

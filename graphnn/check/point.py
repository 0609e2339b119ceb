"""Where gradients are compared: values of all leaves, and the loss as a function of one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import sympy

from graphnn.check.differences import Array
from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Network, Tensor
from graphnn.declare.reference import evaluate, infer_sizes
from graphnn.errors import GraphError
from graphnn.pipeline import compile as compile_native

GRID_BUDGET = 2**20  # points of definitions that are evaluated in high precision, some microseconds each


class Point:
    """The inputs, state and mode at which the gradients `adjoints` of `loss` are compared, rounded to `dtype`.

    A batch that high precision would take long for is cut to its first rows.
    """

    def __init__(
        self, loss: Tensor, adjoints: Sequence[Tensor], values: Mapping[str, Any], dtype: str, training: bool
    ) -> None:
        network = loss.network
        for name in values:
            if name not in network.inputs:
                raise GraphError(f"'{name}' is not an input; assign parameters and other state to network.state")
        self.loss, self.adjoints, self.dtype, self.training = loss, adjoints, dtype, training
        self.inputs = {name: _rounded(network[name], value, dtype) for name, value in values.items()}
        for name, array in self.inputs.items():
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise GraphError(f"compare: input '{name}' holds NaN; gradients are compared at numbers")
        self.sizes = self._infer_sizes()
        self._cut_batch()
        used = {t.name for t in network.ancestors([loss, *adjoints])}
        state = {n: _rounded(t, network.state[n], dtype) for n, t in network.state_variables.items() if n in used}
        self.values = {**self.inputs, **state}

    def _infer_sizes(self) -> dict[str, int]:
        return infer_sizes([self.loss.network[name] for name in self.inputs], self.inputs, {})

    def _cut_batch(self) -> None:
        batch = _batch_size(self.loss.network)
        while self.sizes.get(batch, 1) > 1 and _grid(self.adjoints, self.sizes) > GRID_BUDGET:
            rows = (self.sizes[batch] + 1) // 2
            for name, value in self.inputs.items():
                if self.loss.network[name].shape[:1] == (batch,):
                    self.inputs[name] = np.ascontiguousarray(value[:rows])
            self.sizes = self._infer_sizes()

    def loss_of(self, leaf: Tensor) -> Callable[[Array], Any]:
        """The sum of the loss as a function of the leaf's value, which is real or complex."""

        def total(value: Array) -> Any:
            number = "complex128" if np.iscomplexobj(value) else "float64"
            values = {**self.values, leaf.name: value}
            return np.sum(evaluate([self.loss], values, self.sizes, number, training=self.training)[0])

        return total

    def run_native(self, accuracy: Literal["fast", "tight"]) -> list[Array]:
        """The compiled gradients. State keeps its dtype and value, whatever the program makes of it."""
        network = self.loss.network
        before = {name: np.array(network.state[name]) for name in network.state_variables}
        dtype: Any = self.dtype
        program = compile_native(
            list(self.adjoints), sizes=self.sizes, dtype=dtype, accuracy=accuracy, training=self.training
        )
        used = {t.name for t in network.ancestors(self.adjoints)}
        try:
            return [np.array(g) for g in program(**{n: value for n, value in self.inputs.items() if n in used})]
        finally:
            for name, value in before.items():
                if network.state[name].dtype != value.dtype or network.state[name].tobytes() != value.tobytes():
                    network.state.buffer(name, str(value.dtype))[...] = value
                    network.state.version += 1


def _rounded(tensor: Tensor, value: Any, dtype: str) -> Array:
    """A value as native code gets it: floats in `dtype`; what is of another kind stays, for `evaluate` to refuse."""
    array = np.asarray(value)
    floating = tensor.dtype in FLOATS
    fits = array.dtype.kind in ("iubf" if floating else "iub")
    return np.asarray(array, (dtype if floating else tensor.dtype) if fits else None, order="C")


def _batch_size(network: Network) -> str:
    """The size that numbers the rows of inputs and occurs in no other extent of theirs; "" if there is none."""
    shapes = [t.shape_exprs for t in network.inputs.values()]
    leading = [s[0].name for s in shapes if s and isinstance(s[0], sympy.Symbol)]
    inner = {
        symbol.name
        for s in shapes
        for n, extent in enumerate(s)
        for symbol in extent.free_symbols
        if n > 0 or symbol != extent
    }
    return next((name for name in leading if name not in inner), "")


def _grid(tensors: Sequence[Tensor], sizes: Mapping[str, int]) -> int:
    """The points over which all definitions are evaluated that the tensors are made of."""
    total = 0
    for tensor in tensors[0].network.ancestors(tensors):
        if tensor.definition is not None:
            extents = (e.size for e in (*tensor.definition.axes, *tensor.definition.reduced))
            total += math.prod(int(e.subs({s: sizes.get(s.name, 1) for s in e.free_symbols})) for e in extents)
    return total

"""Runs tensors of a network three ways: by the reference evaluator, by the loop interpreter, and natively."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

import graphnn as gn
from graphnn.declare.reference import infer_sizes
from graphnn.lower.builder import lower
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Program
from graphnn.schedule.memory import evaluate as evaluate_size
from graphnn.schedule.passes import schedule
from graphnn.simplify.passes import Simplified, simplify

Array = np.ndarray[Any, Any]
Values = Mapping[str, Any]
Accuracy = Literal["fast", "tight"]
POISON = {"int64": -777, "bool": True}  # what a result holds before it is written; NaN for floats


class Chain:
    """The stages from `simplify` to native code for some tensors, each made once."""

    def __init__(
        self,
        tensors: Sequence[gn.Tensor],
        accuracy: Accuracy = "fast",
        sizes: Mapping[str, int] | None = None,
        debug: bool = False,
        training: bool = False,
    ) -> None:
        self.tensors, self.network = list(tensors), tensors[0].network
        self.simplified: Simplified = simplify(
            self.network, self.tensors, sizes=sizes, accuracy=accuracy, training=training
        )
        self.loops: Program = lower(self.simplified.program)
        self.scheduled: Program = schedule(self.loops)
        leaves = {**self.network.inputs, **self.network.state_variables}
        self.names = [f"{t.name}.out" if t.name in leaves else t.name for t in tensors]
        self._compile = lambda: gn.compile(self.tensors, sizes=sizes, accuracy=accuracy, debug=debug, training=training)
        self._executable: Any = None

    def interpreted(self, values: Values, scheduled: bool = False) -> list[Array]:
        """The results by the interpreter, before or after scheduling."""
        program = self.scheduled if scheduled else self.loops
        sizes = self._sizes(values)
        arrays = {b.name: self._array(b, values, sizes) for b in program.buffers if b.role != "temp"}
        interpret(program, arrays, sizes)
        return [arrays[name] for name in self.names]

    def native(self, values: Values) -> list[Array]:
        """The results by native code; values of state variables are assigned to the network's."""
        self._executable = self._executable or self._compile()
        inputs = {n: np.asarray(v, self.network[n].dtype) for n, v in values.items() if n in self.network.inputs}
        for name in values.keys() - inputs.keys():
            self.network.state[name] = np.asarray(values[name], self.network[name].dtype)
        results: list[Array] = self._executable(**inputs)
        return results

    def _sizes(self, values: Values) -> dict[str, int]:
        leaves = {**self.network.inputs, **self.network.state_variables}
        given = {name: np.asarray(value) for name, value in values.items()}
        return infer_sizes([leaves[name] for name in given], given, {})

    def _array(self, buffer: Any, values: Values, sizes: dict[str, int]) -> Array:
        shape = tuple(evaluate_size(extent, sizes) for extent in buffer.shape)
        if buffer.name in values:
            return np.array(values[buffer.name], dtype=buffer.dtype).reshape(shape)
        return np.full(shape, POISON.get(buffer.dtype, np.nan), buffer.dtype)


def reference(tensors: Sequence[gn.Tensor], values: Values, training: bool = False) -> list[Array]:
    """The results by the reference evaluator, in float64."""
    return gn.evaluate(tensors, values, training=training)


TOLERANCE = {"float64": 1e-10, "float32": 2e-4}  # of the largest value of any node that a result depends on


def compare_ways(
    outputs: Sequence[gn.Tensor],
    values: Values,
    accuracy: Accuracy = "fast",
    sizes: Mapping[str, int] | None = None,
    debug: bool = False,
    training: bool = False,
) -> None:
    """Raise AssertionError where a result differs from the reference: interpreted, scheduled, or native."""
    nodes = [t for t in outputs[0].network.ancestors(outputs) if t.dtype.startswith("float")]
    expected = reference(outputs, values, training)
    scale = max((float(np.abs(v).max(initial=0)) for v in reference(nodes, values, training)), default=0)
    chain = Chain(outputs, accuracy, sizes, debug, training)
    ways = {
        "interpreted": chain.interpreted(values),
        "scheduled": chain.interpreted(values, scheduled=True),
        "native": chain.native(values),
    }
    for way, results in ways.items():
        for tensor, result, right in zip(outputs, results, expected, strict=True):
            assert result.shape == right.shape, (way, tensor.name)
            if result.dtype.kind in "ib":
                assert (result == right).all(), (way, tensor.name)
                continue
            error = float(np.abs(result - right).max(initial=0))
            assert error <= TOLERANCE[str(result.dtype)] * max(1, scale), f"{way}: {tensor.name} is off by {error:g}"

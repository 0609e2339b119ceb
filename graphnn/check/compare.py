"""compare(): four gradients of one loss that know nothing of each other.

    native      the derived formula, compiled
    exact       the derived formula, evaluated from its definitions to 50 digits
    difference  central differences of the forward definitions, over a range of steps
    complex     a complex step through the forward definitions, where they are analytic

Native against exact judges the compiler; exact against the two numeric ones judges the derivation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import mpmath
import numpy as np
import sympy

from graphnn.check.analytic import find_obstacle
from graphnn.check.differences import STEPS, Array, Slopes, complex_step, measure_slopes
from graphnn.check.report import Comparison, Element, Report
from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Network, Tensor
from graphnn.declare.reference import evaluate, infer_sizes
from graphnn.derive.sweep import gradients
from graphnn.errors import GraphError
from graphnn.pipeline import compile as compile_native

Index = tuple[int, ...]

DIGITS = 50
GRID_BUDGET = 2**21  # points that are evaluated to 50 digits, about a microsecond each
CURVE_ELEMENTS = 6  # elements of a leaf that are differentiated with every step
FLOOR = 1e-6  # a gradient that cancels has no relative error below this part of the largest one
# What rounding explains. Native sums of terms that cancel lose digits; a difference has its curvature, too.
TOLERANCE = {"float64": 1e-8, "float32": 5e-3}
DIFFERENCE_TOLERANCE, COMPLEX_TOLERANCE = 1e-4, 1e-8


def compare(
    loss: Tensor,
    values: Mapping[str, Any],
    wrt: Sequence[Tensor] | None = None,
    ties: Literal["first", "split"] = "first",
    dtype: Literal["float32", "float64"] = "float64",
    accuracy: Literal["fast", "tight"] = "tight",
    sample: int = 64,
    seed: int = 0,
) -> Report:
    """Compare the gradients of (the sum of) `loss` by each of `wrt`, four ways.

    `values` maps each input to an array; state is read, never changed. `wrt` are parameters and float inputs: by
    default the trainable parameters that the loss depends on, or the float inputs if there are none. All values are
    rounded to `dtype` first, so that the four see the same numbers. The numeric derivatives are taken of at most
    `sample` elements of a leaf: those whose native value is off the most, and random ones (`seed`).

    High precision costs about a microsecond per multiplication. A batch (the size that only numbers the rows of
    inputs) is cut to its first rows where it would take longer than seconds; `Report.sizes` says what was evaluated.

    Raises GraphError where `wrt` holds no leaf, DeriveError where there is no gradient, and what `gn.evaluate` raises.
    """
    if sample < 1:
        raise GraphError(f"compare: at least one element is differentiated numerically, not sample={sample}")
    leaves = _choose_leaves(loss, wrt)
    adjoints = gradients(loss, leaves, ties)
    point = _Point(loss, adjoints, values, dtype)
    exact = evaluate(adjoints, point.values, number="mpmath", precision=DIGITS)
    native = point.run_native(adjoints, dtype, accuracy)
    generator = np.random.default_rng(seed)
    with mpmath.workdps(DIGITS):
        largest = max((abs(x) for array in exact for x in array.flat if mpmath.isfinite(x)), default=mpmath.mpf(0))
        comparisons = tuple(
            _compare_leaf(point, leaf, native[n], exact[n], float(largest), dtype, sample, generator)
            for n, leaf in enumerate(leaves)
        )
    return Report(loss.name, dtype, accuracy, point.sizes, comparisons)


def _choose_leaves(loss: Tensor, wrt: Sequence[Tensor] | None) -> list[Tensor]:
    network = loss.network
    if wrt is None:
        known = [t for t in network.ancestors([loss]) if t.dtype in FLOATS]
        attributes = network.graph.nodes(data="attributes")
        chosen = [t for t in known if t.kind == "parameter" and attributes[t.name]["trainable"]]
        chosen = chosen or [t for t in known if t.kind == "input"]
        if not chosen:
            raise GraphError(f"'{loss.name}' depends on no trainable parameter and on no float input")
        return chosen
    for tensor in wrt:
        if tensor.kind == "op":
            raise GraphError(f"'{tensor.name}' is computed by the network; compare takes inputs and parameters in wrt")
    return list(wrt)


class _Point:
    """Where the gradients are compared: the loss as a function of any leaf, the others held."""

    def __init__(self, loss: Tensor, adjoints: Sequence[Tensor], values: Mapping[str, Any], dtype: str) -> None:
        network = self.network = loss.network
        self.loss = loss
        for name in values:
            if name not in network.inputs:
                raise GraphError(f"'{name}' is not an input; assign parameters and other state to network.state")
        self.inputs = {name: _rounded(network[name], value, dtype) for name, value in values.items()}
        given = [network[name] for name in self.inputs]
        self.sizes = infer_sizes(given, self.inputs, {})
        batch = _batch_size(network)
        while batch in self.sizes and self.sizes[batch] > 1 and _grid(adjoints, self.sizes) > GRID_BUDGET:
            rows = (self.sizes[batch] + 1) // 2
            numbered = {t.name for t in given if t.shape and t.shape[0] == batch}
            self.inputs = {n: np.ascontiguousarray(v[:rows]) if n in numbered else v for n, v in self.inputs.items()}
            self.sizes = infer_sizes(given, self.inputs, {})
        state = {t.name: _rounded(t, network.state[t.name], dtype) for t in network.state_variables.values()}
        used = {t.name for t in network.ancestors([loss, *adjoints])}
        self.values = {**self.inputs, **{name: value for name, value in state.items() if name in used}}

    def function_of(self, leaf: Tensor) -> Callable[[Array], Any]:
        """The sum of the loss when the leaf has the given value, which is real or complex."""

        def total(value: Array) -> Any:
            number = "complex128" if np.iscomplexobj(value) else "float64"
            return np.sum(evaluate([self.loss], {**self.values, leaf.name: value}, self.sizes, number)[0])

        return total

    def run_native(self, adjoints: Sequence[Tensor], dtype: str, accuracy: Any) -> list[Array]:
        """The compiled gradients. State keeps its dtype and value, whatever the program converts it to."""
        state, names = self.network.state, list(self.network.state_variables)
        before = {name: np.array(state[name]) for name in names}
        try:
            program = compile_native(list(adjoints), sizes=self.sizes, dtype=dtype, accuracy=accuracy)
            used = {t.name for t in self.network.ancestors(adjoints)}
            results = program(**{name: value for name, value in self.inputs.items() if name in used})
            return [np.array(result) for result in results]
        finally:
            for name, value in before.items():
                if state[name].dtype != value.dtype:
                    state.buffer(name, str(value.dtype))[...] = value


def _rounded(tensor: Tensor, value: Any, dtype: str) -> Array:
    """A value as native code gets it: floats in `dtype`; what is of another kind stays, for `evaluate` to refuse."""
    array = np.asarray(value)
    kind = dtype if tensor.dtype in FLOATS else tensor.dtype
    fits = array.dtype.kind in ("iubf" if tensor.dtype in FLOATS else "iub")
    return np.ascontiguousarray(array, dtype=kind if fits else None)


def _batch_size(network: Network) -> str:
    """The size that numbers the rows of inputs and occurs in no other extent of theirs; "" if there is none."""
    shapes = [t.shape_exprs for t in network.inputs.values()]
    leading = [s[0].name for s in shapes if s and isinstance(s[0], sympy.Symbol)]
    inner = {symbol.name for s in shapes for extent in s[1:] for symbol in extent.free_symbols}
    return next((name for name in leading if name not in inner), "")


def _grid(tensors: Sequence[Tensor], sizes: Mapping[str, int]) -> int:
    """The points over which all definitions are evaluated that the tensors are made of."""
    known = {sympy.Symbol(name): value for name, value in sizes.items()}
    total = 0
    for tensor in tensors[0].network.ancestors(tensors):
        if tensor.definition is not None:
            extents = (e.size for e in (*tensor.definition.axes, *tensor.definition.reduced))
            total += math.prod(int(e.subs({s: known.get(sympy.Symbol(s.name), 1) for s in e.free_symbols})) for e in extents)
    return total


def _compare_leaf(
    point: _Point,
    leaf: Tensor,
    native: Array,
    exact: Array,
    largest: float,
    dtype: str,
    sample: int,
    generator: np.random.Generator,
) -> Comparison:
    function, at = point.function_of(leaf), point.values[leaf.name].astype(np.float64)
    obstacle = find_obstacle(point.loss, leaf) or ""
    floor = FLOOR * largest or 1.0
    errors = np.array([_relative(a, b, floor) for a, b in zip(native.flat, exact.flat, strict=True)])
    order = _sample(errors, sample, generator)
    indices: list[Index] = [tuple(int(i) for i in np.unravel_index(flat, at.shape)) for flat in order]
    near = np.array([float(x) for x in exact.flat]).reshape(exact.shape)
    scale = float(np.max(np.abs(near), initial=0.0, where=np.isfinite(near))) or 1.0

    def slopes_at(index: Index, step: float) -> Slopes:
        return measure_slopes(function, at, index, step, bool(obstacle))

    judged = [i for i in indices if math.isfinite(near[i])]
    curve = []
    for step in STEPS if judged else ():
        distances = [slopes_at(i, step).distance(near[i]) for i in judged[:CURVE_ELEMENTS]]
        curve.append((step, float(np.max(distances)) / scale))
    step = min(curve, key=lambda pair: (not math.isfinite(pair[1]), pair[1]), default=(STEPS[5], 0.0))[0]
    slopes = {i: slopes_at(i, step) for i in judged}
    for i, found in slopes.items():
        if found.kinked:  # any slope between the one-sided ones will do
            errors[np.ravel_multi_index(i, at.shape) if i else 0] = found.distance(float(native[i])) / max(abs(near[i]), floor)
    distances = {i: found.distance(near[i]) for i, found in slopes.items()}
    imaginary = {} if obstacle else {i: complex_step(function, at, i) for i in judged}
    complex_errors = [abs(value - near[i]) / max(abs(near[i]), floor) for i, value in imaginary.items()]
    worst = _worst(errors, indices, at.shape)
    native_error = float(np.max(errors, initial=0.0))
    agrees = (
        native_error <= TOLERANCE[dtype]
        and all(d <= DIFFERENCE_TOLERANCE * scale + slopes[i].noise for i, d in distances.items())
        and all(error <= COMPLEX_TOLERANCE for error in complex_errors)
    )
    return Comparison(
        name=leaf.name,
        shape=at.shape,
        worst=Element(
            worst,
            float(native[worst]),
            float(near[worst]),
            slopes[worst].central if worst in slopes else math.nan,
            imaginary.get(worst),
        ),
        native_error=native_error,
        difference_error=max(distances.values(), default=0.0) / scale,
        complex_error=None if obstacle else max(complex_errors, default=0.0),
        obstacle=obstacle,
        kinks=sum(found.kinked for found in slopes.values()),
        step=step,
        curve=tuple(curve),
        agrees=bool(agrees),
    )

"""compare(): four gradients of one loss that know nothing of each other.

    native              the derived formula, compiled
    exact               the derived formula, evaluated from its definitions to 50 digits
    central difference  of the forward definitions, over a range of steps
    complex step        through the forward definitions, where they are analytic

Native against exact judges the compiler, exact against the two numeric ones the derivation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import mpmath
import numpy as np

from graphnn.check.analytic import find_obstacle
from graphnn.check.differences import SMALL_STEP, STEPS, Array, Function, Slopes, complex_step, measure_slopes
from graphnn.check.point import Point
from graphnn.check.report import Comparison, Element, Report
from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.declare.reference import evaluate
from graphnn.derive.sweep import gradients
from graphnn.errors import GraphError

Index = tuple[int, ...]
Curve = tuple[tuple[float, float], ...]

DIGITS = 50
CURVE_ELEMENTS = 6  # elements of a leaf that are differentiated with every step
# A sum that cancels has no relative error: below this part of the largest gradient, errors are relative to that part.
FLOOR = {"float64": 1e-6, "float32": 1e-3}
NOTHING = 1e-44  # what cancellation to zero leaves of 50 digits
# What rounding explains: sums of terms that cancel lose digits, a central difference has its curvature, too.
NATIVE_TOLERANCE = {"float64": 1e-8, "float32": 5e-3}
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
    training: bool = True,
) -> Report:
    """Compare the gradients of (the sum of) `loss` by each of `wrt`, four ways.

    `values` maps each input to an array; state is read and left as it is. `wrt` are parameters and float inputs: by
    default the trainable parameters that the loss depends on, or its float inputs if there are none. All values are
    rounded to `dtype` first, so that the four see the same numbers. The numeric derivatives are taken of at most
    `sample` elements of a leaf: those whose native value is off the most, and random ones (`seed`).

    High precision costs microseconds a multiplication, so a batch (the size that numbers the rows of inputs and
    nothing else) is cut to its first rows where it would take longer than seconds; `Report.sizes` says to how many.

    The gradients are those of training, with the masks and batch statistics of the present step, unless training=False.

    Raises GraphError where `wrt` holds no leaf, DeriveError where there is no gradient, and what `gn.evaluate` raises.
    """
    if sample < 1:
        raise GraphError(f"compare: at least one element is differentiated numerically, not sample={sample}")
    if not isinstance(loss, Tensor) or not isinstance(values, Mapping):
        given = f"{type(loss).__name__} and {type(values).__name__}"
        raise GraphError(f"compare takes a Tensor and a mapping from input names to arrays, not {given}")
    leaves = _choose_leaves(loss, wrt)
    adjoints = gradients(loss, leaves, ties)
    point = Point(loss, adjoints, values, dtype, training)
    exact = evaluate(adjoints, point.values, point.sizes, "mpmath", DIGITS, training)
    native = point.run_native(accuracy)
    generator = np.random.default_rng(seed)
    with mpmath.workdps(DIGITS):
        largest = max((float(abs(x)) for array in exact for x in array.flat if mpmath.isfinite(x)), default=0.0)
        floor = FLOOR[dtype] * largest if largest > NOTHING else 1.0
        judges = [
            _Judge(point, leaf, own, formula, floor) for leaf, own, formula in zip(leaves, native, exact, strict=True)
        ]
        return Report(
            loss.name, dtype, accuracy, point.sizes, tuple(judge.compare(sample, generator) for judge in judges)
        )


def _choose_leaves(loss: Tensor, wrt: Sequence[Tensor] | None) -> list[Tensor]:
    if wrt is None:
        nodes = loss.network.made.nodes
        known = [t for t in loss.network.ancestors([loss]) if t.dtype in FLOATS]
        parameters = [t for t in known if t.kind == "parameter" and nodes[t.name]["attributes"].get("trainable")]
        if not (leaves := parameters or [t for t in known if t.kind == "input"]):
            raise GraphError(f"'{loss.name}' depends on no trainable parameter and on no float input")
        return leaves
    for tensor in wrt:
        if tensor.kind == "op":
            raise GraphError(f"'{tensor.name}' is computed by the network; compare goes by inputs and parameters")
    return list(wrt)


class _Judge:
    """The gradients by one leaf, and what is right for each of its elements."""

    def __init__(self, point: Point, leaf: Tensor, native: Array, exact: Array, floor: float) -> None:
        self.leaf, self.native, self.floor = leaf, native, floor
        self.function: Function = point.loss_of(leaf)
        self.at = np.asarray(point.values[leaf.name], np.float64)
        self.dtype = point.dtype
        self.obstacle = find_obstacle(point.loss, leaf)
        pairs = zip(native.flat, exact.flat, strict=True)
        self.errors = np.array([self._relative(value, truth) for value, truth in pairs]).reshape(native.shape)
        self.exact = np.array([float(x) for x in exact.flat]).reshape(native.shape)
        finite = np.abs(self.exact[np.isfinite(self.exact)])
        self.scale = float(np.max(finite, initial=floor))

    def _relative(self, value: Any, truth: Any) -> float:
        """|value - truth| relative to the truth, in the precision of the truth; equal infinities and NaNs agree."""
        if not mpmath.isfinite(truth):
            same = mpmath.isnan(value) if mpmath.isnan(truth) else float(value) == float(truth)
            return 0.0 if same else math.inf
        if not math.isfinite(value):
            return math.inf
        return float(abs(mpmath.mpf(float(value)) - truth) / max(abs(truth), self.floor))

    def compare(self, sample: int, generator: np.random.Generator) -> Comparison:
        """All four at `sample` elements, native and exact at all."""
        chosen = self._choose(sample, generator)
        judged = [i for i in chosen if math.isfinite(self.exact[i])]
        curve = self._curve(judged[-CURVE_ELEMENTS:])
        usable = [entry for entry in curve if entry[0] <= SMALL_STEP or not self.obstacle]
        step = min(usable, key=lambda entry: entry[1], default=(SMALL_STEP, 0.0))[0]
        kinks = self.obstacle is not None
        slopes = {i: self._slopes(i, step, kinks) for i in judged}
        imaginary = {} if self.obstacle else {i: complex_step(self.function, self.at, i) for i in judged}
        for i, found in slopes.items():
            if found.kinked:
                self.errors[i] = found.distance(float(self.native[i])) / max(abs(self.exact[i]), self.floor)
        distances = {i: found.distance(self.exact[i]) for i, found in slopes.items()}
        complex_errors = [self._relative(value, mpmath.mpf(self.exact[i])) for i, value in imaginary.items()]
        native_error = float(np.max(self.errors, initial=0.0))
        agrees = (
            native_error <= NATIVE_TOLERANCE[self.dtype]
            and all(d <= DIFFERENCE_TOLERANCE * self.scale + slopes[i].noise for i, d in distances.items())
            and all(error <= COMPLEX_TOLERANCE for error in complex_errors)
        )
        return Comparison(
            name=self.leaf.name,
            shape=self.at.shape,
            worst=self._worst(slopes, imaginary),
            native_error=native_error,
            difference_error=max(distances.values(), default=0.0) / self.scale,
            complex_error=None if self.obstacle else max(complex_errors, default=0.0),
            obstacle=self.obstacle or "",
            kinks=sum(found.kinked for found in slopes.values()),
            step=step,
            curve=curve,
            agrees=agrees,
        )

    def _choose(self, sample: int, generator: np.random.Generator) -> list[Index]:
        """Random elements, after the ones that are off the most: those need to be judged."""
        count = self.errors.size
        suspects = np.argsort(-self.errors, axis=None, kind="stable")[: (sample + 1) // 2]
        drawn = generator.permutation(count)
        order = list(dict.fromkeys([*suspects.tolist(), *drawn.tolist()]))[:sample]
        return [tuple(int(i) for i in np.unravel_index(flat, self.errors.shape)) for flat in order]

    def _curve(self, indices: Sequence[Index]) -> Curve:
        """The median error of the central difference at each step, relative to the leaf's largest gradient."""
        errors = [[abs(self._slopes(i, step, False).central - self.exact[i]) for i in indices] for step in STEPS]
        medians = [float(np.median(e)) / self.scale for e in errors if e]
        return tuple((s, m if math.isfinite(m) else math.inf) for s, m in zip(STEPS, medians, strict=False))

    def _slopes(self, index: Index, step: float, kinks: bool) -> Slopes:
        """The slopes at an element; above 1 the step is relative to it, as an absolute one would be rounded away."""
        return measure_slopes(self.function, self.at, index, step * max(1.0, abs(float(self.at[index]))), kinks)

    def _worst(self, slopes: dict[Index, Slopes], imaginary: dict[Index, float]) -> Element | None:
        """The element whose native value is off the most, of those that were differentiated numerically."""
        if not slopes:
            return None
        index = max(slopes, key=lambda i: float(self.errors[i]))
        return Element(
            index, float(self.native[index]), float(self.exact[index]), slopes[index].central, imaginary.get(index)
        )

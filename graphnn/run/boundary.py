"""The one door to native code: every array of a call passes here before its pointer is used.

Inputs
- A Python number or a (nested) list or tuple of them has no dtype of its own and takes the declared one, as in NumPy's
  own promotion; a float for an integer input, or a number that does not fit, is refused.
- An ndarray must have the declared dtype in native byte order. Strided or misaligned arrays are copied; shapes bind
  the sizes (`resolve`). Everything else (a masked array, another library's tensor) is refused.
- Values: an integer input with a bound must lie in [0, bound); rows promised to be distributions must sum to 1
  within (c + 1) eps of their dtype, c being their length: what rounding leaves of c/sum(c). NaN in floats is data.
- An input may not overlap a state that the program updates.
An array whose values another thread changes during the call is checked before, not after, that change.

Outputs (`out=`): an ndarray per output, of its dtype and shape, C-contiguous, aligned, writable, and overlapping
neither an input, nor a state, nor each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from graphnn.errors import BoundaryError
from graphnn.run.arrays import PLAIN, Array, aligned_empty, span
from graphnn.run.manifest import BufferSpec, Manifest
from graphnn.run.resolve import Resolved, Shape, resolve
from graphnn.run.states import BoundStates

KEPT_SHAPES = 64  # combinations of input shapes whose resolution is kept; a training run has two
_WEAK = (bool, int, float, list, tuple)
_KINDS = "biuf"  # a weak value may take a dtype whose kind is not left of its own
_UNSIGNED = np.dtype(np.uint64)
_largest, _smallest = np.maximum.reduce, np.minimum.reduce
_EPS = {dtype: float(np.finfo(dtype).eps) for dtype in ("float32", "float64")}


def by_keyword(what: str, names: Iterable[str]) -> BoundaryError:
    """The error for arrays given by position: inputs have names, and no order to rely on."""
    return BoundaryError(f"{what}: give inputs by keyword: {', '.join(f'{name}=...' for name in names)}")


class Boundary:
    """The checks of one program. Threads may share it: its cache is only ever read, added to or emptied."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._inputs = manifest.inputs
        self._expected = tuple((b.name, b.numpy_dtype) for b in self._inputs)
        self._produced = manifest.of("output")
        names = [b.name for b in self._inputs]
        self._bounded = tuple((names.index(name), name) for name, _ in manifest.index_bounds)
        self._distributions = tuple(map(names.index, manifest.distributions))
        self.checked = frozenset([*(position for position, _ in self._bounded), *self._distributions])
        self._resolved: dict[tuple[Shape, ...], Resolved] = {}

    def admit(self, inputs: Mapping[str, Any]) -> tuple[list[Array], Resolved]:
        """The inputs as arrays that native code can read, in the manifest's order, and what their shapes imply.

        Raises BoundaryError for everything that the module's docstring refuses. The common case, plain arrays of
        shapes seen before, takes about 0.4 us per input plus one reduction per input whose values are checked.
        """
        arrays: list[Array] = []
        shapes: list[Shape] = []
        for name, dtype in self._expected:
            array = inputs.get(name)
            if type(array) is not np.ndarray or array.dtype is not dtype or array.flags.num & PLAIN != PLAIN:
                break
            arrays.append(array)
            shapes.append(array.shape)
        if len(arrays) == len(inputs) == len(self._expected):
            resolved = self.resolve(tuple(shapes))
        else:
            converted = self._convert(inputs)
            # Copied after the shapes are known to fit: a broadcast view may stand for any number of bytes.
            resolved = self.resolve(tuple(array.shape for array in converted))
            arrays = [array if array.flags.num & PLAIN == PLAIN else _copied(array) for array in converted]
        self.check_values(arrays, resolved)
        return arrays, resolved

    def admit_rows(
        self, sources: Mapping[str, Any], batched: Collection[str], size: int
    ) -> tuple[list[Array], Resolved]:
        """The sources in the manifest's order, and what batches of `size` rows imply: of the arrays named `batched`.

        Every source must be an ndarray of its input's dtype that native code can read as it is. Their values are not
        looked at. Raises BoundaryError for one that is not so, and for shapes that do not fit.
        """
        arrays: list[Array] = []
        shapes: list[Shape] = []
        for spec, (name, dtype) in zip(self._inputs, self._expected, strict=True):
            array = sources[name]
            if type(array) is not np.ndarray or array.dtype != dtype or array.flags.num & PLAIN != PLAIN:
                raise BoundaryError(f"input {spec}: its rows are read from a C-contiguous, aligned ndarray of {dtype}")
            arrays.append(array)
            shapes.append((size, *array.shape[1:]) if name in batched else array.shape)
        return arrays, self.resolve(tuple(shapes))

    def check_values(self, arrays: Sequence[Array], resolved: Resolved) -> None:
        """Raise BoundaryError for labels and indices out of range, and for promised distributions that are none."""
        for position, name in self._bounded:
            array, bound = arrays[position], resolved.bounds[name]
            # As unsigned numbers the negative ones are the largest: one pass finds both kinds of error.
            if array.size and _largest(array.view(_UNSIGNED), None) >= bound:
                raise _out_of_bounds(self._inputs[position], array, bound)
        for position in self._distributions:
            _check_distribution(self._inputs[position], arrays[position])

    def _convert(self, inputs: Mapping[str, Any]) -> list[Array]:
        expected = [name for name, _ in self._expected]
        if set(inputs) != set(expected):
            missing = ", ".join(name for name in expected if name not in inputs)
            unknown = ", ".join(name for name in inputs if name not in expected)
            raise BoundaryError(
                f"program {self._manifest.name!r} takes the inputs ({', '.join(expected)}); "
                f"missing: {missing or 'none'}; unknown: {unknown or 'none'}"
            )
        return [_typed(spec, inputs[spec.name]) for spec in self._inputs]

    def resolve(self, shapes: tuple[Shape, ...]) -> Resolved:
        """What these shapes of the inputs imply. Raises BoundaryError where they do not fit."""
        resolved = self._resolved.get(shapes)
        if resolved is None:
            resolved = resolve(self._manifest, shapes)
            if len(self._resolved) >= KEPT_SHAPES:
                self._resolved.clear()
            self._resolved[shapes] = resolved
        return resolved

    def keep_apart(self, inputs: Sequence[Array], states: BoundStates) -> None:
        """Raise BoundaryError where an input shares memory with a state that the program updates."""
        for spec, array in zip(self._inputs, inputs, strict=True):
            if states.updated.meet(*span(array)):
                raise BoundaryError(f"input {spec} is the memory of a state that the program updates; pass a .copy()")

    def admit_outputs(
        self, out: Any, resolved: Resolved, inputs: Sequence[Array], states: BoundStates
    ) -> dict[str, Array]:
        """The caller's output arrays by buffer name; `out` has the structure that a call returns."""
        found: dict[str, Array] = {}
        for name, array in zip(self._manifest.outputs.buffers, self._flat(out), strict=True):
            if found.setdefault(name, array) is not array:
                raise BoundaryError(f"out=: output {name} is returned twice, so both places need the same array")
        taken = [(*span(array), name) for array, (name, _) in zip(inputs, self._expected, strict=True) if array.size]
        for spec in self._produced:
            array = _plain_out(spec, found[spec.name], resolved.outputs[spec.name])
            if not array.size:
                continue
            start, end = span(array)
            others = [name for low, high, name in taken if low < end and start < high]
            if states.spans.meet(start, end):
                others.append("a state")
            if others:
                raise BoundaryError(
                    f"out= for {spec} overlaps {others[0]} in memory; give each output memory of its own"
                )
            taken.append((start, end, spec.name))
        return {spec.name: found[spec.name] for spec in self._produced}

    def _flat(self, out: Any) -> list[Any]:
        outputs = self._manifest.outputs
        match outputs.structure:
            case "single":
                return [out]
            case "list" if isinstance(out, list | tuple) and len(out) == len(outputs.buffers):
                return list(out)
            case "dict" if isinstance(out, dict) and set(out) == set(outputs.keys):
                return [out[key] for key in outputs.keys]
        keys = ", ".join(outputs.keys)
        wanted = f"a dict with the keys {keys}" if keys else f"a list of {len(outputs.buffers)} arrays"
        raise BoundaryError(f"out= must be {wanted}, not {_described(out)}")


def _typed(spec: BufferSpec, value: Any) -> Array:
    """The value as an ndarray of the declared dtype, not yet contiguous."""
    dtype = spec.numpy_dtype
    array = np.asarray(value) if isinstance(value, np.generic) else value  # np.float64 is a float, too
    if isinstance(array, _WEAK):
        return _from_numbers(spec, array)
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise BoundaryError(f"input {spec} is {_described(value)}; convert it with np.asarray(value, np.{dtype})")
    array = np.asarray(array)  # a subclass may answer anything about itself; native code sees its memory
    if array.dtype != dtype:
        swapped = array.dtype.newbyteorder("=") == dtype
        why = f"{array.dtype.str}, whose byte order is not this machine's" if swapped else str(array.dtype)
        raise BoundaryError(f"input {spec}: the array given is {why}; convert it with .astype(np.{dtype})")
    return array


def _from_numbers(spec: BufferSpec, value: Any) -> Array:
    dtype = spec.numpy_dtype
    try:
        found = np.asarray(value)
        if found.size and (found.dtype.kind not in _KINDS or _KINDS.index(found.dtype.kind) > _KINDS.index(dtype.kind)):
            raise BoundaryError(
                f"input {spec}: numbers of kind {found.dtype} given; convert them to {dtype} beforehand"
            )
        with np.errstate(over="raise"):  # 1e300 is no float32
            return np.asarray(value, dtype)
    except (ValueError, ArithmeticError, TypeError) as error:
        raise BoundaryError(f"input {spec}: {_described(value)} is no array of {dtype}: {error}") from error


def _copied(array: Array) -> Array:
    plain = aligned_empty(array.shape, array.dtype)
    plain[...] = array
    return plain


def _out_of_bounds(spec: BufferSpec, array: Array, bound: int) -> BoundaryError:
    wrong = (array < 0) | (array >= bound)
    first = tuple(map(int, np.argwhere(wrong)[0]))
    return BoundaryError(
        f"input {spec}: the value {array[first]} at {list(first)} is not in [0, {bound}); "
        f"{np.count_nonzero(wrong)} of {array.size} values are outside"
    )


def deviation(spec: BufferSpec, length: int) -> float:
    """How far from 1 the sum of a row of that many weights may be."""
    return (length + 1) * _EPS[spec.dtype]


def _check_distribution(spec: BufferSpec, array: Array) -> None:
    if prod(array.shape[:-1]) == 0:  # no rows
        return
    sums = np.add.reduce(array, axis=-1, dtype=np.float64)
    tolerance = deviation(spec, array.shape[-1])
    # A NaN reaches both extremes and fails both comparisons.
    if not (_smallest(sums, None) >= 1 - tolerance and _largest(sums, None) <= 1 + tolerance):
        wrong = ~(np.abs(sums - 1) <= tolerance)
        first = tuple(map(int, np.argwhere(wrong)[0]))
        raise BoundaryError(
            f"input {spec} was promised to hold distributions: the row at {list(first)} sums to {sums[first]:.9g}; "
            "divide by array.sum(axis=-1, keepdims=True), or compile without distribution=True"
        )


def _plain_out(spec: BufferSpec, given: Any, shape: Shape) -> Array:
    """The memory of an output array, which may be a subclass that answers otherwise about itself."""
    if not isinstance(given, np.ndarray) or isinstance(given, np.ma.MaskedArray):
        raise BoundaryError(f"out= for {spec} must be an ndarray, not {_described(given)}")
    array = np.asarray(given)
    if array.dtype != spec.numpy_dtype or array.shape != shape:
        raise BoundaryError(
            f"out= for {spec} must be {spec.dtype} of shape {shape}; "
            f"the array given is {array.dtype.str} of {array.shape}"
        )
    flags = array.flags
    if not flags.carray:  # all three of these at once
        faults = {"C-contiguous": flags.c_contiguous, "aligned": flags.aligned, "writable": flags.writeable}
        raise BoundaryError(f"out= for {spec} is not {', not '.join(f for f, holds in faults.items() if not holds)}")
    return array


def _described(value: object) -> str:
    return f"a {type(value).__name__}"

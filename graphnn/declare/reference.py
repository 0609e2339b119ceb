"""The reference evaluator: the meaning of a network, straight from its definitions. The oracle of the tests.

Each definition is evaluated on its whole grid (output axes times reduced axes): gather every access, evaluate the
body, skip what the guard excludes, reduce. It shares nothing with lowering.

A floating access outside of its operand reads NaN, so that an index that is not guarded shows in the result; an
integer one reads the nearest element.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, overload

import mpmath
import numpy as np
import sympy

from graphnn.declare.arithmetic import Arithmetic, Values, arithmetic, choose, evaluate_scalar
from graphnn.declare.definition import FLOATS, Access, Definition
from graphnn.declare.network import Network, Tensor
from graphnn.errors import DTypeError, GraphError, ShapeError

GRID_LIMIT = 2**24  # elements of a grid in one piece; a larger one is evaluated in halves
Ranges = tuple[tuple[int, int], ...]  # the part of each axis, as (start, stop)


@overload
def evaluate(
    tensors: Tensor,
    values: Mapping[str, Any],
    sizes: Mapping[str, int] | None = None,
    number: str = "float64",
    precision: int = 50,
    training: bool = False,
) -> Values: ...
@overload
def evaluate(
    tensors: Sequence[Tensor],
    values: Mapping[str, Any],
    sizes: Mapping[str, int] | None = None,
    number: str = "float64",
    precision: int = 50,
    training: bool = False,
) -> list[Values]: ...
def evaluate(
    tensors: Tensor | Sequence[Tensor],
    values: Mapping[str, Any],
    sizes: Mapping[str, int] | None = None,
    number: str = "float64",
    precision: int = 50,
    training: bool = False,
) -> Values | list[Values]:
    """The value of a Tensor, or a list of the values of several, which belong to one network.

    `values` maps every input, and any state variable, to an array; other state is `network.state`. Symbolic sizes are
    read off the inputs' shapes. `number` is "float64", "complex128" or "mpmath" (`precision` decimal digits); results
    that the network declares float32 or float64 come in that number, int64 and bool ones as they are. `training` is the
    mode; state is read and never changed.

    Raises GraphError for a missing or unknown value, ShapeError where shapes or sizes conflict and for a max or min
    over nothing, DTypeError for a value of the wrong kind.
    """
    if isinstance(tensors, Tensor):
        return evaluate([tensors], values, sizes, number, precision, training)[0]
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise GraphError(f"evaluate takes a Tensor or a list of them, not {type(tensor).__name__}")
    if not isinstance(values, Mapping):
        raise GraphError(f"evaluate takes arrays by name: {{'x': ...}}, not a bare {type(values).__name__}")
    if not isinstance(training, bool):
        raise GraphError(f"evaluate: training is True or False, not {training!r:.40}")
    if not tensors:
        return []
    network = tensors[0].network
    if any(t.network is not network for t in tensors):
        raise GraphError("the tensors to evaluate belong to different networks")
    order = network.ancestors(tensors)
    given = _bind_values(network, order, values) | {t.name: np.asarray(training) for t in order if t.kind == "mode"}
    known = infer_sizes([network[name] for name in given], given, sizes or {})
    with mpmath.workdps(precision):
        numbers = arithmetic(number)
        results: dict[str, Values] = {}
        for tensor in order:
            if tensor.name in given:
                results[tensor.name] = _leaf(tensor, given[tensor.name], numbers)
                continue
            if tensor.definition is None:
                raise GraphError(f"'{tensor.name}' has no definition to evaluate")
            operands = [results[o.name] for o in network.operands(tensor)]
            results[tensor.name] = _evaluate(tensor.definition, operands, known, numbers)
    return [results[t.name] for t in tensors]


def evaluate_definition(
    definition: Definition,
    operands: Sequence[Any],
    sizes: Mapping[str, int] | None = None,
    number: str = "float64",
    precision: int = 50,
) -> Values:
    """The value of one definition applied to arrays in slot order; sizes are read off the arrays' shapes as well."""
    with mpmath.workdps(precision):
        numbers = arithmetic(number)
        known = dict(sizes or {})
        arrays = []
        for slot, (operand, kind) in enumerate(zip(operands, definition.operands, strict=True)):
            array = np.asarray(operand)
            _match(f"{definition.op}: operand {slot}", array.shape, kind.shape, known, {})
            arrays.append(numbers.convert(array) if kind.dtype in FLOATS else array.astype(np.int64))
        return _evaluate(definition, arrays, known, numbers)


def infer_sizes(leaves: Sequence[Tensor], values: Mapping[str, Values], sizes: Mapping[str, int]) -> dict[str, int]:
    """The symbolic sizes that the arrays' shapes give, checked against `sizes` and each other."""
    known = dict(sizes)
    sources = dict.fromkeys(known, "sizes=")
    for tensor in leaves:
        _match(f"{tensor.kind} '{tensor.name}'", values[tensor.name].shape, tensor.shape_exprs, known, sources)
    return known


def _match(
    what: str, shape: tuple[int, ...], declared: Sequence[sympy.Expr], known: dict[str, int], sources: dict[str, str]
) -> None:
    """Bind the size symbols of a declared shape to an array's, and compare the rest."""
    text = f"({', '.join(map(str, declared))})"
    if len(shape) != len(declared):
        raise ShapeError(f"{what} has shape {text}, the array given has {len(shape)} dimensions: {shape}")
    for dimension, (extent, dim) in enumerate(zip(shape, declared, strict=True)):
        if isinstance(dim, sympy.Symbol) and dim.name not in known:
            known[dim.name], sources[dim.name] = extent, f"dimension {dimension} of {what}"
        if dim.free_symbols and any(s.name not in known for s in dim.free_symbols):
            continue  # an expression of sizes that a later operand gives
        if (expected := _size(dim, known)) != extent:
            source = sources.get(str(dim))
            reason = f" = {expected}, from {source}" if source else ""
            raise ShapeError(
                f"{what} has extent {dim}{reason} in dimension {dimension} (shape {text}), "
                f"the array given has extent {extent} (shape {shape})"
            )


def _bind_values(network: Network, order: Sequence[Tensor], values: Mapping[str, Any]) -> dict[str, Values]:
    leaves = {**network.inputs, **network.state_variables}
    for name in values:
        if name not in leaves:
            raise GraphError(f"'{name}' is neither an input nor a state variable; there are {', '.join(leaves)}")
    given = {name: np.asarray(value) for name, value in values.items()}
    for tensor in order:
        if tensor.kind == "input" and tensor.name not in given:
            raise GraphError(f"no value is given for the input '{tensor.name}'")
        if tensor.name in leaves and tensor.name not in given:
            given[tensor.name] = network.state[tensor.name]
    return given


def _leaf(tensor: Tensor, array: Values, numbers: Arithmetic) -> Values:
    kinds = "iub" if tensor.dtype not in FLOATS else "iubfcO" if numbers.dtype is not np.float64 else "iubfO"
    if array.dtype.kind not in kinds:
        raise DTypeError(f"{tensor.kind} '{tensor.name}' is {tensor.dtype}, the array given is {array.dtype}")
    if tensor.dtype not in FLOATS:
        return array.astype(np.int64)
    return numbers.convert(array)


def _size(expr: sympy.Expr, sizes: Mapping[str, int]) -> int:
    value = expr.xreplace({s: sympy.Integer(sizes[s.name]) for s in expr.free_symbols if s.name in sizes})
    if not value.is_Integer:
        missing = ", ".join(sorted(s.name for s in value.free_symbols))
        raise ShapeError(f"the extent {expr} is not known: no input and no sizes= gives {missing}")
    return max(0, int(value))


def _evaluate(
    definition: Definition, operands: Sequence[Values], sizes: Mapping[str, int], numbers: Arithmetic
) -> Values:
    extents = [_size(e.size, sizes) for e in (*definition.axes, *definition.reduced)]
    kept = len(definition.axes)
    if definition.reducer in ("max", "min") and 0 in extents[kept:] and 0 not in extents[:kept]:
        described = ", ".join(f"{e.axis} < {n}" for e, n in zip(definition.reduced, extents[kept:], strict=True))
        shapes = ", ".join(str(o.shape) for o in operands)
        raise ShapeError(
            f"{definition.op}: {definition.reducer} over nothing: {described} (operand shapes {shapes}); "
            "it has no identity, give it at least one element"
        )
    with np.errstate(all="ignore"):
        grid = tuple((0, extent) for extent in extents)
        result = _evaluate_part(definition, operands, sizes, numbers, grid)
    if definition.dtype in FLOATS:
        return numbers.convert(result)
    return result.astype(np.bool_ if definition.dtype == "bool" else np.int64)


def _evaluate_part(
    definition: Definition, operands: Sequence[Values], sizes: Mapping[str, int], numbers: Arithmetic, grid: Ranges
) -> Values:
    """The reduction over a part of the grid; a part beyond the limit is two, split along its first long axis."""
    kept = len(definition.axes)
    lengths = [stop - start for start, stop in grid]
    if math.prod(lengths) > GRID_LIMIT:
        axis = next(n for n, length in enumerate(lengths) if length > 1)
        start, stop = grid[axis]
        middle = (start + stop) // 2
        low, high = (
            _evaluate_part(definition, operands, sizes, numbers, (*grid[:axis], part, *grid[axis + 1 :]))
            for part in ((start, middle), (middle, stop))
        )
        if axis < kept:
            return np.concatenate([low, high], axis)
        return _reduce(str(definition.reducer), np.stack([low, high], -1), numbers)
    scope: dict[sympy.Symbol, Values] = {}
    for n, extent in enumerate((*definition.axes, *definition.reduced)):
        shape = [1] * len(grid)
        shape[n] = lengths[n]
        scope[extent.axis] = np.arange(*grid[n]).reshape(shape)
    symbols = _symbols(definition)
    scope |= {s: np.asarray(sizes[s.name]) for s in symbols if s not in scope and s.name in sizes}
    for access in definition.accesses:
        scope[access.symbol] = _gather(access, operands[access.operand], scope, numbers)
    body = evaluate_scalar(definition.body, scope, numbers)
    if definition.reducer is None:
        return np.broadcast_to(body, lengths)
    if definition.guard != sympy.true:
        unit = _identity(definition.reducer, body, numbers)
        body = np.where(evaluate_scalar(definition.guard, scope, numbers), body, unit)
    terms = np.broadcast_to(body, lengths).reshape(*lengths[:kept], math.prod(lengths[kept:]))
    return _reduce(definition.reducer, terms, numbers)


def _symbols(definition: Definition) -> set[sympy.Symbol]:
    symbols: set[sympy.Symbol] = definition.body.free_symbols | definition.guard.free_symbols
    for access in definition.accesses:
        symbols |= {s for index in access.index for s in index.free_symbols}
    return symbols - {access.symbol for access in definition.accesses}


def _gather(access: Access, operand: Values, scope: Mapping[sympy.Symbol, Values], numbers: Arithmetic) -> Values:
    """The elements that an access reads over the grid."""
    if not access.index:
        return operand
    index = [np.asarray(evaluate_scalar(i, scope, numbers), np.int64) for i in access.index]
    inside = np.asarray(True)
    for positions, extent in zip(index, operand.shape, strict=True):
        inside = inside & (positions >= 0) & (positions < extent)
    outside = np.asarray(0) if operand.dtype.kind == "i" else numbers.convert(np.nan)
    if operand.size == 0:
        return np.broadcast_to(outside, inside.shape)
    read = operand[tuple(np.clip(p, 0, extent - 1) for p, extent in zip(index, operand.shape, strict=True))]
    if inside.all() or operand.dtype.kind == "i":
        return np.asarray(read)
    return np.where(inside, read, outside)


def _identity(reducer: str, terms: Values, numbers: Arithmetic) -> Values:
    """What a reduction over nothing is, and what a skipped term counts as."""
    whole = terms.dtype.kind in "ib"
    if reducer in ("sum", "prod"):
        unit = int(reducer == "prod")
        return np.asarray(unit) if whole else numbers.convert(unit)
    sign = -1 if reducer == "max" else 1
    return np.asarray(sign * (2**63 - 1)) if whole else numbers.convert(sign * np.inf)


def _reduce(reducer: str, terms: Values, numbers: Arithmetic) -> Values:
    """Reduce the last axis. Sums of float64 are NumPy's pairwise ones; a max takes the first of equal terms."""
    if reducer == "sum":
        return np.asarray(np.sum(terms, axis=-1))
    if reducer == "prod":
        return np.asarray(np.prod(terms, axis=-1))
    if terms.shape[-1] == 0:
        return np.broadcast_to(_identity(reducer, terms, numbers), terms.shape[:-1])
    if terms.dtype != object:  # NumPy's argmax and argmin take the first of equal terms, and NaN before all
        order = numbers.order(terms)
        best = np.argmax(order, -1) if reducer == "max" else np.argmin(order, -1)
        return np.asarray(np.take_along_axis(terms, best[..., None], -1)[..., 0])
    extreme = np.asarray(terms[..., 0])
    for n in range(1, terms.shape[-1]):
        extreme = choose(extreme, np.asarray(terms[..., n]), reducer == "max", numbers)
    return extreme

"""What the functions that build ops for their arguments share: checks, and names of axes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from graphnn.declare.network import Tensor
from graphnn.declare.notation import axis_symbol
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.late import sympy as sp

Axes = int | Iterable[int] | None


def numbered_axes(count: int) -> tuple[sp.Symbol, ...]:
    """i0, i1, ...: axis names that no symbolic size can have."""
    return tuple(axis_symbol(f"i{n}") for n in range(count))


def check_tensors(op: str, *values: Any) -> None:
    """Raise GraphError unless every value is a Tensor."""
    for number, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise GraphError(f"{op}: operand {number} is a Tensor of a network, not {type(value).__name__}")


def check_dtype(op: str, operand: str, tensor: Tensor, dtype: str) -> None:
    """Raise DTypeError unless the operand has the dtype."""
    if tensor.dtype != dtype:
        raise DTypeError(f"{op}: operand '{operand}' ('{tensor.name}') must be {dtype}, not {tensor.dtype}")


def as_int(op: str, what: str, value: Any) -> int:
    """An int from anything that counts as one; bools do not."""
    try:
        number = operator.index(value)  # an array has __index__, too, and refuses here
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise GraphError(f"{op}: {what} is an int, not {' '.join(repr(value).split()):.40}")
    return number


def as_axis(op: str, axis: Any, ndim: int, shape: Sequence[Any]) -> int:
    """The axis counted from the front; ShapeError where a tensor of `ndim` dimensions has no such axis."""
    number = as_int(op, "axis", axis)
    if not -ndim <= number < ndim:
        raise ShapeError(f"{op}: axis {number} is out of range for {ndim} dimensions (shape {tuple(shape)})")
    return number % ndim


def as_axes(op: str, axis: Axes, tensor: Tensor) -> tuple[int, ...]:
    """The axes in ascending order, each once; all of them for None."""
    if axis is None:
        return tuple(range(tensor.ndim))
    given = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    found = sorted(as_axis(op, a, tensor.ndim, tensor.shape) for a in given)
    if len(set(found)) < len(found):
        raise ShapeError(f"{op}: an axis is given twice in axis={given} (shape {tensor.shape})")
    return tuple(found)

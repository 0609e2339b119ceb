"""slice, gather, one_hot, concatenate and stack: which element is read where."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

from graphnn.declare.definition import DTYPES
from graphnn.declare.extents import Dims
from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.declare.sizes import as_exprs
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import as_axis, as_int, check_dtype, check_tensors, numbered_axes

X, TABLE, INDICES = Operand("x"), Operand("table"), Operand("indices", integer=True)


def slice(x: Tensor, index: Any, name: str | None = None) -> Tensor:
    """Basic indexing, as `x[index]`: ints, slices, `...` and None, alone or in a tuple.

    Along a symbolic extent nothing is clipped: ShapeError unless the bounds lie within it for every size, as they
    do in x[1:] or x[::-1]. ShapeError also for too many indices, GraphError for an index that is an array or Tensor.
    """
    check_tensors("slice", x)
    items = tuple(map(_plain, _expand(x, index)))
    shown = {"index": ", ".join(map(_text, items))}
    return Op("slice", functools.partial(_sliced, x.shape, items), ["x"], shown=shown)(x, name=name)


def _sliced(shape: Dims, items: tuple[Any, ...]) -> Formula:
    """The formula for an x of this shape and an index with an item per dimension, beside Nones."""
    out, extents, read = [], {}, []
    axes = iter(numbered_axes(len(items)))
    dims = iter(as_exprs(shape))
    for item in items:
        if isinstance(item, builtins.slice):
            start, step, count = _range(item, next(dims))
            axis = next(axes)
            read.append(start + step * axis)
        elif item is not None:
            read.append(_from_end(item, next(dims)))
            continue
        else:
            axis, count = next(axes), sp.S.One
        out.append(axis)
        extents[axis] = count
    return written(out, X[tuple(read)], extents)


def _plain(item: Any) -> Any:
    """An item of ints alone."""
    if isinstance(item, builtins.slice):
        parts = zip(("a bound", "a bound", "a step"), (item.start, item.stop, item.step), strict=True)
        return builtins.slice(*(None if part is None else as_int("slice", what, part) for what, part in parts))
    return None if item is None else as_int("slice", "an index", item)


def _expand(x: Tensor, index: Any) -> list[Any]:
    """The index with one item per dimension of x, beside the Nones."""
    items = list(index) if isinstance(index, tuple) else [index]
    if bad := [i for i in items if not (i is None or isinstance(i, EllipsisType | builtins.slice | int) or _whole(i))]:
        raise GraphError(f"slice: an index is an int, a slice, ... or None, not {type(bad[0]).__name__}; see gn.gather")
    places = [n for n, item in enumerate(items) if isinstance(item, EllipsisType)]
    if len(places) > 1:
        raise GraphError("slice: an index has at most one `...`")
    missing = x.ndim - (len(items) - len(places) - items.count(None))
    if missing < 0:
        raise ShapeError(f"slice: {x.ndim - missing} indices for '{x.name}', which has shape {x.shape}")
    place = places[0] if places else len(items)
    return [*items[:place], *[builtins.slice(None)] * missing, *items[place + 1 :]]


def _whole(value: Any) -> bool:
    return hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0


def _range(item: builtins.slice, dim: sp.Expr) -> tuple[sp.Expr, int, sp.Expr]:
    """Start, step and number of elements."""
    step = 1 if item.step is None else item.step
    if step == 0:
        raise GraphError("slice: the step of a slice is not 0")
    if dim.is_Integer:
        chosen = range(*item.indices(int(dim)))
        return sp.Integer(chosen.start), step, sp.Integer(len(chosen))
    first, last = (sp.S.Zero, dim) if step > 0 else (dim - 1, sp.S.NegativeOne)
    start = first if item.start is None else _from_end(item.start, dim)
    stop = last if item.stop is None else _from_end(item.stop, dim)
    count = sp.ceiling((stop - start) / sp.Integer(step))
    return start, step, sp.S.Zero if count.is_negative else count


def _from_end(index: int, dim: sp.Expr) -> sp.Expr:
    return sp.Integer(index) if index >= 0 else dim + index


def _text(item: Any) -> str:
    if not isinstance(item, builtins.slice):
        return str(item)
    start, stop, step = ("" if part is None else str(part) for part in (item.start, item.stop, item.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


@functools.cache
def _gather(ndim: int, table_ndim: int) -> Op:
    return Op("gather", functools.partial(_gathered, ndim, table_ndim), ["table", "indices"])


def _gathered(ndim: int, table_ndim: int) -> Formula:
    axes = numbered_axes(ndim + table_ndim - 1)
    return written(axes, TABLE[(INDICES[axes[:ndim]], *axes[ndim:])])


def gather(table: Tensor, indices: Tensor, name: str | None = None) -> Tensor:
    """table[indices]: rows of `table`, of shape indices.shape + table.shape[1:] (an embedding).

    `indices` is int64 of any rank (DTypeError); values are checked to lie in the table when a program is called.
    ShapeError where the table is a scalar.
    """
    check_tensors("gather", table, indices)
    if table.ndim == 0:
        raise ShapeError(f"gather: the table '{table.name}' is a scalar")
    return _gather(indices.ndim, table.ndim)(table, indices, name=name)


@functools.cache
def _one_hot(ndim: int, depth: int, dtype: str) -> Op:
    shown = {"depth": depth, "dtype": dtype}
    return Op("one_hot", functools.partial(_marked, ndim, depth), ["indices"], dtype=dtype, shown=shown)


def _marked(ndim: int, depth: int) -> Formula:
    *axes, last = numbered_axes(ndim + 1)
    body = sp.Piecewise((1, sp.Eq(last, INDICES[tuple(axes)])), (0, True))
    return written((*axes, last), body, {last: depth})


def one_hot(labels: Tensor, depth: int, dtype: str = "float32", name: str | None = None) -> Tensor:
    """1 where the last axis, of extent `depth`, equals the label, else 0; shape labels.shape + (depth,).

    A label outside of 0 ... depth-1 gives a row of zeros. DTypeError unless the labels are int64.
    """
    check_tensors("one_hot", labels)
    check_dtype("one_hot", "labels", labels, "int64")
    if dtype not in DTYPES:
        raise DTypeError(f"one_hot: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    size = as_int("one_hot", "depth", depth)
    if size < 0:
        raise ShapeError(f"one_hot: depth is nonnegative, not {size}")
    return _one_hot(labels.ndim, size, dtype)(labels, name=name)


@functools.cache
def _concatenate(count: int, ndim: int, axis: int) -> Op:
    names = [f"x{n}" for n in range(count)]
    return Op("concatenate", functools.partial(_joined, count, ndim, axis), names, shown={"axis": axis})


def _joined(count: int, ndim: int, axis: int) -> Formula:
    index = numbered_axes(ndim)
    along, ends = index[axis], [sp.S.Zero]
    parts: list[tuple[sp.Expr, sp.Basic]] = []
    for operand in (Operand(f"x{n}") for n in range(count)):
        start, end = ends[-1], ends[-1] + operand.shape[axis]
        entry = operand[(*index[:axis], along - start, *index[axis + 1 :])]
        parts.append((entry, along < end if len(parts) < count - 1 else sp.true))
        ends.append(end)
    return written(index, sp.Piecewise(*parts), {along: ends[-1]})


def concatenate(tensors: Sequence[Tensor], axis: int = 0, name: str | None = None) -> Tensor:
    """The tensors one after the other along `axis`; their other extents agree (ShapeError)."""
    first = _first("concatenate", tensors)
    number = as_axis("concatenate", axis, first.ndim, first.shape)
    return _concatenate(len(tensors), first.ndim, number)(*tensors, name=name)


@functools.cache
def _stack(count: int, ndim: int, axis: int) -> Op:
    names = [f"x{n}" for n in range(count)]
    return Op("stack", functools.partial(_stacked, count, ndim, axis), names, shown={"axis": axis})


def _stacked(count: int, ndim: int, axis: int) -> Formula:
    out = numbered_axes(ndim + 1)
    along, index = out[axis], (*out[:axis], *out[axis + 1 :])
    parts = [(Operand(f"x{n}")[index], sp.Eq(along, n)) for n in range(count)]
    return written(out, sp.Piecewise(*parts[:-1], (parts[-1][0], True)), {along: count})


def stack(tensors: Sequence[Tensor], axis: int = 0, name: str | None = None) -> Tensor:
    """The tensors, of one shape (ShapeError), along a new axis."""
    first = _first("stack", tensors)
    number = as_axis("stack", axis, first.ndim + 1, first.shape)
    return _stack(len(tensors), first.ndim, number)(*tensors, name=name)


def _first(op: str, tensors: Sequence[Tensor]) -> Tensor:
    if isinstance(tensors, Tensor) or not tensors:
        raise GraphError(f"{op} takes a nonempty sequence of Tensors")
    check_tensors(op, *tensors)
    return tensors[0]


register("slice", slice)
register("gather", gather)
register("one_hot", one_hot)
register("concatenate", concatenate)
register("stack", stack)

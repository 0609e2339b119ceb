"""slice, gather, one_hot, concatenate and stack: which element is read where."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import sympy as sp

from graphnn.declare.definition import DTYPES
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.ops.arguments import as_axis, as_int, check_dtype, check_tensors, numbered_axes

X, TABLE, INDICES = Operand("x"), Operand("table"), Operand("indices", integer=True)


def slice(x: Tensor, index: Any, name: str | None = None) -> Tensor:
    """Basic indexing, as `x[index]`: ints, slices, `...` and None, alone or in a tuple.

    Along a symbolic extent nothing is clipped: ShapeError unless the bounds lie within it for every size, as they
    do in x[1:] or x[::-1]. ShapeError also for too many indices, GraphError for an index that is an array or Tensor.
    """
    check_tensors("slice", x)
    out, extents, read = [], {}, []
    items = _expand(x, index)
    axes = iter(numbered_axes(len(items)))
    dims = iter(x.shape_exprs)
    for item in items:
        if isinstance(item, builtins.slice):
            start, step, count = _range(item, next(dims))
            axis = next(axes)
            read.append(start + step * axis)
        elif item is not None:
            read.append(_from_end(as_int("slice", "an index", item), next(dims)))
            continue
        else:
            axis, count = next(axes), sp.S.One
        out.append(axis)
        extents[axis] = count
    shown = {"index": ", ".join(map(_text, items))}
    return Op("slice", out, X[tuple(read)], extents, operand_order=["x"], shown=shown)(x, name=name)


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
    step = 1 if item.step is None else as_int("slice", "a step", item.step)
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
    axes = numbered_axes(ndim + table_ndim - 1)
    body = TABLE[(INDICES[axes[:ndim]], *axes[ndim:])]
    return Op("gather", axes, body, operand_order=["table", "indices"])


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
    *axes, last = numbered_axes(ndim + 1)
    body = sp.Piecewise((1, sp.Eq(last, INDICES[tuple(axes)])), (0, True))
    shown = {"depth": depth, "dtype": dtype}
    return Op("one_hot", (*axes, last), body, {last: depth}, operand_order=["indices"], dtype=dtype, shown=shown)


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
    index = numbered_axes(ndim)
    along, ends = index[axis], [sp.S.Zero]
    parts: list[tuple[sp.Expr, sp.Basic]] = []
    names = [f"x{n}" for n in range(count)]
    for operand in map(Operand, names):
        start, end = ends[-1], ends[-1] + operand.shape[axis]
        entry = operand[(*index[:axis], along - start, *index[axis + 1 :])]
        parts.append((entry, along < end if len(parts) < count - 1 else sp.true))
        ends.append(end)
    body = sp.Piecewise(*parts)
    return Op("concatenate", index, body, {along: ends[-1]}, operand_order=names, shown={"axis": axis})


def concatenate(tensors: Sequence[Tensor], axis: int = 0, name: str | None = None) -> Tensor:
    """The tensors one after the other along `axis`; their other extents agree (ShapeError)."""
    first = _first("concatenate", tensors)
    number = as_axis("concatenate", axis, first.ndim, first.shape)
    return _concatenate(len(tensors), first.ndim, number)(*tensors, name=name)


@functools.cache
def _stack(count: int, ndim: int, axis: int) -> Op:
    out = numbered_axes(ndim + 1)
    along, index = out[axis], (*out[:axis], *out[axis + 1 :])
    names = [f"x{n}" for n in range(count)]
    parts = [(Operand(name)[index], sp.Eq(along, n)) for n, name in enumerate(names)]
    body = sp.Piecewise(*parts[:-1], (parts[-1][0], True))
    return Op("stack", out, body, {along: count}, operand_order=names, shown={"axis": axis})


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

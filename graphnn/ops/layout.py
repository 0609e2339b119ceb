"""reshape and transpose: the same elements under another index."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import sympy as sp

from graphnn.declare.network import Dim, Network, Tensor
from graphnn.declare.notation import Operand, size_symbol
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.declare.whole import floor_of, remainder_of
from graphnn.errors import GraphError, ShapeError
from graphnn.ops.arguments import as_axis, as_int, check_tensors, numbered_axes

Extents = tuple[sp.Expr, ...]
X = Operand("x")


@functools.cache
def _transpose(axes: tuple[int, ...]) -> Op:
    out = numbered_axes(len(axes))
    index = [out[axes.index(dimension)] for dimension in range(len(axes))]
    return Op("transpose", out, X[tuple(index)], operand_order=["x"], shown={"axes": list(axes)})


def transpose(x: Tensor, axes: Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """The axes in the order `axes`, reversed for None. ShapeError unless `axes` names each axis of x once."""
    check_tensors("transpose", x)
    given = range(x.ndim)[::-1] if axes is None else axes
    order = tuple(as_axis("transpose", axis, x.ndim, x.shape) for axis in given)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes={tuple(given)} does not name each axis of '{x.name}' (shape {x.shape}) once")
    return _transpose(order)(x, name=name)


def reshape(x: Tensor, shape: Dim | Sequence[Dim], name: str | None = None) -> Tensor:
    """The same elements in row-major order under a new shape.

    An extent is an int, the name of a size, a product of those ("N*T"), an entry of some Tensor.shape of the
    network, or -1 once, which is inferred. ShapeError where the numbers of elements differ.
    """
    check_tensors("reshape", x)
    entries = [shape] if isinstance(shape, str) or not isinstance(shape, Sequence) else shape
    target = _infer(x, tuple(_extent(x.network, entry) for entry in entries))
    out = numbered_axes(len(target))
    index = _row_major(x.shape_exprs, target, out)
    shown = {"shape": [int(d) if d.is_Integer else str(d) for d in target]}
    extents = dict(zip(out, target, strict=True))
    return Op("reshape", out, X[index], extents, operand_order=["x"], shown=shown)(x, name=name)


def _extent(network: Network, entry: Dim) -> sp.Expr:
    """An extent as sympy reads it; text is looked up or split at `*`, never evaluated."""
    if not isinstance(entry, str):
        number = as_int("reshape", "an extent", entry)
        if number < -1:
            raise ShapeError(f"reshape: an extent is nonnegative, or -1 to infer it, not {number}")
        return sp.Integer(number)
    for _, dims in network.made.nodes(data="shape"):
        for dim in dims:
            if str(dim) == entry:
                return dim
    factors = [factor.strip() for factor in entry.split("*")]
    return math.prod((sp.Integer(f) if f.isdecimal() else size_symbol(f) for f in factors), start=sp.S.One)


def _infer(x: Tensor, target: Extents) -> Extents:
    """The target with -1 replaced, checked to hold as many elements as x."""
    unknown = [n for n, dim in enumerate(target) if dim == -1]
    if len(unknown) > 1:
        raise GraphError(f"reshape: only one extent can be -1, got {_text(target)}")
    count = math.prod(x.shape_exprs, start=sp.S.One)
    known = math.prod((dim for dim in target if dim != -1), start=sp.S.One)
    if unknown and known != 0:
        ratio = sp.cancel(count / known)
        if sp.fraction(ratio)[1] == 1:
            return tuple(ratio if dim == -1 else dim for dim in target)
    elif not unknown and sp.expand(count - known) == 0:
        return target
    raise ShapeError(
        f"reshape: '{x.name}' of shape {_text(x.shape_exprs)} has {count} elements, which do not fill {_text(target)}"
        + (f": {count} is no multiple of {known}" if unknown else f" with its {known} elements")
    )


def _row_major(source: Extents, target: Extents, out: tuple[sp.Symbol, ...]) -> Extents:
    """For each source dimension its index in terms of the target's axes.

    Runs of dimensions with the same product are re-indexed by themselves, so that (N, 3, 4) -> (N, 12) reads N by
    a bare axis and needs no division there. Extents of 1 are read at 0.
    """
    if 0 in source:
        return (sp.S.Zero,) * len(source)
    index = dict.fromkeys(range(len(source)), sp.S.Zero)
    left = [n for n, dim in enumerate(source) if dim != 1]
    right = [n for n, dim in enumerate(target) if dim != 1]
    while left:
        taken, given = _shortest_run([source[n] for n in left], [target[n] for n in right])
        flat, stride = sp.S.Zero, sp.S.One
        for n in reversed(right[:given]):
            flat, stride = flat + stride * out[n], stride * target[n]
        stride = sp.S.One
        for n in reversed(left[:taken]):
            quotient = floor_of(flat / stride)
            index[n] = quotient if n == left[0] else remainder_of(quotient, source[n])
            stride *= source[n]
        left, right = left[taken:], right[given:]
    return tuple(index[n] for n in range(len(source)))


def _shortest_run(left: Sequence[sp.Expr], right: Sequence[sp.Expr]) -> tuple[int, int]:
    """How many leading extents of each have one product, the fewest possible."""
    products = [math.prod(right[:given], start=sp.S.One) for given in range(1, len(right) + 1)]
    for taken in range(1, len(left) + 1):
        product = math.prod(left[:taken], start=sp.S.One)
        for given, other in enumerate(products, 1):
            if sp.expand(product - other) == 0:
                return taken, given
    return len(left), len(right)


def _text(extents: Extents) -> str:
    return "(" + ", ".join(map(str, extents)) + ")"


register("reshape", reshape)
register("transpose", transpose)

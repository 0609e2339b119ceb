"""reshape and transpose: the same elements under another index."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence

from graphnn.declare.extents import Dim, Dims
from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.declare.sizes import as_dims, as_exprs
from graphnn.errors import GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import as_axis, as_int, check_tensors, numbered_axes

Extents = tuple["sp.Expr", ...]
X = Operand("x")


@functools.cache
def _transpose(axes: tuple[int, ...]) -> Op:
    return Op("transpose", functools.partial(_transposed, axes), ["x"], shown={"axes": list(axes)})


def _transposed(axes: tuple[int, ...]) -> Formula:
    out = numbered_axes(len(axes))
    index = [out[axes.index(dimension)] for dimension in range(len(axes))]
    return written(out, X[tuple(index)])


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
    formula = functools.partial(_reread, x.shape, target)
    return Op("reshape", formula, ["x"], shown={"shape": [*target]})(x, name=name)


def _reread(shape: Dims, target: Dims) -> Formula:
    out, extents = numbered_axes(len(target)), as_exprs(target)
    return written(out, X[_row_major(as_exprs(shape), extents, out)], dict(zip(out, extents, strict=True)))


def _extent(network: Network, entry: Dim) -> Dim:
    """An extent by its number, name or expression; text is looked up or split at `*`, never evaluated."""
    if not isinstance(entry, str):
        number = as_int("reshape", "an extent", entry)
        if number < -1:
            raise ShapeError(f"reshape: an extent is nonnegative, or -1 to infer it, not {number}")
        return number
    for _, dims in network.made.nodes(data="shape"):
        for dim in dims:
            if str(dim) == entry:
                found: Dim = dim
                return found
    factors = [factor.strip() for factor in entry.split("*")]
    return as_dims([math.prod(as_exprs(int(f) if f.isdecimal() else f for f in factors), start=sp.S.One)])[0]


def _infer(x: Tensor, target: Dims) -> Dims:
    """The target with -1 replaced, checked to hold as many elements as x."""
    unknown = [n for n, dim in enumerate(target) if dim == -1]
    if len(unknown) > 1:
        raise GraphError(f"reshape: only one extent can be -1, got {_text(target)}")
    given = [dim for dim in target if dim != -1]
    found = _quotient(x.shape, given)
    if found is not None and (unknown or found == 1):
        return tuple(found if dim == -1 else dim for dim in target)
    count, known = (math.prod(as_exprs(dims), start=sp.S.One) for dims in (x.shape, given))
    if unknown and known != 0:
        ratio = sp.cancel(count / known)
        if sp.fraction(ratio)[1] == 1:
            return tuple(as_dims([ratio])[0] if dim == -1 else dim for dim in target)
    elif not unknown and sp.expand(count - known) == 0:
        return target
    raise ShapeError(
        f"reshape: '{x.name}' of shape {_text(x.shape)} has {count} elements, which do not fill {_text(target)}"
        + (f": {count} is no multiple of {known}" if unknown else f" with its {known} elements")
    )


def _quotient(above: Sequence[Dim], below: Sequence[Dim]) -> int | None:
    """The product of `above` over that of `below`, if that is an int without any algebra."""
    numbers = [math.prod(dim for dim in dims if isinstance(dim, int)) for dims in (above, below)]
    same = Counter(d for d in above if isinstance(d, str)) == Counter(d for d in below if isinstance(d, str))
    return numbers[0] // numbers[1] if same and numbers[1] and numbers[0] % numbers[1] == 0 else None


def _row_major(source: Extents, target: Extents, out: tuple[sp.Symbol, ...]) -> Extents:
    """For each source dimension its index in terms of the target's axes.

    Runs of dimensions with the same product are re-indexed by themselves, so that (N, 3, 4) -> (N, 12) reads N by
    a bare axis and needs no division there. Extents of 1 are read at 0.
    """
    from graphnn.declare.whole import floor_of, remainder_of  # where formulas are

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


def _text(extents: Dims) -> str:
    return "(" + ", ".join(map(str, extents)) + ")"


register("reshape", reshape)
register("transpose", transpose)

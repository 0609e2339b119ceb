"""Reductions over axes, and the softmax family.

`axis` is None (all axes), an int or several, negative from the end; `keepdims=True` leaves extents of 1. A sum
over nothing is 0 and a product 1. ShapeError: an axis that the operand lacks; a mean, max or min over an extent of 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Max, Min, Operand, Prod, Sum, axis_symbol
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.errors import ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import Axes, as_axes, as_axis, check_tensors, numbered_axes
from graphnn.ops.elementwise import log
from graphnn.ops.layout import reshape

Symbols = tuple["sp.Symbol", ...]
Element = Callable[["sp.Expr", Symbols, "sp.Expr"], "sp.Expr"]  # of (element, reduced axes, their number of elements)
X = Operand("x")


def over(reducer: Callable[..., sp.Expr], body: sp.Expr, axes: Symbols) -> sp.Expr:
    """The reduction as written, or the body itself where no axis is reduced."""
    return reducer(body, *axes) if axes else body


@functools.cache
def _build(op: str, element: Element, ndim: int, *, axes: tuple[int, ...], keepdims: bool, dtype: str | None) -> Op:
    shown = {"axis": list(axes), "keepdims": keepdims}
    return Op(op, functools.partial(_reduced, element, ndim, axes, keepdims), ["x"], dtype=dtype, shown=shown)


def _reduced(element: Element, ndim: int, axes: tuple[int, ...], keepdims: bool) -> Formula:
    index = numbered_axes(ndim)
    ones = {a: axis_symbol(f"i{ndim + a}") for a in axes} if keepdims else {}
    out = [ones.get(a, i) for a, i in enumerate(index) if keepdims or a not in axes]
    count = math.prod((X.shape[a] for a in axes), start=sp.S.One)
    return written(out, element(X[index], tuple(index[a] for a in axes), count), dict.fromkeys(ones.values(), 1))


def _check_nonempty(op: str, x: Tensor, axes: tuple[int, ...]) -> None:
    if empty := [a for a in axes if x.shape[a] == 0]:
        raise ShapeError(f"{op} over nothing: axis {empty[0]} of '{x.name}' has extent 0 (shape {x.shape})")


def _reduction(op: str, element: Element, nonempty: bool = False, dtype: str | None = None) -> Callable[..., Tensor]:
    """Register a reduction given by the formula of one output element."""

    def reduce(x: Tensor, axis: Axes = None, keepdims: bool = False, name: str | None = None) -> Tensor:
        check_tensors(op, x)
        axes = as_axes(op, axis, x)
        if nonempty:
            _check_nonempty(op, x, axes)
        return _build(op, element, x.ndim, axes=axes, keepdims=bool(keepdims), dtype=dtype)(x, name=name)

    reduce.__name__ = reduce.__qualname__ = op
    reduce.__doc__ = f"The {op} of x over `axis`; arguments and errors are those of {__name__}."
    return register(op, reduce)


# fmt: off
sum       = _reduction("sum",       lambda x, axes, count: over(Sum, x, axes))
mean      = _reduction("mean",      lambda x, axes, count: over(Sum, x, axes) / count, nonempty=True, dtype="float")
prod      = _reduction("prod",      lambda x, axes, count: over(Prod, x, axes))
max       = _reduction("max",       lambda x, axes, count: over(Max, x, axes), nonempty=True)
min       = _reduction("min",       lambda x, axes, count: over(Min, x, axes), nonempty=True)
logsumexp = _reduction("logsumexp", lambda x, axes, count: sp.log(over(Sum, sp.exp(x), axes)), dtype="float")
# fmt: on


def _first_maximum(x: sp.Expr, axes: Symbols, count: sp.Expr) -> sp.Expr:
    other = axis_symbol("r0")
    largest = Max(x.xreplace({axes[0]: other}), other)
    # The last index where nothing equals the maximum, which only NaN does: the result always is a valid index.
    return Min(sp.Piecewise((axes[0], sp.Eq(x, largest)), (count - 1, True)), axes[0])


def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The index of the first largest element along `axis` (int64); of the flattened x where axis is None.

    Raises ShapeError for an axis that x lacks or whose extent is 0, and for keepdims=True without an axis.
    """
    check_tensors("argmax", x)
    if axis is None:
        if keepdims:
            raise ShapeError("argmax: keepdims=True needs an axis")
        _check_nonempty("argmax", x, tuple(range(x.ndim)))
        with x.network.composing("argmax", name) as final:
            flat = reshape(x, (-1,), name=x.network.fresh_name(f"{final}.flat"))
            return argmax(flat, axis=0, name=final)
    number = as_axis("argmax", axis, x.ndim, x.shape)
    _check_nonempty("argmax", x, (number,))
    return _build("argmax", _first_maximum, x.ndim, axes=(number,), keepdims=bool(keepdims), dtype="int64")(
        x, name=name
    )


@functools.cache
def _softmax(ndim: int, axis: int) -> Op:
    return Op("softmax", functools.partial(_shares, ndim, axis), ["x"], dtype="float", shown={"axis": axis})


def _shares(ndim: int, axis: int) -> Formula:
    index = numbered_axes(ndim)
    x, other = sp.exp(X[index]), axis_symbol("r0")
    return written(index, x / Sum(x.xreplace({index[axis]: other}), other))


def softmax(x: Tensor, axis: int = -1, name: str | None = None) -> Tensor:
    """exp(x) over its sum along `axis`; the shape of x, a float. The compiler shifts it against overflow.

    Raises ShapeError for an axis that x lacks.
    """
    check_tensors("softmax", x)
    return _softmax(x.ndim, as_axis("softmax", axis, x.ndim, x.shape))(x, name=name)


def log_softmax(x: Tensor, axis: int = -1, name: str | None = None) -> Tensor:
    """log(softmax(x)); the shape of x, a float. The compiler makes a shifted x - logsumexp(x) of it.

    Raises ShapeError for an axis that x lacks.
    """
    check_tensors("log_softmax", x)
    with x.network.composing("log_softmax", name) as final:
        return log(softmax(x, axis, name=x.network.fresh_name(f"{final}.softmax")), name=final)


register("argmax", argmax)
register("softmax", softmax)
register("log_softmax", log_softmax)

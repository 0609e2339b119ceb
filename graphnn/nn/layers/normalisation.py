"""Layer norm, RMS norm and local response normalisation: each one formula, with learned gains where it has any."""

from __future__ import annotations

import functools
import math
from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand, Sum, axis_symbol, guard
from graphnn.declare.op import Op
from graphnn.errors import DTypeError, ShapeError
from graphnn.late import sympy as sp
from graphnn.nn.arguments import NONNEGATIVE, POSITIVE, check_count, check_number
from graphnn.ops.arguments import Axes, as_axes, as_axis, check_tensors, numbered_axes

X, GAMMA, BETA = Operand("x"), Operand("gamma"), Operand("beta")


@functools.cache
def _normalise(op: str, ndim: int, axes: tuple[int, ...], centred: bool, scale: bool, shift: bool) -> Op:
    """(x - mean)/sqrt(mean of (x - mean)^2 + eps)*gamma + beta, the means being over `axes`; 0 for the inner means."""
    operands = ["x", *(["gamma"] if scale else []), *(["beta"] if shift else [])]
    formula = functools.partial(_normalised, ndim, axes, centred, scale, shift)
    return Op(op, formula, operands, {"eps": 0}, dtype="float", shown={"axis": list(axes)})


def _normalised(ndim: int, axes: tuple[int, ...], centred: bool, scale: bool, shift: bool) -> Formula:
    index = numbered_axes(ndim)

    def mean(element: sp.Expr, prefix: str) -> sp.Expr:
        other = {index[a]: axis_symbol(f"{prefix}{a}") for a in axes}
        count = math.prod((X.shape[a] for a in axes), start=sp.S.One)
        return Sum(element.xreplace(other), *other.values()) / count

    x = X[index] - mean(X[index], "m") if centred else X[index]
    body = x / sp.sqrt(mean(x**2, "v") + sp.Symbol("eps", real=True))
    own = tuple(index[a] for a in axes)
    body = body * GAMMA[own] if scale else body
    body = body + BETA[own] if shift else body
    return written(index, body)


def _norm(
    op: str, x: Tensor, axis: Axes, eps: float, centred: bool, scale: bool, shift: bool, name: str | None
) -> Tensor:
    _check_float(op, x)
    axes = as_axes(op, axis, x)
    eps = check_number(f"{op}: eps", eps, NONNEGATIVE)
    extents = [e for a in axes if isinstance(e := x.shape[a], int) and e > 0]
    if not axes or len(extents) < len(axes):
        raise ShapeError(
            f"{op}: '{x.name}' has shape {x.shape}; the extents of the axes {axes} that it is normalised over are "
            "those of the gains and must be ints of at least 1"
        )
    network = x.network
    with network.composing(op, name) as final:
        operands = [x]
        for wanted, suffix, first in ((scale, "gamma", 1.0), (shift, "beta", 0.0)):
            if wanted:
                operands.append(network.parameter(f"{final}.{suffix}", extents, init=first, dtype=x.dtype, role="bias"))
        formula: Any = _normalise(op, x.ndim, axes, centred, bool(scale), bool(shift))
        result: Tensor = formula(*operands, eps=eps, name=final)
        return result


def layer_norm(
    x: Tensor, axis: Axes = -1, eps: float = 1e-5, scale: bool = True, shift: bool = True, name: str | None = None
) -> Tensor:
    """(x - mean)/sqrt(variance + eps)*gamma + beta, with mean and variance of each example over `axis`.

    The variance is that of the axis' elements, sum (x - mean)^2/n. `axis` is an int, several, or None for all. Shapes:
    x and the result (..., K), parameters {name}.gamma (from 1, unless scale=False) and {name}.beta (from 0, unless
    shift=False) the extents of `axis`, all of x's dtype. Both have the role "bias": an L2 penalty leaves them alone.

    Raises ShapeError where x lacks the axis, or its extent there is symbolic or 0, DTypeError where x is no float,
    GraphError for a negative eps. An error leaves the network as it was. Source: Ba, Kiros and Hinton 2016.
    """
    return _norm("layer_norm", x, axis, eps, True, scale, shift, name)


def rms_norm(x: Tensor, axis: Axes = -1, eps: float = 1e-5, scale: bool = True, name: str | None = None) -> Tensor:
    """x/sqrt(mean of x^2 + eps)*gamma: layer_norm that does not centre, and has no shift.

    Arguments, shapes and errors are those of layer_norm; {name}.gamma starts at 1 and has the role "bias".
    Source: Zhang and Sennrich 2019.
    """
    return _norm("rms_norm", x, axis, eps, False, scale, False, name)


@functools.cache
def _local_response(ndim: int, axis: int, size: int) -> Op:
    formula = functools.partial(_by_neighbours, ndim, axis, size)
    constants = {"alpha": 0, "beta": 0, "k": 0}
    return Op("local_response_norm", formula, ["x"], constants, shown={"size": size, "axis": axis})


def _by_neighbours(ndim: int, axis: int, size: int) -> Formula:
    index = numbered_axes(ndim)
    near = axis_symbol("d0")
    alpha, exponent, offset = sp.symbols("alpha beta k", real=True)
    neighbour = guard(X[(*index[:axis], index[axis] + near - size // 2, *index[axis + 1 :])])
    body = X[index] / (offset + alpha * Sum(neighbour**2, near)) ** exponent
    return written(index, body, {near: size})


def local_response_norm(
    x: Tensor,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    axis: int = 1,
    name: str | None = None,
) -> Tensor:
    """x/(k + alpha*sum of x^2)^beta, where the sum is over `size` adjacent channels, x's own in their middle.

    Windows are cut off at the first and the last channel. An even `size` has one channel more before than after.
    `alpha` is not divided by `size`. Shapes: x and the result (N, C, ...), with channels on `axis`; a float. No
    parameters.

    Raises GraphError for a size below 1, alpha below 0, k not above 0, ShapeError where x lacks the axis, DTypeError
    where x is no float. Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3, whose constants are the defaults.
    """
    _check_float("local_response_norm", x)
    count = check_count("local_response_norm: size", size, 1)
    constants = {
        "alpha": check_number("local_response_norm: alpha", alpha, NONNEGATIVE),
        "beta": check_number("local_response_norm: beta", beta),
        "k": check_number("local_response_norm: k", k, POSITIVE),
    }
    formula: Any = _local_response(x.ndim, as_axis("local_response_norm", axis, x.ndim, x.shape), count)
    result: Tensor = formula(x, **constants, name=name)
    return result


def _check_float(op: str, x: Tensor) -> None:
    check_tensors(op, x)
    if x.dtype not in FLOATS:
        raise DTypeError(f"{op}: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")

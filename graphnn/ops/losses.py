"""Losses: a term per example, and its mean or sum over the examples.

Every loss takes reduction="mean" | "sum" | "none"; "none" gives the terms. Results are floats of the operands'
dtype. ShapeError where the operands' extents differ, or for a mean over no examples. GraphError for another reduction.
The target is operand 1 (slot 1) of the node that reads it.

`weights` is a Tensor of factors, one to each index of the leading axes of the examples that it has: (N,) for rows,
(N, D) for elements of (N, D). A mean divides the weighted sum by the number of examples and not by the sum of the
weights, so that the loss of a batch is an unbiased estimate of the whole one's. ShapeError where the weights' shape is
not that of leading axes, DTypeError where they have another dtype than the prediction.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand, Sum
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.errors import GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import check_dtype, check_tensors, numbered_axes
from graphnn.ops.elementwise import sigmoid
from graphnn.ops.reduction import over, softmax

Reduction = Literal["mean", "sum", "none"]
Term = Callable[["sp.Expr", "sp.Expr"], "sp.Expr"]  # of one element of the prediction and one of the target

P, Y, LABELS, WEIGHTS = Operand("p"), Operand("y"), Operand("y", integer=True), Operand("weights")


@functools.cache
def _build(
    loss: str,
    term: Term,
    *,
    ndim: int,
    examples: int,
    labels: bool,
    weighted: int,
    reduction: Reduction,
    distribution: bool,
) -> Op:
    """The loss over tensors whose first `examples` axes number the examples; the others are summed within one.

    The first `weighted` of them number the weights.
    """
    shown = {"reduction": reduction} | ({"distribution": True} if distribution else {})
    operands = ["p", "y"] + (["weights"] if weighted else [])
    formula = functools.partial(_loss, term, ndim, examples, labels, weighted, reduction)
    return Op(loss, formula, operands, dtype="float", shown=shown)


def _loss(term: Term, ndim: int, examples: int, labels: bool, weighted: int, reduction: Reduction) -> Formula:
    index = numbered_axes(ndim)
    outer, inner = index[:examples], index[examples:]
    if labels:
        element, inner = term(P[(*outer, LABELS[outer])], sp.S.One), ()
    else:
        element = term(P[index], Y[index])
    if weighted:
        element *= WEIGHTS[index[:weighted]]
    none = reduction == "none"
    body = over(Sum, element, inner if none else (*outer, *inner))
    if reduction == "mean":
        body /= math.prod((P.shape[n] for n in range(examples)), start=sp.S.One)
    return written(outer if none else (), body)


def _apply(
    loss: str,
    term: Term,
    p: Tensor,
    y: Tensor,
    weights: Tensor | None,
    *,
    examples: int,
    reduction: Reduction,
    name: str | None,
    labels: bool = False,
    distribution: bool = False,
) -> Tensor:
    if reduction not in ("mean", "sum", "none"):
        raise GraphError(f"{loss}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    if y.shape != (p.shape[:examples] if labels else p.shape):
        raise ShapeError(f"{loss}: operand 0 ('{p.name}') has shape {p.shape}, operand 1 ('{y.name}') {y.shape}")
    if reduction == "mean" and 0 in p.shape[:examples]:
        raise ShapeError(f"{loss}: a mean over no examples ('{p.name}' has shape {p.shape})")
    if weights is not None:
        check_tensors(f"{loss}: weights=", weights)
        check_dtype(loss, "weights", weights, p.dtype)
        if not 0 < weights.ndim <= examples or weights.shape != p.shape[: weights.ndim]:
            raise ShapeError(
                f"{loss}: the weights ('{weights.name}') have shape {weights.shape}; examples are numbered by "
                f"{p.shape[:examples]}, and weights by these axes or the leading ones of them"
            )
    op = _build(
        loss,
        term,
        ndim=p.ndim,
        examples=examples,
        labels=labels,
        weighted=0 if weights is None else weights.ndim,
        reduction=reduction,
        distribution=distribution,
    )
    return op(p, y, *([] if weights is None else [weights]), name=name)


def _elementwise_loss(loss: str, summary: str, term: Term, default: Reduction = "mean") -> Callable[..., Tensor]:
    """Register a loss whose every element is an example."""

    def apply(
        p: Tensor,
        y: Tensor,
        weights: Tensor | None = None,
        reduction: Reduction = default,
        name: str | None = None,
    ) -> Tensor:
        check_tensors(loss, p, y)
        return _apply(loss, term, p, y, weights, examples=p.ndim, reduction=reduction, name=name)

    apply.__name__ = apply.__qualname__ = loss
    apply.__doc__ = f"{summary}\n\nArguments and errors are those of {__name__}; every element is an example."
    return register(loss, apply)


mean_squared_error = _elementwise_loss(
    "mean_squared_error", "(p - y)^2, for p and y of one shape.", lambda p, y: (p - y) ** 2
)
sum_of_squares = _elementwise_loss(
    "sum_of_squares", "(p - y)^2, summed unless told otherwise.", lambda p, y: (p - y) ** 2, default="sum"
)
l1 = _elementwise_loss("l1", "|p - y|, for p and y of one shape.", lambda p, y: sp.Abs(p - y))
hinge = _elementwise_loss(
    "hinge", "max(0, 1 - y s) for scores s and targets y of -1 and 1.", lambda s, y: sp.Max(0, 1 - y * s)
)
binary_cross_entropy = _elementwise_loss(
    "binary_cross_entropy",
    "-(y log p + (1 - y) log(1 - p)) for probabilities p and targets y in [0, 1].",
    lambda p, y: -(y * sp.log(p) + (1 - y) * sp.log(1 - p)),
)


def sigmoid_cross_entropy(
    z: Tensor, y: Tensor, weights: Tensor | None = None, reduction: Reduction = "mean", name: str | None = None
) -> Tensor:
    """binary_cross_entropy(sigmoid(z), y), for logits z; the compiler makes softplus(z) - y z of a term."""
    check_tensors("sigmoid_cross_entropy", z, y)
    with z.network.composing("sigmoid_cross_entropy", name) as final:
        p = sigmoid(z, name=z.network.fresh_name(f"{final}.sigmoid"))
        return binary_cross_entropy(p, y, weights, reduction, name=final)


def _half_square(a: sp.Expr, y: sp.Expr) -> sp.Expr:
    return (a - y) ** 2 / 2


def quadratic(
    a: Tensor, y: Tensor, weights: Tensor | None = None, reduction: Reduction = "mean", name: str | None = None
) -> Tensor:
    """1/(2n) sum |y - a|^2, where n is the leading extent and an example is all that has one leading index.

    ShapeError also for scalars, which have no leading extent.
    """
    check_tensors("quadratic", a, y)
    if a.ndim == 0:
        raise ShapeError(f"quadratic: operand 0 ('{a.name}') is a scalar; examples are numbered by the leading axis")
    return _apply("quadratic", _half_square, a, y, weights, examples=1, reduction=reduction, name=name)


def _minus_log(p: sp.Expr, y: sp.Expr) -> sp.Expr:
    return -y * sp.log(p)


def cross_entropy(
    p: Tensor,
    y: Tensor,
    weights: Tensor | None = None,
    distribution: bool = False,
    reduction: Reduction = "mean",
    name: str | None = None,
) -> Tensor:
    """-log p[n, y[n]] for labels y, -sum_c y[n, c] log p[n, c] for rows of weights; a row of p is an example.

    p has shape (..., C) and y shape (...), then it is int64 (DTypeError), or (..., C). `distribution=True` promises
    that each row of weights sums to 1; the nodes of this op carry it as the attribute "distribution".
    ShapeError also where p is a scalar.
    """
    check_tensors("cross_entropy", p, y)
    if p.ndim == 0:
        raise ShapeError(f"cross_entropy: operand 0 ('{p.name}') is a scalar; its last axis numbers the classes")
    labels = y.ndim < p.ndim
    promised = distribution and not labels
    return _apply(
        "cross_entropy",
        _minus_log,
        p,
        y,
        weights,
        examples=p.ndim - 1,
        reduction=reduction,
        name=name,
        labels=labels,
        distribution=promised,
    )


def softmax_cross_entropy(
    z: Tensor,
    y: Tensor,
    weights: Tensor | None = None,
    distribution: bool = False,
    reduction: Reduction = "mean",
    name: str | None = None,
) -> Tensor:
    """cross_entropy(softmax(z), y), for logits z; the compiler makes logsumexp(z) - z[y] of a term."""
    check_tensors("softmax_cross_entropy", z, y)
    with z.network.composing("softmax_cross_entropy", name) as final:
        p = softmax(z, name=z.network.fresh_name(f"{final}.softmax"))
        return cross_entropy(p, y, weights, distribution, reduction, name=final)


register("sigmoid_cross_entropy", sigmoid_cross_entropy)
register("quadratic", quadratic)
register("cross_entropy", cross_entropy)
register("softmax_cross_entropy", softmax_cross_entropy)

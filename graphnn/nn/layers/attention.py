"""Scaled dot-product attention, with one head and with several (Vaswani et al. 2017)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

from graphnn.declare.definition import FLOATS
from graphnn.declare.formula import Formula, written
from graphnn.declare.initializer import Glorot
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Operand, Sum, indices
from graphnn.declare.op import Op
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.late import sympy as sp
from graphnn.nn.arguments import check_count
from graphnn.ops.arguments import check_dtype, check_tensors
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import add, multiply
from graphnn.ops.layout import reshape, transpose
from graphnn.ops.reduction import softmax

Mask = Tensor | Literal["causal"] | None

S, MASK = Operand("s"), Operand("mask", integer=True)


def _softmax_where(kept: Callable[[sp.Symbol, sp.Symbol], sp.Basic]) -> Formula:
    """The softmax over those j of row i that are kept, and 0 elsewhere: what exp(-inf) would give, and smooth."""
    i, j, m = indices("i j m")
    body = sp.Piecewise((sp.exp(S[..., i, j]) / Sum(sp.exp(S[..., i, m]), m, where=kept(i, m)), kept(i, j)), (0, True))
    return written((..., i, j), body)


def _earlier(i: sp.Symbol, j: sp.Symbol) -> sp.Basic:
    return j <= i


def _allowed(i: sp.Symbol, j: sp.Symbol) -> sp.Basic:
    return sp.Ne(MASK[..., i, j], 0)


CAUSAL = Op("masked_softmax", functools.partial(_softmax_where, _earlier), ["s"], dtype="float")
MASKED = Op("masked_softmax", functools.partial(_softmax_where, _allowed), ["s", "mask"], dtype="float")


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None, name: str | None = None) -> Tensor:
    """softmax(q k^T/sqrt(D)) v: for each query the mean of the values, weighted by how well their keys match it.

    Shapes: q (..., T, D), k (..., S, D), v (..., S, V), result (..., T, V), of one float dtype; `...` broadcasts.
    `mask` is a bool Tensor (..., T, S), true where a query may look, or "causal": query i sees the keys 0 ... i, and S
    is T. A query that may look nowhere gives 0. Nodes: {name}.scores, {name}.weights (..., T, S).

    Raises ShapeError for operands that do not fit or a symbolic D, DTypeError for those that are no floats of one dtype
    and a mask that is not bool, GraphError for another mask. An error leaves the network as it was.
    """
    check_tensors("attention", q, k, v)
    for label, operand in (("q", q), ("k", k), ("v", v)):
        if operand.dtype not in FLOATS or operand.dtype != q.dtype:
            raise DTypeError(
                f"attention: operand '{label}' ('{operand.name}') is {operand.dtype}, 'q' ('{q.name}') is {q.dtype}; "
                "they must be float32 or float64, and alike"
            )
        if operand.ndim < 2:
            raise ShapeError(
                f"attention: operand '{label}' ('{operand.name}') has shape {operand.shape}; it needs two axes, of "
                "positions and of features"
            )
    width, (positions, keys) = q.shape[-1], (q.shape[-2], k.shape[-2])
    if not isinstance(width, int) or width < 1 or width != k.shape[-1]:
        raise ShapeError(
            f"attention: '{q.name}' has shape {q.shape} and '{k.name}' {k.shape}; their last extents must be one int"
        )
    if keys != v.shape[-2]:
        raise ShapeError(
            f"attention: '{k.name}' has shape {k.shape} and '{v.name}' {v.shape}; there must be as many keys as values"
        )
    if isinstance(mask, Tensor):
        check_dtype("attention", "mask", mask, "bool")
    elif mask is not None and not (isinstance(mask, str) and mask == "causal"):
        raise GraphError(f"attention: mask is a bool Tensor, 'causal' or None, not {' '.join(repr(mask).split()):.40}")
    elif mask is not None and positions != keys:
        raise ShapeError(f"attention: a causal mask pairs each query with a key, but there are {positions} and {keys}")
    with q.network.composing("attention", name) as final:
        fresh = q.network.fresh_name
        turned = transpose(k, (*range(k.ndim - 2), k.ndim - 1, k.ndim - 2), name=fresh(f"{final}.kT"))
        product = matmul(q, turned, name=fresh(f"{final}.qk"))
        scores = multiply(product, 1 / math.sqrt(width), name=fresh(f"{final}.scores"))
        weights = _weights(scores, mask, fresh(f"{final}.weights"))
        return matmul(weights, v, name=final)


def _weights(scores: Tensor, mask: Mask, name: str) -> Tensor:
    if isinstance(mask, Tensor):
        return MASKED(scores, mask, name=name)
    return softmax(scores, name=name) if mask is None else CAUSAL(scores, name=name)


def multi_head_attention(
    x: Tensor,
    heads: int,
    causal: bool = False,
    mask: Tensor | None = None,
    init: Any = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """Self-attention with several heads: attention of `heads` projections of x side by side, projected back.

    Head h attends with columns h*D/heads ... of x Wq + bq, x Wk + bk and x Wv + bv; the heads' results, put side by
    side again, are multiplied by Wo, and bo added. Shapes: x and the result (..., T, D), {name}.Wq, {name}.Wk,
    {name}.Wv, {name}.Wo (D, D), {name}.bq ... {name}.bo (D,) unless bias=False, all of x's dtype; `mask` as for
    attention, and broadcast to (..., heads, T, T). Weights start as Glorot's unless `init` is given, biases at 0. Node
    {name}.heads.weights holds what each head looks at.

    Raises GraphError for heads below 1, or both a mask and causal=True, ShapeError where `heads` does not divide D, D
    is symbolic or x has fewer than two axes, DTypeError where x is no float. An error leaves the network as it was.
    """
    check_tensors("multi_head_attention", x)
    heads = check_count("multi_head_attention: heads", heads, 1)
    if x.dtype not in FLOATS:
        raise DTypeError(f"multi_head_attention: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")
    if causal and mask is not None:
        raise GraphError("multi_head_attention: give a mask or causal=True, not both; a mask can be causal")
    width = x.shape[-1] if x.ndim else None
    if x.ndim < 2 or not isinstance(width, int) or width < 1 or width % heads:
        raise ShapeError(
            f"multi_head_attention: '{x.name}' has shape {x.shape}; it needs axes of positions and features, and the "
            f"number of features must be an int that {heads} heads divide"
        )
    network = x.network
    with network.composing("multi_head_attention", name) as final:

        def project(operand: Tensor, part: str, label: str) -> Tensor:
            weights = network.parameter(
                f"{final}.W{part}", (width, width), init=Glorot() if init is None else init, dtype=x.dtype
            )
            if not bias:
                return matmul(operand, weights, name=label)
            product = matmul(operand, weights, name=network.fresh_name(f"{label}.xW"))
            return add(product, network.parameter(f"{final}.b{part}", (width,), dtype=x.dtype, role="bias"), name=label)

        split = (*x.shape[:-1], heads, width // heads)
        swapped = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2, x.ndim)  # ..., T, heads, d <-> ..., heads, T, d
        parts = []
        for part in "qkv":
            projected = project(x, part, f"{final}.{part}")
            by_head = reshape(projected, split, name=f"{final}.{part}.split")
            parts.append(transpose(by_head, swapped, name=f"{final}.{part}.heads"))
        q, k, v = parts
        attended = attention(q, k, v, "causal" if causal else mask, name=f"{final}.heads")
        together = reshape(transpose(attended, swapped, name=f"{final}.turned"), x.shape, name=f"{final}.joined")
        return project(together, "o", final)

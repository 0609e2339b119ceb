"""matmul: a sum of products over one shared axis."""

from __future__ import annotations

import functools

from graphnn.declare.formula import Formula, written
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Sum, indices, operands
from graphnn.declare.op import Op
from graphnn.declare.registry import register
from graphnn.errors import ShapeError
from graphnn.ops.arguments import check_tensors

A, B = operands("a b")


@functools.cache
def _matmul(row: bool, column: bool) -> Op:
    """The op by whether a is a vector, and whether b is."""
    return Op("matmul", functools.partial(_product, row, column), ["a", "b"])


def _product(row: bool, column: bool) -> Formula:
    i, j, k = indices("i j k")
    left = A[k] if row else A[..., i, k]
    right = B[k] if column else B[..., k, j]
    batch = () if row and column else (...,)
    return written((*batch, *([] if row else [i]), *([] if column else [j])), Sum(left * right, k))


def matmul(a: Tensor, b: Tensor, name: str | None = None) -> Tensor:
    """The matrix product, as numpy.matmul: (..., I, K) by (..., K, J) gives (..., I, J), where `...` broadcasts.

    A 1-D `a` is a row and a 1-D `b` a column, whose axis the result lacks. ShapeError where the K differ, the
    leading dimensions do not broadcast, or an operand is a scalar.
    """
    check_tensors("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: operands have at least one dimension, got shapes {a.shape} and {b.shape}")
    return _matmul(a.ndim == 1, b.ndim == 1)(a, b, name=name)


register("matmul", matmul)

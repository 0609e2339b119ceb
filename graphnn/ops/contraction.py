"""matmul: a sum of products over one shared axis."""

from __future__ import annotations

from typing import Any

from graphnn.declare.network import Tensor
from graphnn.declare.notation import Sum, indices, operands
from graphnn.declare.op import op
from graphnn.declare.registry import register
from graphnn.errors import ShapeError
from graphnn.ops.arguments import check_tensors

i, j, k = indices("i j k")
A, B = operands("a b")

# By whether a and b are vectors.
_MATMUL = {
    (False, False): op("matmul", (..., i, j), Sum(A[..., i, k] * B[..., k, j], k)),
    (True, False): op("matmul", (..., j), Sum(A[k] * B[..., k, j], k)),
    (False, True): op("matmul", (..., i), Sum(A[..., i, k] * B[k], k)),
    (True, True): op("matmul", (), Sum(A[k] * B[k], k)),
}


def matmul(a: Tensor, b: Tensor, name: str | None = None) -> Tensor:
    """The matrix product, as numpy.matmul: (..., I, K) by (..., K, J) gives (..., I, J), where `...` broadcasts.

    A 1-D `a` is a row and a 1-D `b` a column, whose axis the result lacks. ShapeError where the K differ, the
    leading dimensions do not broadcast, or an operand is a scalar.
    """
    check_tensors("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: operands have at least one dimension, got shapes {a.shape} and {b.shape}")
    product: Any = _MATMUL[a.ndim == 1, b.ndim == 1]
    tensor: Tensor = product(a, b, name=name)
    return tensor


register("matmul", matmul)

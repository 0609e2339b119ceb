"""Throwaway ops of the tests in this folder, written as a user would."""

import sympy

from graphnn.declare.network import Network
from graphnn.declare.notation import Max, Prod, Sum, guard, indices, operands
from graphnn.declare.op import elementwise, op

i, j, k = indices("i j k")
A, B, X, W, E = operands("A B X W E")
token = operands("token", integer=["token"])

matmul = op("matmul", out=(i, j), body=Sum(A[i, k] * B[k, j], k))
swish = elementwise("swish", lambda t: t / (1 + sympy.exp(-t)))
leaky = elementwise("leaky", lambda t, slope=0.1: sympy.Piecewise((t, t > 0), (slope * t, True)))
plus = elementwise("plus", lambda a, b: a + b)
safe_log = elementwise("safe_log", lambda t: sympy.Piecewise((sympy.log(t), t > 0), (0, True)))
correlate = op(
    "correlate",
    out=(i,),
    body=Sum(X[2 * i + 2 * k] * W[k], k),
    extents={i: sympy.floor((X.shape[0] - 2 * W.shape[0] + 1) / 2) + 1},
)
padded = op("padded", out=(i,), body=Sum(guard(X[i + k - 1]) * W[k], k), extents={i: X.shape[0]})
pool = op("pool", out=(i,), body=Max(guard(X[i + k - 1]), k), extents={i: X.shape[0], k: 3})
softmax = op("softmax", out=(..., i), body=sympy.exp(X[..., i]) / Sum(sympy.exp(X[..., j]), j))
gather = op("gather", out=(i, j), body=E[token[i], j], integer=["token"])
product = op("product", out=(i,), body=Prod(X[i, j], j))
largest = op("largest", out=(i,), body=Max(X[i, j], j))


def network_of(**shapes):
    """A network with an input of each shape, float64 unless (shape, dtype) is given, and these inputs."""
    network = Network("sample")
    inputs = []
    for name, given in shapes.items():
        shape, dtype = given if len(given) == 2 and isinstance(given[0], tuple) else (given, "float64")
        inputs.append(network.input(name, shape, dtype))
    return network, *inputs

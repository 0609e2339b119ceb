"""Activations of hidden units beyond sigmoid, tanh and relu: one formula each, smooth or in pieces.

elu                  Clevert, Unterthiner and Hochreiter (2016), arXiv:1511.07289
selu                 Klambauer, Unterthiner, Mayr and Hochreiter (2017), arXiv:1706.02515
gelu, silu           Hendrycks and Gimpel (2016), arXiv:1606.08415; silu is also called swish
mish                 Misra (2019), arXiv:1908.08681
softsign             Bergstra, Desjardins, Lamblin and Bengio (2009), technical report 1337, Montreal
hard_sigmoid, relu6  Howard et al. (2019), arXiv:1905.02244; the hard sigmoid is relu6(x + 3)/6

All are pointwise, of floats (an integer gives float32) and of any shape; `name=` names the node.
"""

from __future__ import annotations

from typing import Any

from graphnn.declare.network import Tensor
from graphnn.declare.op import Op
from graphnn.declare.op import library_elementwise as define
from graphnn.declare.primitives import expm1
from graphnn.declare.registry import register
from graphnn.errors import GraphError
from graphnn.late import sympy as sp
from graphnn.ops.elementwise import identity

# The fixed point of mean 0 and variance 1, section 2 of the paper.
SELU_SCALE = "1.0507009873554805"
SELU_ALPHA = "1.6732632423543773"
GELU_CUBIC = "0.044715"


def _define(name: str, function: Any) -> Op:
    return register(name, define(name, function, "float"))


def _exponential_unit(x: sp.Expr, alpha: Any) -> sp.Expr:
    """x above zero, alpha (e^x - 1) below."""
    return sp.Piecewise((x, x > 0), (alpha * expm1(x), True))


def _scaled_unit(x: sp.Expr) -> sp.Expr:
    return sp.Rational(SELU_SCALE) * _exponential_unit(x, sp.Rational(SELU_ALPHA))


def _bent(x: sp.Expr) -> sp.Expr:
    return x + sp.Rational(GELU_CUBIC) * x**3


def _between(x: sp.Expr, low: int, high: int, value: sp.Expr, top: int) -> sp.Expr:
    """0 up to `low`, `top` from `high` on, `value` between; NaN stays NaN."""
    return sp.Piecewise((0, x <= low), (top, x >= high), (value, True))


# fmt: off
elu          = _define("elu",          lambda x, alpha=1: _exponential_unit(x, alpha))
selu         = _define("selu",         _scaled_unit)
silu         = _define("silu",         lambda x: x / (1 + sp.exp(-x)))
mish         = _define("mish",         lambda x: x * sp.tanh(sp.log(1 + sp.exp(x))))
softsign     = _define("softsign",     lambda x: x / (1 + sp.Abs(x)))
relu6        = _define("relu6",        lambda x: _between(x, 0, 6, x, 6))
hard_sigmoid = _define("hard_sigmoid", lambda x: _between(x, -3, 3, (x + 3) / 6, 1))

_GELU = {
    False: define("gelu", lambda x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2, "float"),
    True:  define("gelu", lambda x: x * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * _bent(x))) / 2, "float"),
}
# fmt: on

swish = register("swish", silu)
linear = register("linear", identity)


def gelu(x: Tensor, approximate: bool = False, name: str | None = None) -> Tensor:
    """x times the probability that a standard normal variable is below x: x (1 + erf(x/sqrt 2))/2.

    `approximate=True` is the form with tanh, off by up to 5e-4. GraphError where it is no bool or x no Tensor.
    """
    if not isinstance(approximate, bool):
        raise GraphError(f"gelu: approximate is True (the tanh form) or False, not {approximate!r:.40}")
    return _GELU[approximate](x, name=name)


register("gelu", gelu)

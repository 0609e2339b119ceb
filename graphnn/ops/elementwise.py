"""Pointwise ops. Operands broadcast as in NumPy, numbers become constants of the formula, `name=` names the node.

Comparisons give bool; functions that leave the integers give a float for integers (float32). Operands of
two float dtypes raise DTypeError, shapes that do not broadcast ShapeError.
"""

# ruff: noqa: PLW0108 (a lambda names the operands by its parameters)

from __future__ import annotations

from typing import Any

from graphnn.declare import primitives
from graphnn.declare.network import Tensor
from graphnn.declare.op import Op
from graphnn.declare.op import library_elementwise as define
from graphnn.declare.registry import register
from graphnn.late import sympy as sp
from graphnn.ops.arguments import check_dtype


def _define(name: str, function: Any, dtype: str | None = None) -> Op:
    return register(name, define(name, function, dtype))


# fmt: off
identity   = _define("identity",   lambda x: x)
negative   = _define("negative",   lambda x: -x)
abs        = _define("abs",        lambda x: sp.Abs(x))
square     = _define("square",     lambda x: x**2)
sqrt       = _define("sqrt",       lambda x: sp.sqrt(x),                                            "float")
rsqrt      = _define("rsqrt",      lambda x: 1 / sp.sqrt(x),                                        "float")
exp        = _define("exp",        lambda x: sp.exp(x),                                             "float")
expm1      = _define("expm1",      lambda x: primitives.expm1(x),                                   "float")
log        = _define("log",        lambda x: sp.log(x),                                             "float")
log1p      = _define("log1p",      lambda x: primitives.log1p(x),                                   "float")
sin        = _define("sin",        lambda x: sp.sin(x),                                             "float")
cos        = _define("cos",        lambda x: sp.cos(x),                                             "float")
erf        = _define("erf",        lambda x: sp.erf(x),                                             "float")
sigmoid    = _define("sigmoid",    lambda x: 1 / (1 + sp.exp(-x)),                                  "float")
tanh       = _define("tanh",       lambda x: (sp.exp(x) - sp.exp(-x)) / (sp.exp(x) + sp.exp(-x)),   "float")
softplus   = _define("softplus",   lambda x: sp.log(1 + sp.exp(x)),                                 "float")
relu       = _define("relu",       lambda x: sp.Max(0, x))
leaky_relu = _define("leaky_relu", lambda x, alpha=0.01: sp.Piecewise((x, x > 0), (alpha * x, True)), "float")
step       = _define("step",       lambda x: sp.Piecewise((1, x > 0), (0, True)),                   "float")
clip       = _define("clip",       lambda x, low, high: sp.Min(sp.Max(x, low), high))
generalised_logistic = _define("generalised_logistic", lambda x, A, B: 1 / (1 + A * sp.exp(B * x)), "float")

add        = _define("add",        lambda a, b: a + b)
subtract   = _define("subtract",   lambda a, b: a - b)
multiply   = _define("multiply",   lambda a, b: a * b)
divide     = _define("divide",     lambda a, b: a / b,                                              "float")
power      = _define("power",      lambda x, exponent: x**exponent)
maximum    = _define("maximum",    lambda a, b: sp.Max(a, b))
minimum    = _define("minimum",    lambda a, b: sp.Min(a, b))

equal         = _define("equal",         lambda a, b: sp.Eq(a, b))
not_equal     = _define("not_equal",     lambda a, b: sp.Ne(a, b))
less          = _define("less",          lambda a, b: a < b)
less_equal    = _define("less_equal",    lambda a, b: a <= b)
greater       = _define("greater",       lambda a, b: a > b)
greater_equal = _define("greater_equal", lambda a, b: a >= b)
# fmt: on

_where = define("where", lambda condition, a, b: sp.Piecewise((a, sp.Ne(condition, 0)), (b, True)))


def where(condition: Tensor, a: Any, b: Any, name: str | None = None) -> Tensor:
    """a where the condition holds, else b; all three broadcast, a and b may be numbers.

    The branch that is not taken has no influence, on the gradient neither. DTypeError unless `condition` is bool.
    """
    if isinstance(condition, Tensor):
        check_dtype("where", "condition", condition, "bool")
    return _where(condition, a, b, name=name)


register("where", where)

"""The scalar functions on NumPy scalars (floats) and Python ints and bools, one operation at a time."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from graphnn.simplify.expr import DType

NUMPY: dict[DType, Any] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "int64": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
}
# How the interpreter holds a value of each dtype, and the cast to it.
PYTHON: dict[DType, Callable[[Any], Any]] = {
    "float32": np.float32,
    "float64": np.float64,
    "int64": int,
    "bool": bool,
}


def scalar_function(fn: str, dtype: DType) -> Callable[..., Any]:
    """The function `fn` whose result has `dtype`; `select` excepted, which does not evaluate all its arguments."""
    if fn == "cast":
        return PYTHON[dtype]
    return fused(dtype) if fn == "fma" else FUNCTIONS[fn]


def fused(dtype: DType) -> Callable[[Any, Any, Any], Any]:
    """a*b + c: through float64 for float32, plainly for float64."""
    if dtype == "float64":
        return lambda a, b, c: a * b + c
    return lambda a, b, c: np.float32(float(a) * float(b) + float(c))


def _maximum(a: Any, b: Any) -> Any:
    return a if a > b or a != a else b  # noqa: PLR0124 (a NaN is what differs from itself)


def _minimum(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b  # noqa: PLR0124


def _sigmoid(x: Any) -> Any:
    """1/(1 + exp(-x)) for x >= 0, exp(x)/(1 + exp(x)) below: the exponential never overflows."""
    e, one = np.exp(-abs(x)), type(x)(1)
    return (one if x >= 0 else e) / (one + e)


def _through(function: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function of a float64, for both float dtypes."""
    return lambda x: type(x)(function(x))


def _threefry(key: int, counter: int) -> int:
    """Threefry-2x32-20 on Python ints, the low half of each being the first word."""
    word, turns = 2**32 - 1, (13, 15, 26, 6, 17, 29, 16, 24)
    keys = [key & word, key >> 32 & word]
    keys.append(0x1BD11BDA ^ keys[0] ^ keys[1])
    a, b = (counter + keys[0]) & word, ((counter >> 32) + keys[1]) & word
    for done in range(1, 21):
        a = (a + b) & word
        b = (b << turns[(done - 1) % 8] | b >> 32 - turns[(done - 1) % 8]) & word ^ a
        if done % 4 == 0:
            a = (a + keys[done // 4 % 3]) & word
            b = (b + keys[(done // 4 + 1) % 3] + done // 4) & word
    return (a | b << 32) - (b >> 31 << 64)


# fmt: off
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add,            "sub": operator.sub,
    "mul": operator.mul,            "div": operator.truediv,
    "neg": operator.neg,            "abs": abs,
    "floordiv": operator.floordiv,  "mod": operator.mod,
    "pow": np.power,                "sqrt": np.sqrt,
    "exp": np.exp,                  "log": np.log,
    "expm1": np.expm1,              "log1p": np.log1p,
    "tanh": np.tanh,                "sigmoid": _sigmoid,
    "sin": np.sin,                  "cos": np.cos,
    "erf": _through(math.erf),      "erfc": _through(math.erfc),
    "sign": np.sign,
    "max": _maximum,                "min": _minimum,
    "lt": operator.lt,              "le": operator.le,
    "eq": operator.eq,              "ne": operator.ne,
    "and": lambda a, b: a and b,    "or": lambda a, b: a or b,
    "not": operator.not_,           "threefry": _threefry,
}
# fmt: on

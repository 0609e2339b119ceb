"""Oracle rows of the activations beyond sigmoid, tanh and relu."""

import math
from typing import Any

import numpy as np
from mpmath import mp

from tests.oracle_rows.elementwise import mp_sigmoid, mp_softplus, sigmoid, softplus, unary
from tests.oracle_rows.record import Array, Attributes

SCALE, ALPHA = 1.0507009873554805, 1.6732632423543773  # of selu
CUBIC = 0.044715


def elu(x: Array, alpha: float = 1) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_slope(x: Array, alpha: float = 1) -> Array:
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def mp_elu(x: Any, alpha: float = 1) -> Any:
    return x if x > 0 else alpha * mp.expm1(x)


def mp_elu_slope(x: Any, alpha: float = 1) -> Any:
    return mp.mpf(1) if x > 0 else alpha * mp.exp(x)


def silu_slope(x: Array) -> Array:
    return sigmoid(x) * (1 + x * sigmoid(-x))


def mp_silu_slope(x: Any) -> Any:
    return mp_sigmoid(x) * (1 + x * mp_sigmoid(-x))


def mish_slope(x: Array) -> Array:
    return np.tanh(softplus(x)) + x * sigmoid(x) * (1 - np.tanh(softplus(x)) ** 2)


def mp_mish_slope(x: Any) -> Any:
    return mp.tanh(mp_softplus(x)) + x * mp_sigmoid(x) * mp.sech(mp_softplus(x)) ** 2


def normal_cdf(x: Array) -> Array:
    """P(Z < x) of a standard normal variable."""
    return np.vectorize(lambda a: math.erfc(-a / math.sqrt(2)) / 2, otypes=[float])(x)


def normal_pdf(x: Array) -> Array:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def inner(x: Any) -> Any:
    """The argument of tanh in the second form of gelu, without its factor sqrt(2/pi)."""
    return x + CUBIC * x**3


def gelu(x: Array, approximate: bool = False) -> Array:
    factor = math.sqrt(2 / math.pi)
    return x * (sigmoid(2 * factor * inner(x)) if approximate else normal_cdf(x))


def gelu_slope(x: Array, approximate: bool = False) -> Array:
    if not approximate:
        return normal_cdf(x) + x * normal_pdf(x)
    factor = math.sqrt(2 / math.pi)
    y = sigmoid(2 * factor * inner(x))
    return y + x * y * sigmoid(-2 * factor * inner(x)) * 2 * factor * (1 + 3 * CUBIC * x * x)


def mp_gelu(x: Any, approximate: bool = False) -> Any:
    if approximate:
        return x * mp_sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))  # (1 + tanh(u))/2 cancels
    return x * mp.ncdf(x)


def mp_gelu_slope(x: Any, approximate: bool = False) -> Any:
    if not approximate:
        return mp.ncdf(x) + x * mp.npdf(x)
    factor, cubic = mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
    u = factor * (x + cubic * x**3)
    return mp_sigmoid(2 * u) + x * mp.sech(u) ** 2 * factor * (1 + 3 * cubic * x * x) / 2


ELU: tuple[Attributes, ...] = ({}, {"alpha": 0.5})
GELU: tuple[Attributes, ...] = ({}, {"approximate": True})

# fmt: off
ACTIVATIONS = [
    # Name and sampled interval; value and derivative in NumPy; the same for mpmath scalars.
    unary("elu",  -4, 4, elu, elu_slope, mp_elu, mp_elu_slope, corners=(0,), attributes=ELU),
    unary("selu", -4, 4, lambda x: SCALE * elu(x, ALPHA),    lambda x: SCALE * elu_slope(x, ALPHA),
                         lambda x: SCALE * mp_elu(x, ALPHA), lambda x: SCALE * mp_elu_slope(x, ALPHA), corners=(0,)),
    unary("gelu", -6, 6, gelu, gelu_slope, mp_gelu, mp_gelu_slope, attributes=GELU),
    *(unary(name, -6, 6, lambda x: x * sigmoid(x),    silu_slope,
                         lambda x: x * mp_sigmoid(x), mp_silu_slope) for name in ("silu", "swish")),
    unary("mish", -6, 6, lambda x: x * np.tanh(softplus(x)),    mish_slope,
                         lambda x: x * mp.tanh(mp_softplus(x)), mp_mish_slope),
    unary("softsign", -4, 4, lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2,
                             lambda x: x / (1 + abs(x)),    lambda x: 1 / (1 + abs(x)) ** 2),
    unary("relu6", -3, 9, lambda x: np.clip(x, 0, 6),              lambda x: (x > 0) & (x < 6),
                          lambda x: min(max(x, mp.mpf(0)), mp.mpf(6)), lambda x: mp.mpf(0 < x < 6), corners=(0, 6)),
    unary("hard_sigmoid", -5, 5, lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: ((x > -3) & (x < 3)) / 6,
          lambda x: min(max(x + 3, mp.mpf(0)), mp.mpf(6)) / 6,       lambda x: mp.mpf(-3 < x < 3) / 6, corners=(-3, 3)),
    unary("linear", -3, 3, lambda x: x, np.ones_like, lambda x: x, lambda x: mp.mpf(1)),
]
# fmt: on

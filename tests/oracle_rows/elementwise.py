"""Oracle rows of elementwise ops: sigmoid to where, and those without a gradient."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mpmath import mp

from tests.oracle_rows.record import (
    Array,
    Attributes,
    Case,
    Formula,
    Oracle,
    Sample,
    away,
    cases,
    normal,
    pairs,
    unbroadcast,
)


def elementwise(
    name: str,
    sample: Sample,
    forward: Formula,
    partials: Sequence[Formula],
    mp_forward: Formula,
    mp_gradient: Sequence[Formula],
    kinks: Formula | None = None,
) -> Oracle:
    """An op of broadcast operands, given by its partial derivatives."""

    def pullback(g: Array, *args: Array, **attributes: Any) -> list[Array]:
        return [unbroadcast(g * d(*args, **attributes), np.shape(x)) for x, d in zip(args, partials, strict=False)]

    return Oracle(name, sample, forward, pullback, mp_forward, tuple(mp_gradient), kinks)


def unary(
    name: str,
    low: float,
    high: float,
    forward: Formula,
    partial: Formula,
    mp_forward: Formula,
    mp_partial: Formula,
    corners: tuple[float, ...] = (),
    attributes: tuple[Attributes, ...] = ({},),
) -> Oracle:
    """An op of one operand, sampled in (low, high) away from its corners."""

    def sample(rng: np.random.Generator) -> list[Case]:
        return [
            ((away(np.asarray(rng.uniform(low, high, shape)), corners),), chosen)
            for shape in [(2, 3), (7,), ()]
            for chosen in attributes
        ]

    def kinks(x: Array, **_: Any) -> Array:
        return np.asarray(np.abs(np.subtract.outer(x, corners)).min(axis=-1))

    return elementwise(name, sample, forward, [partial], mp_forward, [mp_partial], kinks if corners else None)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), by e^-|x| so that nothing overflows."""
    t = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, t) / (1 + t))


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def mp_softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def power_by_exponent(x: Array, exponent: Array) -> Array:
    """x^p log x, and 0 where x <= 0: there only a constant exponent is meaningful."""
    return np.where(x > 0, np.power(x, exponent) * np.log(np.where(x > 0, x, 1)), 0)


def power_cases(rng: np.random.Generator) -> list[Case]:
    positive = rng.uniform(0.4, 3, (2, 3))
    signed = np.array([1, -1, 1, -1, -1]) * rng.uniform(0.4, 3, 5)
    constant: list[Case] = [((positive,), {"exponent": p}) for p in (2.5, 0.5, -1.5)]
    integer: list[Case] = [((signed,), {"exponent": p}) for p in (3, 2, 1, -1)]
    return [*constant, *integer, ((positive, normal(rng, 3)), {})]


GENERALISED: tuple[Attributes, ...] = ({"A": 1.0, "B": -1.0}, {"A": 0.5, "B": 2.0})
LEAKY: tuple[Attributes, ...] = ({}, {"alpha": 0.2})
CLIP: tuple[Attributes, ...] = ({"low": -1.0, "high": 0.5},)

# fmt: off
UNARY = [
    # Name and sampled interval; value and derivative in NumPy; the same for mpmath scalars.
    unary("identity", -3, 3, lambda x: x,                np.ones_like,
                             lambda x: x,                lambda x: mp.mpf(1)),
    unary("negative", -3, 3, lambda x: -x,               lambda x: -np.ones_like(x),
                             lambda x: -x,               lambda x: mp.mpf(-1)),
    unary("square",   -3, 3, lambda x: x * x,            lambda x: 2 * x,
                             lambda x: x * x,            lambda x: 2 * x),
    unary("exp",      -3, 3, np.exp,                     np.exp,
                             mp.exp,                     mp.exp),
    unary("expm1",    -3, 3, np.expm1,                   np.exp,
                             mp.expm1,                   mp.exp),
    unary("log",     0.2, 4, np.log,                     lambda x: 1 / x,
                             mp.log,                     lambda x: 1 / x),
    unary("log1p",  -0.8, 4, np.log1p,                   lambda x: 1 / (1 + x),
                             mp.log1p,                   lambda x: 1 / (1 + x)),
    unary("sqrt",    0.2, 4, np.sqrt,                    lambda x: 0.5 / np.sqrt(x),
                             mp.sqrt,                    lambda x: 1 / (2 * mp.sqrt(x))),
    unary("rsqrt",   0.2, 4, lambda x: 1 / np.sqrt(x),   lambda x: -0.5 / x**1.5,
                             lambda x: 1 / mp.sqrt(x),   lambda x: -1 / (2 * x * mp.sqrt(x))),
    unary("sin",      -9, 9, np.sin,                     np.cos,
                             mp.sin,                     mp.cos),
    unary("cos",      -9, 9, np.cos,                     lambda x: -np.sin(x),
                             mp.cos,                     lambda x: -mp.sin(x)),
    unary("erf",      -4, 4, np.vectorize(math.erf, otypes=[float]),
                             lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x),
                             mp.erf,                     lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    unary("sigmoid",  -6, 6, sigmoid,                    lambda x: sigmoid(x) * sigmoid(-x),
                             mp_sigmoid,                 lambda x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2),
    unary("tanh",     -4, 4, np.tanh,                    lambda x: 4 * sigmoid(2 * x) * sigmoid(-2 * x),
                             mp.tanh,                    lambda x: mp.sech(x) ** 2),
    unary("softplus", -6, 6, softplus,                   sigmoid,
                             mp_softplus,                mp_sigmoid),
    unary("relu",     -3, 3, lambda x: np.maximum(x, 0), lambda x: x > 0,
                             lambda x: max(x, mp.mpf(0)), lambda x: mp.mpf(x > 0), corners=(0,)),
    unary("abs",      -3, 3, np.abs,                     np.sign,
                             abs,                        mp.sign, corners=(0,)),
    unary("leaky_relu", -3, 3,
          lambda x, alpha=0.01: np.where(x > 0, x, alpha * x), lambda x, alpha=0.01: np.where(x > 0, 1, alpha),
          lambda x, alpha=0.01: x if x > 0 else alpha * x,     lambda x, alpha=0.01: mp.mpf(1 if x > 0 else alpha),
          corners=(0,), attributes=LEAKY),
    unary("clip", -3, 3,
          lambda x, low, high: np.minimum(np.maximum(x, low), high),   lambda x, low, high: (x > low) & (x < high),
          lambda x, low, high: min(max(x, mp.mpf(low)), mp.mpf(high)), lambda x, low, high: mp.mpf(low < x < high),
          corners=(-1, 0.5), attributes=CLIP),
    unary("generalised_logistic", -2, 2,
          lambda x, A, B: 1 / (1 + A * np.exp(B * x)),
          lambda x, A, B: -A * B * np.exp(B * x) / (1 + A * np.exp(B * x)) ** 2,
          lambda x, A, B: 1 / (1 + A * mp.exp(B * x)),
          lambda x, A, B: -A * B * mp.exp(B * x) / (1 + A * mp.exp(B * x)) ** 2, attributes=GENERALISED),
]

BINARY = [
    # Name and samples; value and partial derivatives in NumPy; the same for mpmath scalars.
    elementwise("add", pairs(),
                lambda a, b: a + b, [lambda a, b: 1.0,       lambda a, b: 1.0],
                lambda a, b: a + b, [lambda a, b: mp.mpf(1), lambda a, b: mp.mpf(1)]),
    elementwise("subtract", pairs(),
                lambda a, b: a - b, [lambda a, b: 1.0,       lambda a, b: -1.0],
                lambda a, b: a - b, [lambda a, b: mp.mpf(1), lambda a, b: mp.mpf(-1)]),
    elementwise("multiply", pairs(),
                lambda a, b: a * b, [lambda a, b: b,         lambda a, b: a],
                lambda a, b: a * b, [lambda a, b: b,         lambda a, b: a]),
    elementwise("divide", pairs(nonzero=True),
                lambda a, b: a / b, [lambda a, b: 1 / b,     lambda a, b: -a / b**2],
                lambda a, b: a / b, [lambda a, b: 1 / b,     lambda a, b: -a / b**2]),
    elementwise("maximum", pairs(gap=0.2),
                np.maximum,         [lambda a, b: a >= b,         lambda a, b: a < b],
                max,                [lambda a, b: mp.mpf(a >= b), lambda a, b: mp.mpf(a < b)],
                kinks=lambda a, b: np.abs(a - b)),
    elementwise("minimum", pairs(gap=0.2),
                np.minimum,         [lambda a, b: a <= b,         lambda a, b: a > b],
                min,                [lambda a, b: mp.mpf(a <= b), lambda a, b: mp.mpf(a > b)],
                kinks=lambda a, b: np.abs(a - b)),
    elementwise("power", power_cases,
                lambda x, exponent: x**exponent,
                [lambda x, exponent: exponent * x ** (exponent - 1), power_by_exponent],
                lambda x, exponent: x**exponent,
                [lambda x, exponent: exponent * x ** (exponent - 1),
                 lambda x, exponent: x**exponent * mp.log(x)]),
    elementwise("where", cases(lambda rng: (normal(rng, 2, 3) > 0, normal(rng, 2, 3), normal(rng, 3))),
                np.where,                    [lambda c, a, b: 0.0, lambda c, a, b: c, lambda c, a, b: ~c],
                lambda c, a, b: a if c else b,
                [lambda c, a, b: mp.mpf(0), lambda c, a, b: mp.mpf(bool(c)), lambda c, a, b: mp.mpf(not c)]),
]
# fmt: on


def with_ties(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.integers(0, 3, (4, 5)) * 0.5, rng.integers(0, 3, 5) * 0.5


WITHOUT_GRADIENT = [
    Oracle("step", cases(lambda rng: (np.append(normal(rng, 6), 0.0),)), lambda x: np.where(x > 0, 1.0, 0.0)),
    *(
        Oracle(name, cases(with_ties), getattr(np, name))
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    ),
    Oracle(
        "argmax",
        cases(lambda rng: (rng.integers(0, 3, (3, 4)) * 0.5,), {"axis": 0}, {"axis": -1}),
        lambda x, axis: np.argmax(x, axis=axis),
    ),
    Oracle(
        "one_hot",
        lambda rng: [((rng.integers(0, 4, shape),), {"depth": 4}) for shape in [(5,), (2, 3)]],
        lambda labels, depth: (labels[..., None] == np.arange(depth)).astype(float),
    ),
]

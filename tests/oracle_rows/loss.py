"""Oracle rows of the losses.

A loss is a sum or mean of terms: elements for most, examples (rows) for quadratic and the cross-entropies. A row here
gives the terms and what each term's derivative with respect to either operand is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mpmath import mp

from tests.oracle_rows.elementwise import mp_sigmoid, mp_softplus, sigmoid, softplus
from tests.oracle_rows.record import Array, Attributes, Case, Formula, Oracle, Sample, cases, normal
from tests.oracle_rows.reduction import log_softmax, mp_log_softmax, softmax

EVERY: tuple[Attributes, ...] = ({}, {"reduction": "mean"}, {"reduction": "sum"}, {"reduction": "none"})
TOTALS: tuple[Attributes, ...] = EVERY[:3]


def loss(
    name: str,
    sample: Sample,
    terms: Formula,
    partials: Sequence[Formula],
    default: str = "mean",
    mp_forward: Formula | None = None,
    mp_gradient: tuple[Formula, ...] | None = None,
    kinks: Formula | None = None,
) -> Oracle:
    """A loss of (prediction, target) by its terms; mpmath formulas are those of a single term.

    A third operand holds a factor for each term, or for all terms of a row.
    """

    def forward(a: Array, y: Array, w: Array | float = 1.0, reduction: str = default) -> Array:
        each: Array = terms(a, y)
        each = each * trailing(w, each.ndim)
        return each if reduction == "none" else np.asarray(each.mean() if reduction == "mean" else each.sum())

    def pullback(g: Array, a: Array, y: Array, w: Array | float = 1.0, reduction: str = default) -> list[Array]:
        term: Array = terms(a, y)
        each = np.broadcast_to(g / term.size if reduction == "mean" else g, term.shape)
        outer = trailing(each * trailing(w, term.ndim), a.ndim)
        by_weight = (each * term).reshape(*np.shape(w), -1).sum(axis=-1)
        return [*(outer * d(a, y) for d in partials), by_weight][: len(partials) + (np.ndim(w) > 0)]

    return Oracle(name, sample, forward, pullback, mp_forward, mp_gradient, kinks)


def trailing(x: Array | float, ndim: int) -> Array:
    """x with axes of extent 1 at its end, up to `ndim`."""
    return np.asarray(x).reshape(np.shape(x) + (1,) * (ndim - np.ndim(x)))


def weighted(sample: Sample, *axes: int) -> Sample:
    """The cases, and those that name a reduction again with weights for so many leading axes of the prediction."""

    def with_weights(rng: np.random.Generator) -> list[Case]:
        plain = sample(rng)
        more: list[Case] = [
            ((*operands, rng.uniform(0.2, 3, operands[0].shape[:n])), attributes)
            for operands, attributes in plain
            if "reduction" in attributes
            for n in axes
        ]
        return plain + more

    return with_weights


def per_example(x: Array) -> Array:
    """Sums all axes but the leading one."""
    return np.asarray(x.reshape(len(x), -1).sum(axis=1))


def weights(y: Array, like: Array) -> Array:
    """Targets as rows of weights: integer labels become unit vectors."""
    return y if y.ndim == like.ndim else np.asarray(np.eye(like.shape[1])[y])


def real_pair(rng: np.random.Generator) -> tuple[Array, Array]:
    return normal(rng, 4, 3), normal(rng, 4, 3)


def separate_pair(rng: np.random.Generator) -> tuple[Array, Array]:
    """Two arrays that differ by at least 0.1 in every element."""
    p, difference = normal(rng, 4, 3), normal(rng, 4, 3)
    return p, p + difference + 0.1 * np.sign(difference)


def probability_pair(rng: np.random.Generator) -> tuple[Array, Array]:
    """Probabilities against targets that are partly soft."""
    return rng.uniform(0.05, 0.95, (4, 3)), np.where(normal(rng, 4, 3) > 0, 1.0, rng.uniform(0, 0.5, (4, 3)))


def logit_pair(rng: np.random.Generator) -> tuple[Array, Array]:
    return 3 * normal(rng, 4, 3), probability_pair(rng)[1]


def margin_pair(rng: np.random.Generator) -> tuple[Array, Array]:
    """Scores against targets of -1 and +1, with every margin y s at least 0.1 from 1."""
    y, margin = np.where(normal(rng, 4, 3) > 0, 1.0, -1.0), 2 * normal(rng, 4, 3)
    return y * (1 + margin + 0.1 * np.sign(margin)), y


def class_cases(logits: bool) -> Sample:
    """Rows over classes with integer labels, with distributions, and with weights that do not sum to 1."""

    def sample(rng: np.random.Generator) -> list[Case]:
        share = rng.uniform(0.2, 1, (5, 4))  # no probability so small that differences of its logarithm fail
        scores = 3 * normal(rng, 5, 4) if logits else share / share.sum(axis=1, keepdims=True)
        soft = softmax(normal(rng, 5, 4))
        return [
            ((scores, y), chosen)
            for y in (rng.integers(0, 4, 5), soft, soft * rng.uniform(0.5, 2, (5, 1)))
            for chosen in EVERY
        ]

    return sample


def softmax_cross_entropy_by_logits(z: Array, y: Array) -> Array:
    """p sum(y) - y, which is p - y only where y sums to 1.

    Since p sums to 1 it is also p_i sum_{j != i} y_j - y_i sum_{j != i} p_j, where p_i near 1 costs no digits.
    """
    p, rows = softmax(z), weights(y, z)
    others = 1 - np.eye(p.shape[1])
    return np.asarray(p * (rows @ others) - rows * (p @ others))


def mp_softmax_cross_entropy(row: Sequence[Any], y: Any) -> Any:
    """One example; y is a label or a row of weights."""
    logs = mp_log_softmax(row)
    return -logs[y] if isinstance(y, int) else -mp.fdot(y, logs)


LOSSES = [
    loss(
        "quadratic",
        weighted(cases(real_pair, *TOTALS), 1),
        lambda a, y: per_example((y - a) ** 2) / 2,
        [lambda a, y: a - y, lambda a, y: y - a],
    ),
    loss(
        "mean_squared_error",
        weighted(cases(real_pair, *EVERY), 1, 2),
        lambda a, y: (y - a) ** 2,
        [lambda a, y: 2 * (a - y), lambda a, y: 2 * (y - a)],
    ),
    loss(
        "sum_of_squares",
        cases(real_pair),
        lambda a, y: (y - a) ** 2,
        [lambda a, y: 2 * (a - y), lambda a, y: 2 * (y - a)],
        default="sum",
    ),
    loss(
        "l1",
        weighted(cases(separate_pair, *EVERY), 1),
        lambda p, q: np.abs(p - q),
        [lambda p, q: np.sign(p - q), lambda p, q: np.sign(q - p)],
        kinks=lambda p, q, *_, **__: np.abs(p - q),
    ),
    loss(
        "binary_cross_entropy",
        weighted(cases(probability_pair, *EVERY), 2),
        lambda p, y: -(y * np.log(p) + (1 - y) * np.log1p(-p)),
        [lambda p, y: (p - y) / (p * (1 - p)), lambda p, y: np.log1p(-p) - np.log(p)],
        mp_forward=lambda p, y, w=1: -w * (y * mp.log(p) + (1 - y) * mp.log(1 - p)),
        mp_gradient=(
            lambda p, y, w=1: w * ((1 - y) / (1 - p) - y / p),
            lambda p, y, w=1: w * (mp.log(1 - p) - mp.log(p)),
            lambda p, y, w: -(y * mp.log(p) + (1 - y) * mp.log(1 - p)),
        ),
    ),
    loss(
        "sigmoid_cross_entropy",
        weighted(cases(logit_pair, *EVERY), 2),
        lambda z, y: y * softplus(-z) + (1 - y) * softplus(z),
        [lambda z, y: (1 - y) * sigmoid(z) - y * sigmoid(-z), lambda z, y: -z],
        mp_forward=lambda z, y, w=1: w * (y * mp_softplus(-z) + (1 - y) * mp_softplus(z)),
        mp_gradient=(
            lambda z, y, w=1: w * ((1 - y) * mp_sigmoid(z) - y * mp_sigmoid(-z)),
            lambda z, y, w=1: -w * z,
            lambda z, y, w: y * mp_softplus(-z) + (1 - y) * mp_softplus(z),
        ),
    ),
    loss(
        "cross_entropy",
        weighted(class_cases(logits=False), 1),
        lambda p, y: -(weights(y, p) * np.log(p)).sum(axis=1),
        [lambda p, y: -weights(y, p) / p, lambda p, y: -np.log(p)],
    ),
    loss(
        "softmax_cross_entropy",
        weighted(class_cases(logits=True), 1),
        lambda z, y: -(weights(y, z) * log_softmax(z)).sum(axis=1),
        [softmax_cross_entropy_by_logits, lambda z, y: -log_softmax(z)],
        mp_forward=mp_softmax_cross_entropy,
    ),
    loss(
        "hinge",
        weighted(cases(margin_pair, *EVERY), 1),
        lambda s, y: np.maximum(1 - y * s, 0),
        [lambda s, y: np.where(y * s < 1, -y, 0), lambda s, y: np.where(y * s < 1, -s, 0)],
        kinks=lambda s, y, *_, **__: np.abs(1 - y * s),
    ),
]

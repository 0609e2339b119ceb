"""Oracle rows of reductions and of the softmax family."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpmath import mp

from tests.oracle_rows.record import Array, Attributes, Formula, Oracle, along_rows, cases, distinct, normal, restore

AXES: tuple[Attributes, ...] = ({}, {"axis": 0}, {"axis": (0, -1)}, {"axis": -1, "keepdims": True}, {"keepdims": True})


def reduction(name: str, local: Formula, kinks: bool = False) -> Oracle:
    """A NumPy reduction over `axis`, given by `local(x, axis)`: the partial derivative of each x's own output."""

    def forward(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims))

    def pullback(g: Array, x: Array, axis: Any = None, keepdims: bool = False) -> list[Array]:
        return [restore(g, x, axis) * local(x, axis)]

    def gap(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return along_rows(x, axis, lambda rows: rows * 0 + np.diff(np.sort(rows)).min(axis=1, keepdims=True))

    return Oracle(
        name, cases(lambda rng: (distinct(rng, 2, 3, 4),), *AXES), forward, pullback, kinks=gap if kinks else None
    )


def chosen_first(argument: Callable[..., Array]) -> Formula:
    """1 at the first extreme element of each row, 0 elsewhere."""
    return lambda x, axis: along_rows(x, axis, lambda rows: np.eye(rows.shape[1])[argument(rows, axis=1)])


def product_of_others(rows: Array) -> Array:
    """For each element, the product of the rest of its row: right where elements are zero."""
    return np.stack([np.delete(rows, k, axis=1).prod(axis=1) for k in range(rows.shape[1])], axis=1)


def softmax(x: Array, axis: int = -1) -> Array:
    t = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(t / t.sum(axis=axis, keepdims=True))


def log_softmax(x: Array, axis: int = -1) -> Array:
    """x - max - log(1 + the other terms): with log1p a winner's small log-probability keeps its digits."""
    shifted = x - x.max(axis=axis, keepdims=True)
    others = np.exp(shifted)
    np.put_along_axis(others, x.argmax(axis=axis, keepdims=True), 0, axis)
    return np.asarray(shifted - np.log1p(others.sum(axis=axis, keepdims=True)))


def softmax_gradient(g: Array, x: Array, axis: int = -1) -> list[Array]:
    """The Jacobian diag(s) - s s^T, applied to g."""
    s = softmax(x, axis)
    return [s * (g - (g * s).sum(axis=axis, keepdims=True))]


def log_softmax_gradient(g: Array, x: Array, axis: int = -1) -> list[Array]:
    """The Jacobian I - 1 s^T, transposed, applied to g."""
    return [g - softmax(x, axis) * g.sum(axis=axis, keepdims=True)]


def mp_softmax(row: Sequence[Any]) -> list[Any]:
    return [1 / mp.fsum(mp.exp(other - z) for other in row) for z in row]


def mp_log_softmax(row: Sequence[Any]) -> list[Any]:
    # log1p over the others: a winner's log-probability keeps its digits however small it is.
    return [-mp.log1p(mp.fsum(mp.exp(other - z) for j, other in enumerate(row) if j != i)) for i, z in enumerate(row)]


def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    top = x.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(axis=axis, keepdims=keepdims)) + top.max(axis=axis, keepdims=keepdims))


def logsumexp_gradient(g: Array, x: Array, axis: Any = None, keepdims: bool = False) -> list[Array]:
    """The weights e^x / sum e^x, times g."""
    return [restore(g, x, axis) * np.exp(x - logsumexp(x, axis, keepdims=True))]


SOFTMAX_CASES = cases(lambda rng: (3 * normal(rng, 2, 3, 4),), {}, {"axis": -1}, {"axis": 0}, {"axis": 1})

REDUCTIONS = [
    reduction("sum", lambda x, axis: np.ones_like(x)),
    reduction("mean", lambda x, axis: along_rows(x, axis, lambda rows: np.ones_like(rows) / rows.shape[1])),
    reduction("max", chosen_first(np.argmax), kinks=True),
    reduction("min", chosen_first(np.argmin), kinks=True),
    reduction("prod", lambda x, axis: along_rows(x, axis, product_of_others)),
    Oracle("logsumexp", cases(lambda rng: (3 * normal(rng, 2, 3, 4),), *AXES), logsumexp, logsumexp_gradient),
    Oracle("softmax", SOFTMAX_CASES, softmax, softmax_gradient, mp_softmax),
    Oracle("log_softmax", SOFTMAX_CASES, log_softmax, log_softmax_gradient, mp_log_softmax),
]

"""Oracle rows of contraction, layout and indexing."""

from typing import Any

import numpy as np

from tests.oracle_rows.record import Array, Attributes, Case, Oracle, cases, normal, unbroadcast


def matmul_gradient(g: Array, a: Array, b: Array) -> list[Array]:
    """dA = G B^T, dB = A^T G, with a vector read as a row (left) or a column (right)."""
    left, right = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    g = np.expand_dims(g, tuple(axis for axis, x in ((-1, b), (-2, a)) if x.ndim == 1))
    to_left, to_right = g @ right.swapaxes(-1, -2), left.swapaxes(-1, -2) @ g
    return [unbroadcast(to_left, left.shape).reshape(a.shape), unbroadcast(to_right, right.shape).reshape(b.shape)]


def matmul_cases(rng: np.random.Generator) -> list[Case]:
    shapes = [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,))]
    shapes += [((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (2, 4, 3))]
    return [((normal(rng, *a), normal(rng, *b)), {}) for a, b in shapes]


def scatter(g: Array, shape: tuple[int, ...], index: Any) -> Array:
    """The adjoint of x[index]: repeated positions add up."""
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


INDEXES: tuple[Attributes, ...] = tuple(
    {"index": index}
    for index in [np.s_[1:, ::2], np.s_[0], np.s_[..., -1], np.s_[:, 1:4:2, 0], np.s_[-2:], np.s_[::-1, 1]]
)

STRUCTURAL = [
    Oracle("matmul", matmul_cases, np.matmul, matmul_gradient),
    Oracle(
        "transpose",
        cases(lambda rng: (normal(rng, 2, 3, 4),), {}, {"axes": (2, 0, 1)}, {"axes": (0, 2, 1)}),
        lambda x, axes=None: np.transpose(x, axes),
        lambda g, x, axes=None: [np.transpose(g, None if axes is None else np.argsort(axes))],
    ),
    Oracle(
        "reshape",
        cases(lambda rng: (normal(rng, 2, 3, 4),), {"shape": (6, 4)}, {"shape": (2, 12)}, {"shape": (4, 1, 6)}),
        lambda x, shape: x.reshape(shape),
        lambda g, x, shape: [g.reshape(x.shape)],
    ),
    Oracle(
        "slice",
        cases(lambda rng: (normal(rng, 3, 5, 2),), *INDEXES),
        lambda x, index: x[index],
        lambda g, x, index: [scatter(g, x.shape, index)],
    ),
    Oracle(
        "concatenate",
        lambda rng: [
            ((normal(rng, 2, 3), normal(rng, 4, 3)), {"axis": 0}),
            ((normal(rng, 2, 3), normal(rng, 2, 1), normal(rng, 2, 2)), {"axis": -1}),
        ],
        lambda *parts, axis: np.concatenate(parts, axis),
        lambda g, *parts, axis: np.split(g, np.cumsum([part.shape[axis] for part in parts])[:-1], axis),
    ),
    Oracle(
        "stack",
        cases(lambda rng: (normal(rng, 2, 3), normal(rng, 2, 3), normal(rng, 2, 3)), {"axis": 0}, {"axis": -1}),
        lambda *parts, axis: np.stack(parts, axis),
        lambda g, *parts, axis: [np.take(g, n, axis) for n in range(len(parts))],
    ),
    Oracle(
        "gather",
        lambda rng: [((normal(rng, 4, 3), rng.integers(0, 4, shape)), {}) for shape in [(6,), (2, 3)]],
        lambda table, indices: table[indices],
        lambda g, table, indices: [scatter(g, table.shape, indices), None],
    ),
]

"""Parts of a data set, and weights of its rows: scikit-learn's own, over dicts of arrays.

k-fold cross-validation needs nothing of ours:

    for train, test in sklearn.model_selection.KFold(5, shuffle=True, random_state=0).split(data["x"]):
        net.initialize(seed=0)
        gn.Trainer(loss, gn.Adam(), seed=0).fit({name: a[train] for name, a in data.items()},
                                                validation={name: a[test] for name, a in data.items()})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.declare.definition import FLOATS
from graphnn.errors import BoundaryError, DTypeError, GraphError
from graphnn.nn.arguments import POSITIVE, check_count, check_number
from graphnn.nn.data.optional import needs

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


def split(
    arrays: Mapping[str, npt.ArrayLike],
    fractions: Iterable[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    stratify: str | npt.ArrayLike | None = None,
) -> tuple[Arrays, ...]:
    """The rows of all arrays in parts, drawn by `seed`: training, validation and test data, each a dict of arrays.

    `fractions` are those of the parts and sum to 1. `stratify` names an array of classes, or is one: each part then
    has the classes in nearly the same proportions.

    Raises BoundaryError for arrays without names or of different lengths, and where a part would have no rows;
    GraphError for fractions that are none, and for classes that are too few to be in each part.
    """
    given = _check_rows(arrays)
    rows = len(next(iter(given.values())))
    shares = _check_fractions(fractions)
    bounds = np.rint(np.cumsum([0.0, *shares]) * rows).astype(int)
    counts = np.diff(bounds)
    if not counts.all():
        raise BoundaryError(
            f"split: {rows} rows by {tuple(shares)} gives parts of {counts.tolist()} rows: none is empty"
        )
    seed = check_count("split: seed", seed, 0)
    classes = _classes(given, stratify, rows)
    with needs("gn.split"):
        from sklearn.model_selection import train_test_split
    left, parts = np.arange(rows), []
    for number, count in enumerate(counts[:-1]):
        kind = None if classes is None else classes[left]
        try:
            part, left = train_test_split(left, train_size=int(count), random_state=seed + number, stratify=kind)
        except ValueError as error:
            raise GraphError(f"split: part {number} of {count} rows: {error}") from error
        parts.append(part)
    return tuple({name: array[chosen] for name, array in given.items()} for chosen in (*parts, left))


def row_weights(
    labels: npt.ArrayLike, class_weight: str | Mapping[int, float] = "balanced", dtype: str = "float32"
) -> Array:
    """A weight for each row by its class, for the `weights=` of a loss.

    "balanced" gives n/(classes * rows of the class), whose mean is 1 (G. King, L. Zeng, "Logistic Regression in Rare
    Events Data", 2001); a dict gives each class its weight, 1 where it has none.

    Raises GraphError for another `class_weight`, and a class without rows in it, BoundaryError for labels that are no
    vector, DTypeError for a dtype that is no float.
    """
    given = np.asarray(labels)
    if given.ndim != 1 or not given.size:
        raise BoundaryError(f"row_weights: labels are a vector of classes, not an array of shape {given.shape}")
    if isinstance(class_weight, Mapping):
        chosen = {k: check_number(f"row_weights: the weight of class {k!r}", w) for k, w in class_weight.items()}
        if missing := [k for k in chosen if not (given == k).any()]:
            raise GraphError(f"row_weights: no row is of class {missing[0]!r}")
    elif class_weight != "balanced":
        raise GraphError(f"row_weights: class_weight is 'balanced' or weights by class, not {class_weight!r:.40}")
    if dtype not in FLOATS:
        raise DTypeError(f"row_weights: dtype is {' or '.join(FLOATS)}, not {dtype!r:.40}")
    with needs("gn.row_weights"):
        from sklearn.utils.class_weight import compute_sample_weight
    weights: Array = compute_sample_weight(class_weight, given).astype(dtype)
    return weights


def _check_rows(arrays: Mapping[str, npt.ArrayLike]) -> Arrays:
    if not isinstance(arrays, Mapping) or not arrays:
        raise BoundaryError(f"split: give the arrays by name: {{'x': ..., 'y': ...}}, not {arrays!r:.40}")
    given = {name: np.asarray(array) for name, array in arrays.items()}
    if scalars := [name for name, array in given.items() if not array.ndim]:
        raise BoundaryError(f"split: '{scalars[0]}' is a scalar and has no rows")
    if len({len(array) for array in given.values()}) > 1:
        listed = ", ".join(f"'{name}' {len(array)}" for name, array in given.items())
        raise BoundaryError(f"split: the arrays have different lengths: {listed}")
    return given


def _check_fractions(fractions: Iterable[float]) -> list[float]:
    if isinstance(fractions, str) or not isinstance(fractions, Iterable):
        raise GraphError(f"split: fractions are numbers that sum to 1, not {fractions!r:.40}")
    shares = [check_number("split: a fraction", fraction, POSITIVE) for fraction in fractions]
    if abs(sum(shares) - 1) > 1e-9:
        raise GraphError(f"split: the fractions {tuple(shares)} sum to {sum(shares):.6g}, not to 1")
    return shares


def _classes(given: Arrays, stratify: str | npt.ArrayLike | None, rows: int) -> Array | None:
    if stratify is None:
        return None
    if isinstance(stratify, str):
        if stratify not in given:
            raise GraphError(f"split: stratify={stratify!r} is not among the arrays {', '.join(given)}")
        classes = given[stratify]
    else:
        classes = np.asarray(stratify)
    if classes.shape != (rows,):
        raise BoundaryError(f"split: stratify takes a class for each of the {rows} rows, not shape {classes.shape}")
    return classes

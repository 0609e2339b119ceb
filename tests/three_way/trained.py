"""A network compiled in several ways, each step of which is compared with the reference evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import graphnn as gn
from graphnn.schedule.passes import PASSES
from tests.three_way.networks import Training

Array = np.ndarray[Any, Any]
NAMES = [step.name for step in PASSES]
# A result's largest error: within GROWTH times that of the program without any pass, and that one's within LOOSE of
# the largest element. Errors below FLOOR of it, or of SMALL, count for nothing.
GROWTH, SMALL = 8, 1e-3
FLOOR, LOOSE = {"float32": 3e-6, "float64": 1e-14}, {"float32": 1e-2, "float64": 1e-9}


def compare_training(case: Training) -> None:
    """Raise AssertionError where a step differs: from the reference, in another way of compiling, or between calls."""
    right = _reference(case)
    plain = _step(case, disable=NAMES)
    for number, (error, size, dtype) in enumerate(_errors(plain, right)):
        assert error <= LOOSE[dtype] * size, f"without passes: result {number} is off by {error:g} of {size:g}"
    number, skipped = next(case.ways, 0), NAMES[next(case.ways, 0) % len(NAMES)]
    first = _step(case)
    assert_near(first, right, plain, "native")
    threads = (2, 3, 4, 8)[number % 4]
    assert_same(_step(case, threads=threads), first, f"{threads} threads")
    other: dict[str, Any] = ({"disable": [skipped]}, {"accuracy": "tight"}, {"sizes": {}})[number % 3]
    assert_near(_step(case, **other), right, plain, f"{other}")
    if not case.training:
        _assert_rows(case)


def _reference(case: Training) -> list[Array]:
    values = {**case.values, **_initial(case)}
    return gn.evaluate([*case.outputs, *case.updates.values()], values, training=case.training)


def _initial(case: Training) -> dict[str, Array]:
    case.network.initialize(3)
    return {name: np.array(value) for name, value in case.network.state.items()}


def _step(case: Training, **options: Any) -> list[Array]:
    """The results and the updated state of a step, after one on another state."""
    network = case.network
    options = {"sizes": case.sizes, "accuracy": case.accuracy, **options}
    step = gn.compile(case.outputs, updates=case.updates, training=case.training, cache=False, **options)
    inputs = {n: v.astype(network[n].dtype) for n, v in case.values.items()}
    network.initialize(4)
    step(**inputs)
    network.initialize(3)
    results = [np.array(a) for a in step(**inputs)] + [np.array(network.state[n]) for n in case.updates]
    if not case.updates and not case.training:
        assert_same(step(**inputs), results, "the next call")
    return results


def _assert_rows(case: Training) -> None:
    """A row's forward result does not depend on how many rows there are."""
    x, count = case.network["x"], len(case.values["x"])
    if x.shape[0] != "N" or count < 2:
        return
    forward = gn.compile(case.rows, cache=False, accuracy=case.accuracy)
    images = case.values["x"].astype(x.dtype)
    whole = forward(x=images)
    for part in (slice(0, 1), slice(count // 2, count)):
        assert_same([forward(x=images[part])], [whole[part]], f"rows {part}")


def assert_same(found: Sequence[Array], first: Sequence[Array], way: str) -> None:
    """The same bits."""
    for number, (a, b) in enumerate(zip(found, first, strict=True)):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), f"{way}: result {number} has other bits"


def assert_near(found: Sequence[Array], right: Sequence[Array], plain: Sequence[Array], way: str) -> None:
    """Not much less accurate than `plain`."""
    pairs = zip(_errors(found, right), _errors(plain, right), strict=True)
    for number, ((error, size, dtype), (least, _, _)) in enumerate(pairs):
        bar = GROWTH * least + FLOOR[dtype] * size
        assert error <= bar, f"{way}: result {number} is off by {error:g} of {size:g}, where {bar:g} would be near"


def _errors(found: Sequence[Array], right: Sequence[Array]) -> list[tuple[float, float, str]]:
    """For each result that is no integer: its largest error, its largest element, its dtype."""
    errors = []
    for number, (a, b) in enumerate(zip(found, right, strict=True)):
        assert a.shape == b.shape, number
        if a.dtype.kind != "f":
            assert (a == b).all(), number
        elif a.size:
            errors.append((float(np.abs(a - b).max()), max(SMALL, float(np.abs(b).max())), str(a.dtype)))
    return errors

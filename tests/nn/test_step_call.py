"""`Trainer.step` once its program has a native entry: the same losses, state and errors as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphnn as gn
from graphnn.errors import BoundaryError, NumericError
from graphnn.run.call import WARM
from graphnn.run.native import entry


def trainer(**options: Any) -> gn.Trainer:
    net = gn.Network("n")
    x, y = net.input("x", ("N", 3)), net.input("y", ("N",), dtype="int64")
    loss = gn.softmax_cross_entropy(gn.dense(x, 4, name="out"), y)
    net.initialize(seed=1)
    return gn.Trainer(loss, optimizer=gn.Momentum(0.5, 0.9), batch_size=5, **options)


def batch(rows: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(rows, 3)).astype(np.float32), "y": rng.integers(0, 4, rows)}


def steps(count: int, **options: Any) -> tuple[list[float], np.ndarray]:
    made = trainer(**options)
    losses = [made.step(**batch(5 if k % 7 else 2)) for k in range(count)]
    assert all(type(loss) is float for loss in losses)
    return losses, np.array(made.network.state["out.W"])


@pytest.mark.parametrize("watch", [True, False, "gradients"])
def test_losses_and_weights_are_those_of_calls_through_python(monkeypatch: pytest.MonkeyPatch, watch: Any) -> None:
    losses, weights = steps(4 * WARM, watch=watch)
    monkeypatch.setattr(entry, "native_entry", lambda: None)
    expected, expected_weights = steps(4 * WARM, watch=watch)
    assert losses == expected
    assert losses[-1] < losses[1]
    np.testing.assert_array_equal(weights, expected_weights)


def test_errors_are_those_of_the_first_step() -> None:
    warm, cold = trainer(), trainer()
    for _ in range(2 * WARM):
        warm.step(**batch())
    before = np.array(warm.network.state["out.W"])
    x, y = batch().values()
    wrong: list[dict[str, Any]] = [
        {"x": x},
        {"x": x, "y": y, "z": y},
        {"x": x.astype(np.float64), "y": y},
        {"x": x[:4], "y": y},
        {"x": x[:0], "y": y[:0]},
        {"x": x[:, :2], "y": y},
        {"x": x, "y": y + 4},
        {"x": x, "y": y - 4},
    ]
    for arrays in wrong:
        found = []
        for made in (warm, cold):
            with pytest.raises(BoundaryError) as caught:
                made.step(**arrays)
            found.append(str(caught.value))
        assert found[0] == found[1]
    with pytest.raises(BoundaryError, match="step: give inputs by keyword"):
        warm.step(x, y)
    np.testing.assert_array_equal(np.array(warm.network.state["out.W"]), before)


def test_a_step_that_was_held_and_one_that_is_overridden() -> None:
    made = trainer()
    held = made.step
    losses = [held(**batch()) for _ in range(2 * WARM)]
    assert made.step is not held
    assert losses == sorted(losses, reverse=True)
    assert made.step(**batch()) < losses[-1]

    class Counting(gn.Trainer):
        count = 0

        def step(self, /, *positional: Any, **arrays: Any) -> float:
            self.count += 1
            return super().step(*positional, **arrays)

    counting = Counting(made.loss, batch_size=5)
    for _ in range(2 * WARM):
        counting.step(**batch())
    assert counting.count == 2 * WARM


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    made = trainer()
    for _ in range(2 * WARM):
        made.step(**batch())
    before = np.array(made.network.state["out.W"])
    bad = batch()
    bad["x"][3, 1] = np.nan
    for _ in range(2):
        with pytest.raises(NumericError, match="step"):
            made.step(**bad)
    np.testing.assert_array_equal(np.array(made.network.state["out.W"]), before)
    assert np.isfinite(made.step(**batch()))

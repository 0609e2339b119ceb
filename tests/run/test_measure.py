"""Timing programs against each other: by a clock that says what the test wants, on arrays and states of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphnn.run.manifest import Manifest
from graphnn.run.measure import MARGIN, fastest, random_inputs
from graphnn.run.states import HeldState
from graphnn.run.tuning import Tuning
from graphnn.simplify.expr import index_constant
from tests.run.make import build, changed, gather, step_program


class Clock:
    """Calls of program k of n, one after the other in turns, take seconds[k] each, and of the first turn the double."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.seconds, self.now, self.read = seconds, 0.0, 0

    def __call__(self) -> float:
        turn, end = divmod(self.read, 2)
        if end:
            self.now += self.seconds[turn % len(self.seconds)] * (2 if turn < len(self.seconds) else 1)
        self.read += 1
        return self.now


def step() -> tuple[Manifest, bytes]:
    program = build(step_program(), state=HeldState({"w": np.zeros(6, np.float32)}))
    return program.manifest, program._code


@pytest.mark.parametrize(("seconds", "chosen"), [
    ([0.03, 0.01, 0.02], "b"), ([0.01, 0.02, 0.03], "a"), ([0.02, 0.03, 0.01], "c"),
    ([0.0100, 0.0099, 0.02], "a"),  # no faster than noise
    ([0.01, 0.01 * MARGIN * 0.999, 0.02], "b"), ([7.0, 5.0, 6.0], "b"),
])  # fmt: skip
def test_the_fastest_is_chosen(seconds: list[float], chosen: str) -> None:
    clock = Clock(seconds)
    source = HeldState({"w": np.arange(6, dtype=np.float32)})
    tuning = fastest(dict.fromkeys("abc", step()), source, clock=clock)
    assert tuning.chosen == chosen
    assert list(tuning.seconds) == ["a", "b", "c"]
    assert list(tuning.seconds.values()) == pytest.approx(seconds)
    assert clock.now < 60


def test_states_are_copies_and_the_same_for_all() -> None:
    source = HeldState({"w": np.arange(6, dtype=np.float32)})
    fastest({"a": step(), "b": step()}, source)
    np.testing.assert_array_equal(source.buffer("w"), np.arange(6))
    assert source.version == 0


def test_states_of_another_dtype_are_converted_in_the_copy() -> None:
    source = HeldState({"w": np.arange(6, dtype=np.float64)})
    fastest({"a": step()}, source)
    assert source.buffer("w").dtype == np.float64


def test_random_inputs_are_what_a_call_accepts() -> None:
    open_sizes = gather()
    manifest = changed(
        open_sizes.manifest,
        sizes=(),
        buffers=tuple(
            type(b)(b.name, b.dtype, tuple(index_constant(50) if str(e) == "Size(name='N')" else e for e in b.shape),
                    b.role, b.layout) for b in open_sizes.manifest.buffers
        ),
    )  # fmt: skip
    arrays = random_inputs(manifest)
    assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
        "x": ((50, 4), "float32"), "y": ((50,), "int64"), "p": ((50, 3), "float32"),
    }  # fmt: skip
    assert set(arrays["y"]) == set(range(5))
    np.testing.assert_allclose(arrays["p"].sum(1), 1, rtol=1e-6)
    assert all((array != 0).any() for array in arrays.values())
    open_sizes(**arrays)
    again = random_inputs(manifest)
    assert all((arrays[name] == again[name]).all() for name in arrays)


def test_a_tuning_is_a_table() -> None:
    tuning = Tuning("b", {"by cost": 2e-6, "b": 1e-6})
    assert str(tuning) == "variant  us\nby cost  2.0\nb        1.0  chosen\n"
    assert Tuning.from_json(tuning.to_json()) == tuning


@pytest.mark.parametrize("data", [[], ["a", []], ["a", [["b", 1.0]]], [1, [[1, 1.0]]], ["a", [["a", "1"]]],
                                  ["a", [["a", float("nan")]]], ["a", [["a", True]]], {"a": 1}])  # fmt: skip
def test_other_data_is_none(data: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Tuning.from_json(data)

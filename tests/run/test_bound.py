"""Calls on bound arrays."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest

from graphnn.errors import BoundaryError
from graphnn.run.executable import Executable
from graphnn.run.states import HeldState
from tests.run.make import W, build, gather, gather_expected, gather_inputs, gather_program, scale_program, step_program
from tests.run.native.ways import WAYS, choose


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose(request.param, monkeypatch)
    return str(request.param)


def scaled(rows: int = 4) -> tuple[Executable, np.ndarray]:
    return build(scale_program(), state=HeldState({"w": np.array(3, np.float32)})), np.ones(rows, np.float32)


@pytest.mark.parametrize("rows", [0, 1, 8, 3000])
def test_what_is_written_to_the_inputs_is_read(way: str, rows: int) -> None:
    bound = gather().bind(**gather_inputs(rows))
    for k in range(5):
        bound.inputs["x"][...] += k
        bound.inputs["y"][...] = (bound.inputs["y"] + 1) % 5
        result = bound()
        hidden, total = gather_expected(bound.inputs)
        np.testing.assert_array_equal(result["hidden"], hidden)
        np.testing.assert_allclose(result["total"], np.float32(total), rtol=1e-4)
        assert result is bound.outputs


def test_outputs_that_are_given(way: str) -> None:
    inputs = gather_inputs(6)
    out = {"hidden": np.zeros((6, 4), np.float32), "total": np.zeros((), np.float32)}
    bound = gather().bind(**inputs, out=out)
    for _ in range(3):
        out["hidden"][...] = 0
        result = bound()
        assert result["hidden"] is out["hidden"]
        np.testing.assert_array_equal(out["hidden"], gather_expected(inputs)[0])
    program, x = scaled()
    y = np.zeros(4, np.float32)
    assert program.bind(x=x, out=y)() is y
    listed = build(gather_program(), state=HeldState({"W": W.copy()}))
    total, hidden = listed.bind(**inputs)()
    np.testing.assert_array_equal(hidden, gather_expected(inputs)[0])
    assert total.shape == ()


def test_state_is_that_of_the_program(way: str) -> None:
    state = HeldState({"w": np.zeros(6, np.float32)})
    step = build(step_program(), state=state)
    bound = step.bind(g=np.ones(6, np.float32))
    assert state.version == 0, "to bind runs nothing"
    for k in range(1, 6):
        assert bound().tolist() == [0.5 * k] * 6
        assert state.version == k
    step(g=np.ones(6, np.float32))
    assert bound().tolist() == [3.5] * 6
    state._values["w"] = np.full(6, 10, np.float32)
    state.version += 1
    assert [bound()[0] for _ in range(3)] == [10.5, 11, 11.5]


def test_values_are_checked_by_each_call(way: str) -> None:
    bound = gather().bind(**gather_inputs(9))
    for _ in range(3):
        bound()
        bound.inputs["y"][8] = 5
        with pytest.raises(BoundaryError, match=r"the value 5 at \[8\] is not in \[0, 5\)"):
            bound()
        bound.inputs["y"][8] = 4
        bound.inputs["p"][3, 0] = 2
        with pytest.raises(BoundaryError, match=r"the row at \[3\] sums to"):
            bound()
        bound.inputs["p"][3, 0] = 0.5


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": np.ones((3, 4))}, r"input x: float32\[N, 4\]: the array given is float64"),
        ({"x": np.ones((3, 4), ">f4")}, "byte order"),
        ({"x": [[1.0] * 4] * 3}, r"bind of program 'gather': x is a list and would be copied.*np\.ascontiguousarray"),
        ({"x": 1.0}, "x is a float and would be copied"),
        ({"x": np.ones((3, 8), np.float32)[:, ::2]}, "x is strided or misaligned and would be copied"),
        ({"x": np.ma.ones((3, 4), np.float32)}, "is a MaskedArray"),
        ({"x": np.ones((3, 5), np.float32)}, "axis 1 must have extent 4"),
        ({"y": np.array([0, 1, 5])}, r"the value 5 at \[2\]"),
        ({"z": np.ones(3)}, "missing: none; unknown: z"),
        ({"out": np.ones(3)}, "out= must be a dict with the keys hidden, total"),
        ({"out": {"hidden": np.ones((3, 4)), "total": np.ones(())}}, "out= for .* must be float32"),
    ],
)
def test_arrays_that_cannot_be_bound(change: dict[str, Any], match: str) -> None:
    with pytest.raises(BoundaryError, match=match):
        gather().bind(**{**gather_inputs(3), **change})


def test_missing_positional_and_overlapping_arrays() -> None:
    with pytest.raises(BoundaryError, match="missing: x, y, p"):
        gather().bind()
    with pytest.raises(BoundaryError, match=r"bind of program 'gather': give inputs by keyword: x=\.\.\., y="):
        gather().bind(*gather_inputs(3).values())
    program, x = scaled()
    with pytest.raises(BoundaryError, match="overlaps x in memory"):
        program.bind(x=x, out=x)
    w = np.ones(6, np.float32)
    with pytest.raises(BoundaryError, match="is the memory of a state that the program updates"):
        build(step_program(), state=HeldState({"w": w})).bind(g=w)


def test_a_bound_call_takes_no_arguments(way: str) -> None:
    program, x = scaled()
    bound = program.bind(x=x)
    for _ in range(2):
        with pytest.raises(BoundaryError, match="a bound call takes no arguments"):
            bound(x=x)  # type: ignore[call-arg]
        with pytest.raises(BoundaryError, match="a bound call takes no arguments"):
            bound(x)  # type: ignore[call-arg]
        assert bound().tolist() == [3] * 4


def test_bound_memory_stays(way: str) -> None:
    program, x = scaled()
    bound = program.bind(x=x)
    bound()
    with pytest.raises(ValueError, match="cannot resize"):
        x.resize(1000, refcheck=True)
    x.resize(1_000_000, refcheck=False)
    with pytest.raises(BoundaryError, match="was given other memory since it was bound"):
        bound()
    taken = [np.zeros(4, np.float32) for _ in range(200)]  # among others, where it was
    x.resize(4, refcheck=False)  # the shape that it had, elsewhere
    assert taken
    with pytest.raises(BoundaryError, match="was given other memory since it was bound"):
        bound()


def test_an_output_that_became_read_only(way: str) -> None:
    program, x = scaled()
    bound = program.bind(x=x)
    bound()
    bound.outputs.flags.writeable = False
    with pytest.raises(BoundaryError, match="is not writable"):
        bound()


def test_subclasses_are_their_memory(way: str) -> None:
    program, _ = scaled()
    x = np.ones(3, np.float32).view(np.recarray)
    bound = program.bind(x=x)
    for k in range(3):
        x[...] = k
        assert bound().tolist() == [3.0 * k] * 3
    assert bound.inputs["x"] is x


def test_references_are_given_back(way: str) -> None:
    program, x = scaled()
    before = sys.getrefcount(x)
    bound = program.bind(x=x)
    for _ in range(100):
        bound()
    references = sys.getrefcount(bound.outputs)
    for _ in range(2000):
        bound()
    after = sys.getrefcount(bound.outputs)
    assert after == references
    del bound
    after = sys.getrefcount(x)
    assert after == before


def test_what_a_bound_call_tells() -> None:
    program, x = scaled()
    bound = program.bind(x=x)
    assert repr(bound) == "<bound call of scale(x: float32[4])>"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(bound)

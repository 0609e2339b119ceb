"""`out=` under the native entry: what it writes to itself, what it leaves to Python, and that both agree."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphnn.errors import BoundaryError
from graphnn.run.executable import Executable
from graphnn.run.manifest import Outputs
from graphnn.run.native.library import native_entry
from graphnn.run.states import HeldState
from tests.run.make import W, build, gather_expected, gather_inputs, gather_program, scale_program, step_program
from tests.run.native.ways import WAYS, choose, is_native, left, warm

pytestmark = pytest.mark.skipif(native_entry() is None, reason="no native entry on this Python")


def outputs() -> list[Any]:
    return [np.zeros((), np.float32), np.zeros((8, 4), np.float32)]


def frozen() -> np.ndarray:
    array = np.zeros((8, 4), np.float32)
    array.flags.writeable = False
    return array


TAKEN: dict[str, Callable[[], Any]] = {
    "as they are": outputs,
    "rows of a larger array": lambda: [outputs()[0], np.zeros((20, 4), np.float32)[3:11]],
    "elements of one array": lambda: [(whole := np.zeros(33, np.float32))[32:].reshape(()), whole[:32].reshape(8, 4)],
}
LEFT: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a tuple": lambda: tuple(outputs()),
    "one array": lambda: outputs()[1],
    "too few": lambda: outputs()[:1],
    "too many": lambda: [*outputs(), np.zeros(3)],
    "in another order": lambda: outputs()[::-1],
    "no array": lambda: [0.0, outputs()[1]],
    "float64": lambda: [outputs()[0], np.zeros((8, 4))],
    "another shape": lambda: [outputs()[0], np.zeros((4, 8), np.float32)],
    "read-only": lambda: [outputs()[0], frozen()],
    "strided": lambda: [outputs()[0], np.zeros((8, 8), np.float32)[:, ::2]],
    "Fortran order": lambda: [outputs()[0], np.zeros((8, 4), np.float32, order="F")],
    "a subclass": lambda: [outputs()[0], np.zeros((8, 4), np.float32).view(np.recarray)],
    "one in the other": lambda: [(whole := np.zeros((8, 4), np.float32))[7:, 3:].reshape(()), whole],
}


def outcome(program: Executable, out: Any) -> Any:
    inputs = gather_inputs(8)
    try:
        result = program(**inputs, out=out)
    except Exception as error:
        return type(error), str(error)
    written = [] if out is None else [result[k] is out[k] for k in range(2)]
    return type(result), written, [(type(a), a.tobytes()) for a in result]


@pytest.fixture(scope="module")
def native() -> Executable:
    program = warm(build(gather_program(), state=HeldState({"W": W.copy()})), **gather_inputs(8))
    assert is_native(program)
    return program


@pytest.mark.parametrize("make", [*TAKEN.values(), *LEFT.values()], ids=[*TAKEN, *LEFT])
def test_both_ways_have_the_same_outcome(
    native: Executable, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    choose("python", monkeypatch)
    python = build(gather_program(), state=HeldState({"W": W.copy()}))
    for _ in range(2):
        assert outcome(native, make()) == outcome(python, make())
    out = outputs()
    assert native(**gather_inputs(8), out=out)[1] is out[1]
    np.testing.assert_array_equal(out[1], gather_expected(gather_inputs(8))[0])


def test_what_the_entry_takes_and_leaves(native: Executable) -> None:
    inputs = gather_inputs(8)
    for make in TAKEN.values():
        assert not left(native, **inputs, out=make())
        assert not left(native, out=make(), **inputs)
    for make in LEFT.values():
        assert left(native, **inputs, out=make())


@pytest.mark.parametrize("way", WAYS)
def test_outputs_over_inputs_and_states(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    choose(way, monkeypatch)
    w, memory = np.zeros(6, np.float32), np.ones(32, np.float32)
    step = warm(build(step_program(), state=HeldState({"w": w})), g=memory[:6])
    for start in (0, 1, 5):
        with pytest.raises(BoundaryError, match="overlaps g in memory"):
            step(g=memory[:6], out=memory[start : start + 6])
    with pytest.raises(BoundaryError, match="overlaps a state in memory"):
        step(g=memory[:6], out=w)
    memory[:6] = 2
    before = w.copy()
    beside = memory[6:12]
    assert step(g=memory[:6], out=beside) is beside
    assert beside.tolist() == w.tolist() == (before + 1).tolist()
    read = warm(build(scale_program(), state=HeldState({"w": memory[30:31].reshape(())})), x=memory[:4])
    with pytest.raises(BoundaryError, match="overlaps a state in memory"):
        read(x=memory[:4], out=memory[28:32])
    assert read(x=memory[:4], out=memory[26:30]).tolist() == [2] * 4


def test_one_array_at_two_places() -> None:
    state = HeldState({"w": np.array(2, np.float32)})
    twice = warm(build(scale_program(), outputs=Outputs("list", ("y", "y")), state=state), x=np.ones(2, np.float32))
    y = np.zeros(2, np.float32)
    assert all(a is y for a in twice(x=np.ones(2, np.float32), out=[y, y]))
    with pytest.raises(BoundaryError, match="y is returned twice"):
        twice(x=np.ones(2, np.float32), out=[y, y.copy()])


def test_references_are_given_back(native: Executable) -> None:
    inputs, out = gather_inputs(8), outputs()
    bad = {**inputs, "x": inputs["x"].astype(np.float64)}
    before = [sys.getrefcount(a) for a in (*out, out)]
    for _ in range(2000):
        native(**inputs, out=out)
        with pytest.raises(BoundaryError):
            native(**bad, out=out)
    after = [sys.getrefcount(a) for a in (*out, out)]
    assert after == before

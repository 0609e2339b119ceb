"""State under the native entry: read where it lies, updated in place, counted by versions, one update at a time."""

from __future__ import annotations

import copy
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError
from graphnn.lower.ir import Program, Store
from graphnn.run.executable import Executable
from graphnn.run.native.library import native_entry
from graphnn.run.native.records import Context
from graphnn.run.states import HeldState
from graphnn.run.storage import load
from graphnn.simplify.expr import Const, Load, index_constant
from tests.run.make import axes, buffer, build, loops, plus, scale_program, step_program
from tests.run.native.ways import WAYS, choose, is_native, left, warm

pytestmark = pytest.mark.skipif(native_entry() is None, reason="no native entry on this Python")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose(request.param, monkeypatch)
    return str(request.param)


ONES = np.ones(6, np.float32)


def stepping(state: HeldState) -> tuple[Executable, float]:
    """A warm program that adds g/2 to w, and how much it has added by now."""
    step = warm(build(step_program(), state=state), g=ONES)
    return step, float(state.buffer("w")[0])


def test_updates_in_place_are_counted(way: str) -> None:
    w = np.zeros(6, np.float32)
    state = HeldState({"w": w})
    step, done = stepping(state)
    version = state.version
    for k in range(1, 30):
        assert step(g=ONES).tolist() == [done + 0.5 * k] * 6
        assert state.version == version + k
    assert w.tolist() == [done + 0.5 * 29] * 6
    for _ in range(2):  # the second sees what the first counted
        assert way == "python" or not left(step, g=ONES)


def test_an_array_that_was_replaced_is_noticed(way: str) -> None:
    state = HeldState({"w": np.zeros(6, np.float32)})
    step, _ = stepping(state)
    for start in (10, 20, 30):
        state._values["w"] = np.full(6, start, np.float32)
        state.version += 1
        assert [step(g=ONES)[0] for _ in range(3)] == [start + 0.5, start + 1, start + 1.5]
    assert state.buffer("w").tolist() == [31.5] * 6


def test_programs_that_share_a_state(way: str) -> None:
    network = Network("n")
    network.parameter("w", (6,), dtype="float32")
    network.state["w"] = np.zeros(6, np.float32)
    read = Program(
        "read",
        (),
        (buffer("w", (6,), "state", "float64"), buffer("y", (6,), "output", "float64")),
        (loops((6,), Store("y", axes(1), Load("w", axes(1), "float64"))),),
    )
    step = warm(build(step_program(), state=network.state), g=ONES)
    double = warm(build(read, state=network.state))  # a converted copy, made again for each version
    done = float(network.state["w"][0])
    for k in range(1, 6):
        step(g=ONES)
        assert double().tolist() == [done + 0.5 * k] * 6
    network.state["w"] = np.arange(6, dtype=np.float32)
    assert double().tolist() == np.arange(6).tolist()
    assert step(g=ONES).tolist() == (np.arange(6) + 0.5).tolist()
    network.initialize(seed=3)
    assert double().tolist() == network.state["w"].tolist()


def test_large_versions_and_strange_ones(way: str) -> None:
    state = HeldState({"w": np.zeros(6, np.float32)})
    step, done = stepping(state)
    for version in (2**31, 2**62, 2**63 - 2, 2**80, 7):
        state.version = version
        for _ in range(3):
            done += 0.5
            assert step(g=ONES).tolist() == [done] * 6
        assert state.version == version + 3
    del state.version
    with pytest.raises(AttributeError, match="version"):
        step(g=ONES)


def test_an_input_that_is_the_state(way: str) -> None:
    memory = np.zeros(16, np.float32)
    w = memory[4:10]
    step = warm(build(step_program(), state=HeldState({"w": w})), g=ONES)
    for start in (0, 3, 4, 9):
        with pytest.raises(BoundaryError, match="is the memory of a state that the program updates"):
            step(g=memory[start : start + 6])
    before = w.copy()
    memory[10:16] = 2  # directly behind
    assert step(g=memory[10:16]).tolist() == (before + 1).tolist()


def counter_program() -> Program:
    """w[0] = w[0] + g[i0] for each i0; slow enough for two calls to meet, and it runs without the GIL."""
    cell = Load("w", (index_constant(0),), "float32")
    add = Store("w", (index_constant(0),), plus(cell, Load("g", axes(1), "float32")))
    buffers = (buffer("g", (2000,), "input"), buffer("w", (1,), "state"), buffer("y", (), "output"))
    return Program("count", (), buffers, (loops((2000,), add), Store("y", (), Const(0.0, "float32"))))


def test_updates_of_eight_threads_are_not_lost(way: str) -> None:
    state = HeldState({"w": np.zeros(1, np.float32)})
    g = np.ones(2000, np.float32)
    count = warm(build(counter_program(), state=state), g=g)
    start, version = float(state.buffer("w")[0]), state.version

    def work(number: int) -> None:
        for k in range(100):  # some calls go the other way
            count(g=g.tolist() if (k + number) % 10 == 0 else g)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert state.buffer("w")[0] - start == 800 * 2000
    assert state.version == version + 800
    entry = count._call.entry
    assert entry is None or entry._context[Context.UPDATING] == entry._context[Context.RUNNING] == 0


def test_no_update_begins_while_another_runs_without_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    choose("native", monkeypatch)
    step, _ = stepping(HeldState({"w": np.zeros(6, np.float32)}))
    program, seen = step._call.function, []

    def look(table: int, sizes: int) -> int:
        seen.append(left(step, g=ONES))
        return int(program(table, sizes))

    frames = step._call.frames
    for frame in [frames.take(), frames.take()]:  # so that a call inside the other does not lack one
        frames.give(frame)
    assert not left(step, g=ONES)
    monkeypatch.setattr(step._call, "function", look)
    step(g=ONES.tolist())
    assert seen == [True]
    assert not left(step, g=ONES)


def adder_program() -> Program:
    """w[] = w[] + x[0], y[n] = x[n]"""
    first = Load("x", (index_constant(0),), "float32")
    body = (
        Store("w", (), plus(Load("w", (), "float32"), first)),
        loops(("N",), Store("y", axes(1), Load("x", axes(1), "float32"))),
    )
    buffers = (buffer("x", ("N",), "input"), buffer("w", (), "state"), buffer("y", ("N",), "output"))
    return Program("adder", ("N",), buffers, body)


def test_short_and_long_updates_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    state = HeldState({"w": np.zeros((), np.float32)})
    add = build(adder_program(), state=state)
    short, long = np.ones(3, np.float32), np.ones(7, np.float32)
    choose("native, releasing the GIL", monkeypatch)
    warm(add, x=long)
    choose("native", monkeypatch)
    warm(add, x=short)
    start = float(state.buffer("w"))
    for _ in range(10):
        for x in (short, long):
            assert not left(add, x=x)
            assert add(x=x).shape == x.shape
    assert state.buffer("w") == start + 40
    lock = add._call.lock
    assert lock.acquire(blocking=False)
    lock.release()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()


def test_a_warm_program_saved_and_loaded(way: str, tmp_path: Path) -> None:
    state = HeldState({"w": np.zeros(6, np.float32)})
    step, done = stepping(state)
    step.save(tmp_path / "step.gnn")
    again = load(tmp_path / "step.gnn")
    for k in range(1, 25):
        assert again(g=ONES).tolist() == [done + 0.5 * k] * 6
    assert is_native(again) == (way != "python")
    assert state.buffer("w").tolist() == [done] * 6


def test_programs_are_not_pickled_or_copied(way: str) -> None:
    step, _ = stepping(HeldState({"w": np.zeros(6, np.float32)}))
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"use save\(path\) and graphnn.load\(path\)"):
            copied(step)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_process_goes_on_by_itself(way: str) -> None:
    state = HeldState({"w": np.zeros(6, np.float32)})
    step, done = stepping(state)
    child = os.fork()
    if child == 0:
        values = [step(g=ONES)[0] for _ in range(3)]
        os._exit(0 if values == [done + 0.5, done + 1, done + 1.5] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert step(g=ONES).tolist() == [done + 0.5] * 6


def test_a_float_function_gives_a_float() -> None:
    for dtype in ("float32", "float64"):
        body = (Store("y", (), Load("x", (), dtype)),)
        scalar = Program("scalar", (), (buffer("x", (), "input", dtype), buffer("y", (), "output", dtype)), body)
        program = build(scalar)
        assert program.float_function(print) is None
        x = np.array(0.1, dtype)
        warm(program, x=x)
        function = program.float_function(lambda **given: given)
        assert function is not None
        assert (type(function(x=x)), function(x=x)) == (float, float(x))
        assert function(x=0.1) == {"x": 0.1}
        assert np.isnan(function(x=np.array(np.nan, dtype)))
        guarded = program.float_function(print, lambda **given: ("not finite", given))
        assert guarded is not None
        assert guarded(x=x) == float(x)
        for value in (np.nan, np.inf, -np.inf):
            bad = np.array(value, dtype)
            result = guarded(x=bad)
            assert result[0] == "not finite"
            assert result[1]["x"] is bad
    vector = warm(build(scale_program(), state=HeldState({"w": np.array(2, np.float32)})), x=ONES)
    assert vector.float_function(print) is None

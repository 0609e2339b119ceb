"""Many steps of a program in one native call, on hand-built programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
import pytest

from graphnn.errors import BoundaryError
from graphnn.lower.ir import Fold, Program, Store
from graphnn.run.arrays import Array
from graphnn.run.executable import Executable
from graphnn.run.manifest import Outputs
from graphnn.run.states import HeldState
from graphnn.run.steps import Steps, Stretch
from graphnn.simplify.expr import Axis, Const, DType, Load, Local, Op, Range, index_constant
from tests.run.make import axes, buffer, build, extent, loops, plus, times

ROWS = np.arange(15, dtype=np.float32).reshape(5, 3)


def sum_program(dtype: DType = "float32", rows: int | str = "N") -> Program:
    """loss[] = w[0] + scale[]*sum x; made[] = loss[] <= 2000; w[i] = w[i] + x[0, i]

    Where the rows are a number, it has a loop over steps of its own.
    """
    (i0,) = axes(1)
    w, loss = Load("w", (index_constant(0),), dtype), Load("loss", (), dtype)
    ranges = (Range("r0", index_constant(0), extent(rows)), Range("r1", index_constant(0), index_constant(3)))
    body = (
        Fold("s0", "sum", ranges, None, Load("x", (Axis("r0"), Axis("r1")), dtype)),
        Store("loss", (), plus(w, times(Load("scale", (), dtype), Local("s0", dtype)))),
        Store("made", (), Op("le", (loss, Const(2000.0, dtype)), "bool")),
        loops((3,), Store("w", (i0,), plus(Load("w", (i0,), dtype), Load("x", (index_constant(0), i0), dtype)))),
    )
    buffers = (
        buffer("x", (rows, 3), "input", dtype),
        buffer("scale", (), "input", dtype),
        buffer("w", (3,), "state", dtype),
        buffer("loss", (), "output", dtype),
        buffer("made", (), "output", "bool"),
    )
    return Program("sums", (rows,) if isinstance(rows, str) else (), buffers, body)


def summing(dtype: DType = "float32", rows: int | str = "N") -> tuple[Executable, HeldState]:
    state = HeldState({"w": np.zeros(3, dtype)})
    outputs = Outputs("list", ("loss", "made"))
    program = build(sum_program(dtype, rows), outputs=outputs, state=state)
    assert bool(program.manifest.steps) == isinstance(rows, int)
    return program, state


def stretch(size: int = 2, steps: int = 2, rows: Any = ROWS, order: Any = None, first: int = 0) -> Stretch:
    return Stretch({"x": rows, "scale": np.array(10, rows.dtype)}, {"x"}, size, first, steps, order)


def expected(size: int, steps: int, order: Any, first: int = 0) -> tuple[list[float], list[float]]:
    """(losses, w) with NumPy."""
    w, losses = np.zeros(3), []
    for k in range(steps):
        batch = ROWS[order[first + k * size : first + (k + 1) * size]]
        losses.append(w[0] + 10 * batch.sum())
        w += batch[0]
    return losses, w.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("order", [None, [3, 0, 4, 4, 1]])
@pytest.mark.parametrize("own", [False, True])
def test_rows_come_in_order(dtype: DType, size: int, order: list[int] | None, own: bool) -> None:
    program, state = summing(dtype, size if own else "N")
    steps, count = program.steps(watch=True), 5 // size
    given = stretch(size, count, ROWS.astype(dtype), None if order is None else np.array(order))
    assert steps.run(given, 0, count, 7.0)
    losses, w = expected(size, count, np.arange(5) if order is None else np.array(order))
    assert steps.done == count
    assert steps.losses.tolist() == losses
    assert steps.total == 7 + size * sum(losses)
    assert state.buffer("w").tolist() == w
    assert state.version == 1


def test_a_part_of_a_stretch() -> None:
    program, state = summing()
    steps, order = program.steps(watch=True), np.array([3, 0, 4, 2, 1])
    given = stretch(1, 4, order=order, first=1)
    assert steps.run(given, 0, 1, 0.0)
    assert steps.run(given, 1, 2, 0.0)
    assert steps.losses.tolist() == expected(1, 3, order, 1)[0][1:]
    np.testing.assert_array_equal(given.batch(2)["x"], ROWS[[2]])
    assert given.batch(2)["scale"] is given.arrays["scale"]
    assert steps.run(given, 3, 0, 5.0)
    assert (steps.done, len(steps.losses), steps.total) == (0, 0, 5.0)
    assert state.buffer("w").tolist() == expected(1, 3, order, 1)[1]


@pytest.mark.parametrize("rows", [1, "N"])
def test_a_step_that_was_not_made_ends_the_run(rows: int | str) -> None:
    steps = summing(rows=rows)[0].steps(watch=False)
    large = ROWS + np.array([0, 0, 0, 100, 0], np.float32)[:, None]  # the fourth loss is above 2000
    assert not steps.run(stretch(1, 5, large), 0, 5, 0.0)
    assert steps.done == len(steps.losses) == 3


@pytest.mark.parametrize("watch", [True, False])
@pytest.mark.parametrize("rows", [1, "N"])
def test_a_loss_that_is_not_finite_ends_the_run_where_it_is_watched(watch: bool, rows: int | str) -> None:
    whole = sum_program(rows=rows)
    buffers = (*whole.buffers[:-1], replace(whole.buffers[-1], role="temp"))
    state = HeldState({"w": np.zeros(3, np.float32)})
    program = build(replace(whole, buffers=buffers), outputs=Outputs("single", ("loss",)), state=state)
    steps, bad = program.steps(watch), ROWS.copy()
    bad[3, 1] = np.inf
    assert steps.run(stretch(1, 5, bad), 0, 5, 0.0) is not watch
    assert steps.done == (3 if watch else 5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (stretch(2, 3), "rows up to 6 are asked for; there are 5"),
        (stretch(1, 2, order=np.array([0, 5])), "rows up to 6 are asked for; there are 5"),
        (stretch(1, 2, order=np.array([0, -1])), "are asked for; there are 5"),
        (stretch(1, 2, order=np.array([0])), "a number for each row"),
        (stretch(1, 2, order=np.array([0, 1], np.int32)), "int64"),
        (stretch(1, 2, order=np.arange(4)[::2]), "C-contiguous"),
        (stretch(1, 2, np.asfortranarray(ROWS)), "C-contiguous, aligned ndarray of float32"),
        (stretch(1, 2, ROWS.astype(np.float64)), "aligned ndarray of float32"),
        (stretch(1, 2, ROWS[:, :2].copy()), "axis 1 must have extent 3"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_step(given: Stretch, message: str) -> None:
    program, state = summing()
    steps = program.steps(watch=True)
    with pytest.raises(BoundaryError, match=message):
        steps.run(given, 0, given.steps, 0.0)
    assert steps.done == state.version == 0


def test_a_source_within_the_state_is_refused() -> None:
    program, state = summing()
    with pytest.raises(BoundaryError, match="is the memory of a state that the program updates"):
        program.steps(watch=True).run(stretch(1, 1, state.buffer("w")[None]), 0, 1, 0.0)


class Moving:
    """The owner of a state whose array another takes the place of."""

    def __init__(self, array: Array) -> None:
        self.array, self.version = array, 0

    def buffer(self, name: str, dtype: str | None = None, /) -> Array:
        return self.array


def test_a_source_that_became_the_state_is_refused() -> None:
    rows, owner = ROWS.copy(), Moving(np.zeros(3, np.float32))
    steps = build(sum_program(), outputs=Outputs("list", ("loss", "made")), state=owner).steps(watch=True)
    given = stretch(1, 1, rows)
    assert steps.run(given, 0, 1, 0.0)
    owner.array, owner.version = rows[4], owner.version + 1
    with pytest.raises(BoundaryError, match="is the memory of a state that the program updates"):
        steps.run(given, 0, 1, 0.0)


def test_arrays_that_come_again_are_read_again() -> None:
    program, state = summing()
    steps, rows, scale = program.steps(watch=False), ROWS.copy(), np.array(10, np.float32)
    for size in (5, 5, 1, 1, 5):
        rows += 1
        before = state.buffer("w")[0]
        assert steps.run(Stretch({"x": rows, "scale": scale}, {"x"}, size, 0, 1), 0, 1, 0.0)
        assert steps.losses[0] == before + 10 * rows[:size].sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.resize((2, 3), refcheck=False), "rows up to 4 are asked for; there are 2"),
        (lambda x: setattr(x, "shape", (3, 5)), "axis 1 must have extent 3"),
        (lambda x: setattr(x, "dtype", np.int32), "aligned ndarray of float32"),
        (lambda x: setattr(x, "strides", (4, 8)), "C-contiguous"),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
def test_what_became_of_an_array_in_place_is_seen(change: Callable[[Any], object], message: str) -> None:
    program, state = summing()
    steps, rows = program.steps(watch=True), np.array(ROWS)
    given = stretch(2, 2, rows)
    assert steps.run(given, 0, 2, 0.0)
    change(rows)
    with pytest.raises(BoundaryError, match=message):
        steps.run(given, 0, 2, 0.0)
    assert state.version == 1


def test_arrays_are_not_kept_between_runs() -> None:
    steps, rows = summing()[0].steps(watch=True), np.array(ROWS)
    held = ref(rows)
    assert steps.run(stretch(1, 5, rows), 0, 5, 0.0)
    del rows
    assert held() is None


@pytest.mark.parametrize("rows", [2, "N"])
def test_a_call_between_runs_sees_the_state(rows: int | str) -> None:
    program, _ = summing(rows=rows)
    steps = program.steps(watch=True)
    assert steps.run(stretch(), 0, 2, 0.0)
    loss, _ = program(x=ROWS[:2], scale=np.array(10, np.float32))
    assert float(loss) == expected(2, 2, np.arange(5))[1][0] + 10 * ROWS[:2].sum()


LONG = 3_000_000  # steps, some 30 ms


def endless(rows: int | str = "N") -> tuple[Steps, Stretch]:
    steps = summing(rows=rows)[0].steps(watch=False)
    return steps, stretch(1, LONG, np.zeros((1, 3), np.float32), np.zeros(LONG, np.int64))


@pytest.mark.parametrize("rows", [1, "N"])
def test_stop_ends_a_run_between_two_steps(rows: int | str) -> None:
    steps, given = endless(rows)

    def stop() -> None:
        while steps.done < 1000:
            time.sleep(0)
        steps.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    assert steps.run(given, 0, LONG, 0.0)
    thread.join()
    assert 1000 <= steps.done < LONG
    assert steps.run(given, 0, 5, 0.0)
    assert steps.done == 5
    steps.stop()
    assert steps.run(given, 0, 5, 0.0)
    assert steps.done == 0


def test_an_error_of_the_report_ends_a_run_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphnn.run.steps.TICK", 1e-3)
    steps, given = endless()

    def report(done: int) -> None:
        raise OSError(f"{done} cannot be shown")

    with pytest.raises(OSError, match="cannot be shown"):
        steps.run(given, 0, LONG, 0.0, report)
    assert steps.done < LONG
    assert threading.active_count() == 1


def test_where_no_thread_starts_the_caller_runs_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(function: object, arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("graphnn.run.steps.start_new_thread", start)
    steps = summing()[0].steps(watch=True)
    assert steps.run(stretch(), 0, 2, 0.0)
    assert steps.losses.tolist() == expected(2, 2, np.arange(5))[0]


@pytest.mark.parametrize("longest", [0.0, np.inf])
def test_short_runs_start_no_thread(monkeypatch: pytest.MonkeyPatch, longest: float) -> None:
    def start(function: object, arguments: object) -> None:
        raise OSError("no thread")

    steps = summing()[0].steps(watch=True)
    assert steps.run(stretch(), 0, 2, 0.0)
    monkeypatch.setattr("graphnn.run.steps.start_new_thread", start)
    monkeypatch.setattr("graphnn.run.steps.DIRECT", longest)
    if longest:
        assert steps.run(stretch(), 0, 2, 0.0)
    else:
        with pytest.raises(OSError, match="no thread"):
            steps.run(stretch(), 0, 2, 0.0)
        assert steps.done == 0

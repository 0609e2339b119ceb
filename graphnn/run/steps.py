"""Steps of a training program, many in one native call: rows of arrays in, a loss for each step out.

The caller says which rows; drawing batches of them, the steps, and the sum of the losses are native code
(`run/native/steps_code.py`), which another thread may stop between two steps.
"""

from __future__ import annotations

import ctypes
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import prod
from time import perf_counter, sleep
from typing import Any
from weakref import ref

import numpy as np

from graphnn.errors import BoundaryError
from graphnn.run.arrays import PLAIN, Array, address, aligned_empty, described
from graphnn.run.call import Call
from graphnn.run.manifest import stopped
from graphnn.run.native.records import REFUSED, StepsWord, place, record
from graphnn.run.native.steps import native_steps, steps_at
from graphnn.run.native.words import WORD
from graphnn.run.resolve import Resolved
from graphnn.simplify.expr import INT64_MAX

DIRECT = 5e-3  # seconds: native code up to this long runs on the caller's thread, which sees no signal meanwhile
TICK = 0.05  # seconds after which whoever waits looks up: a signal just before the wait began does not end it


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Stretch:
    """Batches of `size` rows, one after the other.

    The inputs named in `batched` have the rows of their arrays with the numbers order[first], order[first + 1], ...;
    without an order, rows first, first + 1, ... The others are read whole by each step.
    """

    arrays: Mapping[str, Array]
    batched: Collection[str]
    size: int
    first: int
    steps: int
    order: Array | None = None

    @property
    def gathers(self) -> bool:
        """Whether the rows of a batch are copied: they are not where they lie side by side."""
        return self.order is not None and self.size > 1

    def check_rows(self, length: int) -> None:
        """Raise BoundaryError where a row is none of the `length` that there are."""
        count, order = self.steps * self.size, self.order
        needed = self.first + count
        if order is not None:
            if order.dtype != np.int64 or order.flags.num & PLAIN != PLAIN or len(order) < needed:
                raise BoundaryError("the order of rows is a C-contiguous array of int64, with a number for each row")
            needed = int(order[self.first : needed].view(np.uint64).max(initial=0)) + 1  # negative ones are the largest
        if needed > length:
            raise BoundaryError(f"rows up to {needed} are asked for; there are {length}")

    def rows(self, first: int, steps: int) -> Any:
        """What gives the rows of these steps, counted from the first one here, as an index."""
        start, stop = self.first + first * self.size, self.first + (first + steps) * self.size
        return slice(start, stop) if self.order is None else self.order[start:stop]

    def batch(self, step: int) -> dict[str, Array]:
        """The arrays of one step."""
        rows = self.rows(step, 1)
        return {name: array[rows] if name in self.batched else array for name, array in self.arrays.items()}


class Steps:
    """The steps of one program, whose first output is the loss and whose second, if any, whether the step was made.

    `watch` ends a run at a loss that is not finite. One thread runs; any other may read `done` and call `stop`.
    Between runs no array of a stretch is kept; arrays in the places of those before are described to the loop already.
    """

    def __init__(self, call: Call, watch: bool) -> None:
        manifest = call.manifest
        self._call = call
        self._inputs = [(b.name, k) for k, b in enumerate(manifest.buffers) if b.role == "input"]
        self._names = [name for name, _ in self._inputs]
        self._loss, *self._finite = manifest.outputs.buffers
        double = any(b.name == self._loss and b.dtype == "float64" for b in manifest.buffers)
        self._words = (ctypes.c_int64 * len(StepsWord))()
        self._address = ctypes.addressof(self._words)
        self._total = ctypes.c_double.from_buffer(self._words, WORD * StepsWord.TOTAL)
        self._words[StepsWord.ENTRY] = call.native.address
        self._native = steps_at(call.native.steps) if call.native.steps else native_steps()
        self._words[StepsWord.WATCH], self._words[StepsWord.DOUBLE] = watch, double
        self._losses = np.empty(0)
        self._read: _Read | None = None
        self._stretch: Callable[[], Stretch | None] = _nothing  # the one whose rows were checked last
        self._known = (0, False)  # what the memory below is for
        self._outputs: dict[str, Array] = {}
        self._buffers: dict[str, Array] = {}
        self._pace = 0.0  # seconds a step, in the latest run
        self._busy = False  # a thread that is about to set it finds STOP set

    @property
    def done(self) -> int:
        """How many steps the latest run has made, at any time."""
        return self._words[StepsWord.DONE]

    @property
    def losses(self) -> Array:
        """The losses of the steps that were made, in float64, until the next run."""
        return self._losses[: self.done]

    @property
    def total(self) -> float:
        """The sum of these losses, each times the rows of its batch, added to what the run was given."""
        return self._total.value

    def stop(self) -> None:
        """End the run, or the next one where none is, before its next step."""
        self._words[StepsWord.STOP] = 1

    def reset(self) -> None:
        """No steps are made: what `done` and `losses` tell of from now on is the next run."""
        self._words[StepsWord.DONE] = 0

    def pause(self) -> None:
        """Stop, and return when no step is being made. A signal handler may call it while `run` waits."""
        self.stop()
        while self._busy:
            sleep(1e-3)

    def run(
        self, stretch: Stretch, first: int, steps: int, total: float, report: Callable[[int], None] | None = None
    ) -> bool:
        """Run so many steps of a stretch from its step `first` on; False where the watch refused the one after `done`.

        Where that takes long, another thread runs them, while this one waits for it and for signals, and tells
        `report` now and then how many are done. An error of a signal handler or of `report` stops the steps and is
        raised when they have stopped. Raises BoundaryError, before any step, for arrays that do not fit.
        """
        words, call, read = self._words, self._call, self._read
        self.reset()
        self._total.value = total
        arrays = [stretch.arrays[name] for name in self._names]
        seen = (stretch.size, stretch.gathers, stretch.batched, *map(described, arrays))
        if read is None or read.seen != seen:
            self._read = read = self._prepare(stretch, seen)
            self._stretch = _nothing
        if self._stretch() is not stretch:
            stretch.check_rows(read.length)
            words[StepsWord.ORDER] = 0 if stretch.order is None else address(stretch.order)
            self._stretch = ref(stretch)
        if call.boundary.checked:
            self._check_values(arrays, read.resolved, stretch, first, steps)
        if len(self._losses) < steps:
            self._losses = np.empty(steps)
            words[StepsWord.LOSSES] = address(self._losses)
        words[StepsWord.STEPS], words[StepsWord.FIRST] = steps, stretch.first + first * stretch.size
        states = call.begin_update(arrays, read.apart_from)
        try:
            read.apart_from = states.serial
            frame = call.frames.take()
            try:
                frame.point(read.resolved, states, read.addresses)
                words[StepsWord.TABLE], words[StepsWord.SIZES] = frame.table_address, frame.sizes_address
                code = self._drive(steps, report)
            finally:
                call.frames.give(frame)
        finally:
            call.end_update(states)
            words[StepsWord.STOP] = 0
        if code not in (0, REFUSED):
            stopped(call.manifest, code)
        return code == 0

    def _prepare(self, stretch: Stretch, seen: tuple[object, ...]) -> _Read:
        """Check the arrays of a stretch, but for their values, and describe them to the loop."""
        words = self._words
        arrays, resolved = self._call.boundary.admit_rows(stretch.arrays, stretch.batched, stretch.size)
        named = [(array, *place) for array, place in zip(arrays, self._inputs, strict=True)]
        batched = [(array, name, position) for array, name, position in named if name in stretch.batched]
        if self._known != (resolved.serial, stretch.gathers):
            self._outputs = {name: allocate() for name, allocate in resolved.allocators}
            self._buffers = {
                name: aligned_empty((stretch.size, *array.shape[1:]), array.dtype)
                for array, name, _ in batched
                if stretch.gathers
            }
            self._known = resolved.serial, stretch.gathers
        words[StepsWord.LOSS] = address(self._outputs[self._loss])
        words[StepsWord.FINITE] = address(self._outputs[self._finite[0]]) if self._finite else 0
        rows: list[int] = []
        for array, name, position in batched:
            buffer = address(self._buffers[name]) if stretch.gathers else 0
            rows += (position, address(array), array.itemsize * prod(array.shape[1:]), buffer)  # as in RowsWord
        table = record(rows)
        words[StepsWord.ROWS], words[StepsWord.INPUTS] = place(table), len(batched)
        words[StepsWord.SIZE] = stretch.size
        length = min((len(array) for array, _, _ in batched), default=INT64_MAX)
        addresses = [*map(address, (*arrays, *self._outputs.values()))]
        return _Read(seen, length, resolved, addresses, table)

    def _check_values(self, arrays: list[Array], resolved: Resolved, stretch: Stretch, first: int, steps: int) -> None:
        """Raise BoundaryError where the program does not take the values that these steps read."""
        values, rows = list(arrays), stretch.rows(first, steps)
        for position in self._call.boundary.checked:
            if self._inputs[position][0] in stretch.batched:
                values[position] = values[position][rows]
        self._call.boundary.check_values(values, resolved)

    def _drive(self, steps: int, report: Callable[[int], None] | None) -> int:
        """Run the loop and return its code."""
        start = perf_counter()
        if 0 < steps * self._pace < DIRECT:
            code = self._loop()
        else:
            code = _wait_for(self._loop, self.stop, lambda: report and report(self.done))
        self._pace = (perf_counter() - start) / max(self.done, 1)
        return code

    def _loop(self) -> int:
        self._busy = True
        try:
            return self._native(self._address)
        finally:
            self._busy = False


@dataclass(slots=True)
class _Read:
    """What the loop was told of the arrays of a stretch."""

    seen: tuple[object, ...]  # what it depends on: what batches are made of, and each array as `described`
    length: int  # of the shortest one whose rows are read
    resolved: Resolved
    addresses: list[int]  # of the inputs, then of the outputs
    table: Array  # the records of RowsWord
    apart_from: int = 0  # the serial of states that the arrays share no memory with


def _wait_for(call: Callable[[], int], stop: Callable[[], None], look: Callable[[], object]) -> int:
    """call() on a thread of its own. Python handles a signal when a native call of the main thread has returned.

    An error raised meanwhile, by a signal handler or by `look`, goes on when the call, told to stop, has returned. It
    may come between any two lines of this, so a second thread may be started: only the first one calls.
    """
    mine, ended = allocate_lock(), allocate_lock()
    ended.acquire()
    codes: list[int] = []
    started, error = False, None

    def work() -> None:
        if mine.acquire(blocking=False):
            try:
                codes.append(call())
            finally:
                ended.release()

    while not codes:
        try:
            if not started:
                try:
                    start_new_thread(work, ())
                except RuntimeError:  # the system has no more
                    work()
                started = True
            ended.acquire(timeout=TICK)
            if error is None:
                look()
        except BaseException as found:
            stop()
            error = error or found
            if mine.acquire(blocking=False):  # no thread has begun, and none will
                break
    if error is not None:
        raise error
    return codes[0]


def _nothing() -> None:
    return None

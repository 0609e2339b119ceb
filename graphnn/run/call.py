"""A call of a compiled program, step by step: what every call means, and the way that the native entry leaves to."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from threading import RLock
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from graphnn.run.arrays import Array, address
from graphnn.run.boundary import Boundary, by_keyword
from graphnn.run.frame import Frames
from graphnn.run.link import NativeFunction
from graphnn.run.manifest import Manifest, stopped
from graphnn.run.prepare import prepare_arrays, unchanged
from graphnn.run.resolve import Resolved
from graphnn.run.states import BoundStates, StateSource, bind_states

if TYPE_CHECKING:
    from graphnn.run.native.entry import Entry

WARM = 10  # calls after which the native entry is made
LONGEST = 1_000_000  # ns of native code beyond which its microseconds are not worth their compilation

# Calls through ctypes release the GIL.
_Function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


class Call:
    """What a call needs: the boundary, the states, the frames, the lock, the program itself.

    Threads may use one at the same time: each call has pointers and an arena of its own, and the native code runs
    without the GIL. Calls that update state run one after the other.
    """

    def __init__(self, manifest: Manifest, native: NativeFunction, source: StateSource) -> None:
        self.manifest, self.source, self.native = manifest, source, native
        self.function = _Function(native.address)
        self.boundary = Boundary(manifest)
        self.frames = Frames(manifest)
        self.lock = RLock()
        self.warm: Callable[[], object] = _nothing  # told once that the native entry is there
        self.entry: Entry | None = None
        self._gather = manifest.outputs.gather
        self._updates = bool(manifest.updates)
        self._states: BoundStates | None = None
        self._calls = 0
        self._fastest: dict[int, int] = {}  # ns of native code in the calls before the entry, by what their shapes gave

    def run(self, /, *positional: Any, out: Any = None, **inputs: Any) -> Any:
        """Run on one array per input, by name.

        Raises BoundaryError for arrays that do not fit, CompileError where a check of `debug=True` fails.
        """
        if positional:
            names = (spec.name for spec in self.manifest.inputs)
            raise by_keyword(f"program {self.manifest.name!r}", names)
        arrays, resolved = self.boundary.admit(inputs)
        if not self._updates:
            return self._run(arrays, resolved, self.states(), out)
        states = self.begin_update(arrays)
        try:
            return self._run(arrays, resolved, states, out)
        finally:
            self.end_update(states)

    def begin_update(self, arrays: Sequence[Array], apart_from: int = 0) -> BoundStates:
        """The states, for the caller to change while it reads these arrays; no other update runs until `end_update`.

        `apart_from` is the serial of states that the arrays are known to share no memory with.
        """
        self.lock.acquire()
        try:
            states = self.states()
            if states.serial != apart_from:
                self.boundary.keep_apart(arrays, states)
            self._alone(True, states)
        except BaseException:
            self.lock.release()
            raise
        return states

    def end_update(self, states: BoundStates) -> None:
        """Count the update, after what `begin_update` gave."""
        try:
            alone = states.version == self.source.version
            self.source.version += 1
            if alone:  # what this call changed, it changed in place: the pointers still hold
                states.version = self.source.version
            self._alone(False, states)
        finally:
            self.lock.release()

    def _alone(self, running: bool, states: BoundStates) -> None:
        if self.entry is not None:
            self.entry.update(running, states)

    def states(self) -> BoundStates:
        """The states as of now, and what is prepared from them."""
        return self._current() or self._bind()

    def _current(self) -> BoundStates | None:
        states = self._states
        if states is not None and self.entry is not None:
            self.entry.refresh(states)
        return states if states is not None and states.version == self.source.version else None

    def _bind(self) -> BoundStates:
        with self.lock:
            states = self._current()  # another thread may have bound them meanwhile
            if states is None:
                version, prepared = (0, ()) if self._states is None else (self._states.version, self._states.prepared)
                self._states = None  # so that nothing of before is kept beside what is made now
                if self.entry is not None:
                    self.entry.unbind()
                states = bind_states(self.manifest, self.source)
                if self.native.prepare:
                    known = unchanged(self.manifest, prepared, version, self.source) if prepared else {}
                    del prepared
                    states.prepared = prepare_arrays(self.manifest, self.native.prepare, states, known)
                self._states = states
                if self.entry is not None:
                    self.entry.bind(states)
        return states

    def _run(self, arrays: list[Array], resolved: Resolved, states: BoundStates, out: Any) -> Any:
        if out is None:
            results = {name: allocate() for name, allocate in resolved.allocators}
        else:
            results = self.boundary.admit_outputs(out, resolved, arrays, states)
        frame = self.frames.take()
        try:
            frame.point(resolved, states, map(address, (*arrays, *results.values())))
            start = perf_counter_ns()
            code = self.function(frame.table_address, frame.sizes_address)
            taken = perf_counter_ns() - start
        finally:
            self.frames.give(frame)
        if code:
            stopped(self.manifest, code)
        if self.entry is not None:
            fastest = min(taken, self._fastest.get(resolved.serial, taken))
            self.entry.plan(resolved, tuple(array.shape for array in arrays), fastest)
        elif taken < LONGEST and self._calls < WARM:
            self._count(resolved, taken)
        return self._gather(results)

    def _count(self, resolved: Resolved, taken: int) -> None:
        self._fastest[resolved.serial] = min(taken, self._fastest.get(resolved.serial, taken))
        self._calls += 1
        if self._calls >= WARM and self.ready() is not None:
            self.warm()

    def ready(self) -> Entry | None:
        """The native entry, made now where there is none yet; None where there can be none."""
        from graphnn.run.native.entry import entry_of  # most processes make few calls

        if self.entry is None:
            with self.lock:
                if self.entry is None:
                    entry = entry_of(self.manifest, self.native.address, self.source, self.lock, self.frames)
                    if entry is not None and self._states is not None:
                        entry.bind(self._states)
                    self.entry = entry
        return self.entry


def _nothing() -> None:
    pass

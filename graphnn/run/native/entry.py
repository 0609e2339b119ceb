"""The native entry of one program: a function object that checks arrays, runs and makes the result without Python code.

It takes the calls that it knows by heart, those whose arrays match a plan, and leaves every other to `Call.run`. So a
call behaves the same either way, and what it refuses is refused in one place, by `run/boundary.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock, RLock
from typing import Any

import numpy as np

from graphnn.run.arrays import Array
from graphnn.run.frame import Frames, places_in_frame
from graphnn.run.manifest import Manifest, stopped
from graphnn.run.native.api import function_object
from graphnn.run.native.library import NativeEntry, native_entry
from graphnn.run.native.plan import PlanRecord, plan_record, states_record
from graphnn.run.native.records import MOST_INPUTS, Context, Door, Plan, filled, place, pointers, record
from graphnn.run.resolve import Resolved, Shape
from graphnn.run.states import BoundStates, StateSource
from graphnn.simplify.expr import INT64_MAX

LINKED = 4  # plans that a call is compared with: a training run has two
KNOWN = 64  # plans that are kept

_STRUCTURES = ("single", "list", "dict")


class _Door(np.ndarray[Any, Any]):
    """The record of a function object, which keeps alive what its words point at."""

    kept: tuple[object, ...]


def _door(words: Mapping[Door, int], *kept: object) -> _Door:
    door = record(filled(Door, words)).view(_Door)
    door.flags.writeable = False
    door.kept = kept
    return door


def entry_of(manifest: Manifest, address: int, source: StateSource, lock: RLock, frames: Frames) -> Entry | None:
    """The entry of a program whose native function is at an address; None where it cannot have one.

    That is where there is none in this process, with the checks of `debug=True`, with very many inputs, and where
    distributions are float64, whose sums only one order of summation judges.
    """
    doubles = any(b.dtype != "float32" for b in manifest.inputs if b.name in manifest.distributions)
    if manifest.checks or doubles or len(manifest.inputs) > MOST_INPUTS:
        return None
    native = native_entry()
    return None if native is None else Entry(native, manifest, address, source, lock, frames)


@dataclass(frozen=True, slots=True)
class BoundRecord:
    """Bound states, and their record."""

    states: BoundStates
    words: Array

    @property
    def serial(self) -> int:
        return self.states.serial


class Entry:
    """The context of one program, and its plans."""

    def __init__(
        self,
        native: NativeEntry,
        manifest: Manifest,
        address: int,
        source: StateSource,
        lock: RLock,
        frames: Frames,
    ) -> None:
        self._native, self._manifest = native, manifest
        self._plans: dict[int, PlanRecord] = {}
        self._linked: list[PlanRecord] = []
        self._linking = Lock()
        self._retired: list[PlanRecord | BoundRecord] = []  # what a running call may still read
        self._retiring = Lock()
        self._states: BoundRecord | None = None
        self._context = record(filled(Context, {**native.api, **self._program(address, source, lock)}))
        self.address = place(self._context)
        self._frames = frames
        frames.share(partial(native.take, self.address), partial(native.give, self.address))

    def _program(self, address: int, source: StateSource, lock: Any) -> dict[Context, int]:
        manifest = self._manifest
        produced = manifest.of("output")
        table, sizes = places_in_frame(manifest)
        order = {b.name: k for k, b in enumerate(produced)}
        outputs = manifest.outputs
        names = [sys.intern(b.name) for b in manifest.inputs]
        keys = [id(key) for key in outputs.keys] or [0] * len(outputs.buffers)
        named = pointers(names)
        places = record(word for name, key in zip(outputs.buffers, keys, strict=True) for word in (order[name], key))
        fail, acquire, release = partial(stopped, manifest), lock.acquire, lock.release
        self._kept = (source, names, named, places, fail, acquire, release)
        return {
            Context.VERSION: -1,
            Context.ENTRY: address,
            Context.SOURCE: id(source) if manifest.states else 0,
            Context.UPDATES: bool(manifest.updates),
            Context.FAILED: id(fail),
            Context.INPUTS: len(names),
            Context.OUTPUTS: len(produced),
            Context.NAMES: place(named),
            Context.TABLE: table,
            Context.SIZES: sizes,
            Context.STRUCTURE: _STRUCTURES.index(outputs.structure),
            Context.RESULTS: len(outputs.buffers),
            Context.PLACES: place(places),
            Context.DOUBLE: produced[0].dtype == "float64",
            Context.ACQUIRE: id(acquire),
            Context.RELEASE: id(release),
        }

    def function(self, otherwise: Callable[..., Any]) -> Callable[..., Any]:
        """The function object; calls that are in no plan go to `otherwise`."""
        words = {Door.CONTEXT: self.address, Door.OTHERWISE: id(otherwise)}
        return function_object(self._native.call, _door(words, otherwise, self))

    def float_function(self, otherwise: Callable[..., Any], unusual: Callable[..., Any] | None) -> Callable[..., Any]:
        """The same with the one output as a Python float; where that is not finite, `unusual` gives the result."""
        words = {Door.CONTEXT: self.address, Door.OTHERWISE: id(otherwise), Door.SCALAR: 1}
        if unusual is not None:
            words[Door.UNUSUAL] = id(unusual)
        return function_object(self._native.call, _door(words, otherwise, unusual, self))

    def bound(
        self, otherwise: Callable[..., Any], plan: PlanRecord, arrays: list[Array], result: object
    ) -> Callable[[], Any]:
        """The function object of a call on these arrays, inputs and then outputs, that returns `result`."""
        objects, addresses = pointers(arrays), record(map(place, arrays))
        words = {
            Door.CONTEXT: self.address,
            Door.OTHERWISE: id(otherwise),
            Door.PLAN: plan.address,
            Door.RESULT: id(result),
            Door.ARRAYS: place(objects),
            Door.ADDRESSES: place(addresses),
        }
        kept = (otherwise, self, plan, arrays, objects, addresses, result)
        return function_object(self._native.bound, _door(words, *kept))

    def known(self, resolved: Resolved) -> PlanRecord | None:
        return self._plans.get(resolved.serial)

    def plan(self, resolved: Resolved, shapes: tuple[Shape, ...], nanoseconds: int) -> None:
        """Compare calls with these shapes first from now on."""
        if self._linked and self._linked[0].serial == resolved.serial:
            return
        if not self._linking.acquire(blocking=False):
            return  # another thread is at it, and a plan is never needed
        try:
            found = self._plans.get(resolved.serial)
            if found is None:
                found = plan_record(self._manifest, resolved, shapes, nanoseconds)
                if found is None:
                    return
                self._remember(found)
            self._link([found, *(plan for plan in self._linked if plan is not found)][:LINKED])
        finally:
            self._linking.release()

    def _remember(self, plan: PlanRecord) -> None:
        if len(self._plans) >= KNOWN:
            linked = {plan.serial: plan for plan in self._linked}
            self._retire(*(p for serial, p in self._plans.items() if serial not in linked))
            self._plans = linked
        self._plans[plan.serial] = plan

    def _link(self, plans: list[PlanRecord]) -> None:
        self._context[Context.PLANS] = 0  # native code follows the list whenever this thread may pause
        for plan, following in zip(plans, [*(p.address for p in plans[1:]), 0], strict=True):
            plan.words[Plan.NEXT] = following
        self._linked = plans
        self._context[Context.PLANS] = plans[0].address

    def _retire(self, *records: PlanRecord | BoundRecord) -> None:
        """Drop what no call will read again, now or with the next: a running call has marked its frame."""
        with self._retiring:
            self._retired += records
            plans, states = self._frames.serials() if self._context[Context.RUNNING] else ((), ())
            self._retired = [r for r in self._retired if r.serial in (plans if isinstance(r, PlanRecord) else states)]

    def bind(self, states: BoundStates) -> None:
        """Use these states from now on."""
        self.unbind()
        self._states = BoundRecord(states, states_record(self._manifest, states))
        self._context[Context.STATES] = place(self._states.words)
        self._context[Context.VERSION] = _version_word(states)

    def unbind(self) -> None:
        """Use no states until the next are bound: every call goes elsewhere."""
        before, self._states = self._states, None
        self._context[Context.VERSION] = -1
        self._context[Context.STATES] = 0
        if before is not None:
            self._retire(before)

    def refresh(self, states: BoundStates) -> None:
        """Take over the version that native updates have counted up to."""
        if self._states is not None and self._states.states is states:
            counted = int(self._context[Context.VERSION])
            states.version = states.version if counted < 0 else counted

    def update(self, running: bool, states: BoundStates) -> None:
        """Keep native updates out while one runs that they do not know of; afterwards, take over its version."""
        if not running and self._states is not None and self._states.states is states:
            self._context[Context.VERSION] = _version_word(states)
        self._context[Context.UPDATING] = running


def _version_word(states: BoundStates) -> int:
    """The version as the entry compares it; -1, which no version equals, for what does not fit."""
    return states.version if 0 <= states.version < INT64_MAX else -1

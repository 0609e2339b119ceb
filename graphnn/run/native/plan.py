"""Records for the native entry: what a call does for shapes that were resolved, and where the states lie.

resolution of x (64, 784), y (64,)  ->  a Plan: what both arrays must be, temps, sizes, outputs
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from graphnn.run.arrays import Array, allocator, is_small
from graphnn.run.boundary import deviation
from graphnn.run.manifest import BufferSpec, Manifest
from graphnn.run.native.records import Described, Plan, States, filled, place, record
from graphnn.run.native.words import WORD
from graphnn.run.resolve import Resolved, Shape
from graphnn.run.states import BoundStates, held_positions
from graphnn.simplify.expr import INT64_MAX

RELEASE_ABOVE = 10_000  # ns of native code; to give the GIL away and take it back costs 50, and as much as a wait more


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """The record of a plan, and what its addresses point at."""

    words: Array
    kept: tuple[object, ...]
    serial: int

    @property
    def address(self) -> int:
        return place(self.words)


def plan_record(
    manifest: Manifest, resolved: Resolved, shapes: tuple[Shape, ...], nanoseconds: int
) -> PlanRecord | None:
    """The plan for input shapes and what they resolve to; `nanoseconds` is what the native code took for them.

    None where the entry cannot check what has to be checked: distributions of float64.
    """
    specs = {b.name: k for k, b in enumerate(manifest.buffers)}
    if any(manifest.buffers[specs[name]].dtype != "float32" for name in manifest.distributions):
        return None
    if any(bound > INT64_MAX for bound in resolved.bounds.values()):
        return None
    kept: list[object] = []
    inputs: list[int] = []
    for spec, shape in zip(manifest.inputs, shapes, strict=True):
        words = _described(spec, shape, specs[spec.name])
        words[Described.BOUND] = resolved.bounds.get(spec.name, -1)
        if spec.name in manifest.distributions:
            words[Described.ROWS], words[Described.COLUMNS] = prod(shape[:-1]), shape[-1]
            half = np.array(deviation(spec, shape[-1]) / 2)
            words[Described.DEVIATION] = int(half.view(np.int64))
        inputs += [*filled(Described, words), *shape]
    outputs: list[int] = []
    for spec in manifest.of("output"):
        shape = resolved.outputs[spec.name]
        words = _described(spec, shape, specs[spec.name])
        if not is_small(shape, spec.numpy_dtype):
            kept.append(allocator(shape, spec.numpy_dtype))
            words[Described.ALLOCATE] = id(kept[-1])
        outputs += [*filled(Described, words), *shape]
    temps = [word for pair in resolved.temps for word in pair]
    head = {
        Plan.SERIAL: resolved.serial,
        Plan.ARENA: resolved.arena_bytes,
        Plan.RELEASES: nanoseconds > RELEASE_ABOVE,
        Plan.CHECKED: bool(manifest.index_bounds or manifest.distributions),
        Plan.TEMPS: len(resolved.temps),
        Plan.SIZES: len(resolved.sizes),
    }
    plan = record([*filled(Plan, head), *temps, *resolved.sizes, *inputs, *outputs])
    start = len(Plan)
    for word, length in ((Plan.TEMP_PLACES, len(temps)), (Plan.SIZE_VALUES, len(resolved.sizes)),
                         (Plan.INPUTS, len(inputs)), (Plan.OUTPUTS, len(outputs))):  # fmt: skip
        plan[word] = place(plan) + WORD * start
        start += length
    return PlanRecord(plan, (*kept, *(b.numpy_dtype for b in manifest.buffers)), resolved.serial)


def _described(spec: BufferSpec, shape: Shape, position: int) -> dict[Described, int]:
    return {
        Described.DTYPE: id(spec.numpy_dtype),
        Described.AXES: len(shape),
        Described.POSITION: position,
        Described.BYTES: prod(shape) * spec.numpy_dtype.itemsize,
        Described.COUNT: prod(shape),
        Described.BOUND: -1,
        Described.ROWS: -1,
    }


def states_record(manifest: Manifest, states: BoundStates) -> Array:
    """The record of bound states, and of what is prepared from them."""
    positions = held_positions(manifest)
    updated, held = list(states.updated), list(states.spans)
    head = {
        States.SERIAL: states.serial,
        States.COUNT: len(positions),
        States.UPDATED: len(updated),
        States.HELD: len(held),
    }
    pairs = [*zip(positions, states.places, strict=True), *updated, *held]
    return record([*filled(States, head), *(word for pair in pairs for word in pair)])

"""The prepared arrays of a program: what it computes from states that it does not update, kept with their binding."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from math import prod

from graphnn.run.arrays import Array, address, aligned_empty
from graphnn.run.link import call_at
from graphnn.run.manifest import Manifest, stopped
from graphnn.run.resolve import concrete_shape
from graphnn.run.states import BoundStates, StateSource


def unchanged(manifest: Manifest, prepared: Sequence[Array], version: int, source: StateSource) -> dict[str, Array]:
    """Those of the arrays prepared as of a version, by name, whose states have the values that they had then."""
    kept = (b.name for b in manifest.prepared if b.name not in manifest.passing)
    arrays = dict(zip(kept, prepared, strict=True))
    right = (p for p in manifest.preparations if not any(source.changed(name, version) for name in p.states))
    return {name: arrays[name] for p in right for name in p.arrays if name in arrays}


def prepare_arrays(
    manifest: Manifest, prepare: int, states: BoundStates, known: Mapping[str, Array]
) -> tuple[Array, ...]:
    """Arrays in the manifest's order, as the program lays them out: those known, others from the states as they are.

    Those that only others are computed from are not among them. `prepare` is the address of the entry that fills what
    its table points at.

    Raises CompileError where a check of `debug=True` fails.
    """
    arrays, places = dict(known), dict(zip((b.name for b in manifest.states), states.addresses, strict=True))
    missing = {name for p in manifest.preparations if known.keys().isdisjoint(p.arrays) for name in p.arrays}
    for spec in manifest.prepared:
        if spec.name in missing:
            arrays[spec.name] = aligned_empty((prod(concrete_shape(spec, {})),), spec.numpy_dtype)
            places[spec.name] = address(arrays[spec.name])
    table = (ctypes.c_void_p * len(manifest.buffers))(*(places.get(b.name) for b in manifest.buffers))
    sizes = (ctypes.c_int64 * max(len(manifest.sizes), 1))()
    code = call_at(prepare, ctypes.addressof(table), ctypes.addressof(sizes))
    if code:
        stopped(manifest, code)
    return tuple(arrays[b.name] for b in manifest.prepared if b.name not in manifest.passing)

"""The prepared arrays of a program: what it computes from states that it does not update, kept with their binding."""

from __future__ import annotations

import ctypes
from math import prod

from graphnn.run.arrays import Array, address, aligned_empty
from graphnn.run.link import call_at
from graphnn.run.manifest import Manifest, stopped
from graphnn.run.resolve import concrete_shape
from graphnn.run.states import BoundStates, held_positions


def prepare_arrays(manifest: Manifest, prepare: int, states: BoundStates) -> tuple[Array, ...]:
    """New arrays in the manifest's order, as the program lays them out, computed from the states as they are now.

    `prepare` is the address of the entry that fills them.
    Raises CompileError where a check of `debug=True` fails.
    """
    arrays = []
    for spec in manifest.prepared:
        shape = concrete_shape(spec, {})
        arrays.append(aligned_empty((prod(shape),), spec.numpy_dtype))
    table = (ctypes.c_void_p * len(manifest.buffers))()
    for position, place in zip(held_positions(manifest), (*states.addresses, *map(address, arrays)), strict=True):
        table[position] = place
    sizes = (ctypes.c_int64 * max(len(manifest.sizes), 1))()
    code = call_at(prepare, ctypes.addressof(table), ctypes.addressof(sizes))
    if code:
        stopped(manifest, code)
    return tuple(arrays)

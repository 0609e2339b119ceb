"""The prepared arrays of a program: what it computes from states that it does not update, kept with their binding."""

from __future__ import annotations

import ctypes
from math import prod

from graphnn.run.arrays import Array, address, aligned_empty
from graphnn.run.link import call_at
from graphnn.run.manifest import Manifest, stopped
from graphnn.run.resolve import concrete_shape
from graphnn.run.states import BoundStates


def prepare_arrays(manifest: Manifest, prepare: int, states: BoundStates) -> tuple[Array, ...]:
    """New arrays in the manifest's order, as the program lays them out, computed from the states as they are now.

    Those that only others are computed from are not among them. `prepare` is the address of the entry that fills them.

    Raises CompileError where a check of `debug=True` fails.
    """
    arrays, places = dict[str, Array](), dict(zip((b.name for b in manifest.states), states.addresses, strict=True))
    for spec in manifest.prepared:
        arrays[spec.name] = aligned_empty((prod(concrete_shape(spec, {})),), spec.numpy_dtype)
        places[spec.name] = address(arrays[spec.name])
    table = (ctypes.c_void_p * len(manifest.buffers))(*(places.get(b.name) for b in manifest.buffers))
    sizes = (ctypes.c_int64 * max(len(manifest.sizes), 1))()
    code = call_at(prepare, ctypes.addressof(table), ctypes.addressof(sizes))
    if code:
        stopped(manifest, code)
    return tuple(array for name, array in arrays.items() if name not in manifest.passing)

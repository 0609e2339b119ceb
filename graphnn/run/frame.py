"""What one running call owns: the table of pointers, the table of sizes, and the arena of its temp buffers."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

import numpy as np

from graphnn.run.arrays import Array, address, aligned_empty
from graphnn.run.manifest import Manifest
from graphnn.run.resolve import Resolved
from graphnn.run.states import BoundStates
from graphnn.simplify.formula import Role

_BYTE = np.dtype(np.uint8)


class Frame:
    """Reused from call to call, by one call at a time; only what differs from the last call is written again."""

    def __init__(self, manifest: Manifest) -> None:
        self._table = (ctypes.c_int64 * max(len(manifest.buffers), 1))()
        self._sizes = (ctypes.c_int64 * max(len(manifest.sizes), 1))()
        self.table_address = ctypes.addressof(self._table)
        self.sizes_address = ctypes.addressof(self._sizes)
        self._arrays = _positions(manifest, "input") + _positions(manifest, "output")
        self._state_positions = _positions(manifest, "state")
        self._arena: Array = aligned_empty((0,), _BYTE)
        self._resolved: Resolved | None = None
        self._states: BoundStates | None = None

    def point(self, resolved: Resolved, states: BoundStates, arrays: Iterable[Array]) -> None:
        """Fill both tables for a call; `arrays` are the inputs, then the outputs."""
        table = self._table
        if resolved is not self._resolved:
            if resolved.arena_bytes > self._arena.nbytes:
                self._arena = aligned_empty((resolved.arena_bytes,), _BYTE)
            start = address(self._arena)
            for position, offset in resolved.temps:
                table[position] = start + offset
            for position, size in enumerate(resolved.sizes):
                self._sizes[position] = size
            self._resolved = resolved
        if states is not self._states:
            for position, pointer in zip(self._state_positions, states.addresses, strict=True):
                table[position] = pointer
            self._states = states
        for position, array in zip(self._arrays, arrays, strict=True):
            table[position] = address(array)


def _positions(manifest: Manifest, role: Role) -> tuple[int, ...]:
    """Where the buffers of a role stand in the entry's table."""
    return tuple(position for position, buffer in enumerate(manifest.buffers) if buffer.role == role)

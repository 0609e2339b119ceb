"""The states of a call: arrays that outlive it, owned by a network or by a loaded file.

Native code works on the owner's arrays themselves. Where the owner keeps another dtype than the program was
compiled for, and the program only reads, a converted copy is used until the owner's version changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import numpy as np

from graphnn.errors import BoundaryError
from graphnn.run.arrays import PLAIN, Array, Spans, address
from graphnn.run.manifest import BufferSpec, Manifest
from graphnn.run.resolve import concrete_shape


class StateSource(Protocol):
    """The owner of state arrays. `version` grows whenever a value or an array changes; native updates add to it."""

    version: int

    def buffer(self, name: str, dtype: str | None = None, /) -> Array:
        """The array itself: for reading, and with `dtype`, which the owner keeps from now on, for native updates."""
        ...

    def changed(self, name: str, since: int, /) -> bool:
        """Whether a value may differ from what it was at version `since`."""
        ...


class HeldState:
    """The state of a program without a network: the arrays that a file held."""

    def __init__(self, values: Mapping[str, Array]) -> None:
        self._values = dict(values)
        self.version = 0

    def buffer(self, name: str, dtype: str | None = None, /) -> Array:
        value = self._values[name]
        if dtype is not None and value.dtype != np.dtype(dtype):
            value = self._values[name] = value.astype(dtype, order="C")
            self.version += 1
        return value

    def changed(self, name: str, since: int) -> bool:
        """Always: nobody but its one program changes this state, which knows what it leaves as it is."""
        return True


@dataclass(slots=True)
class BoundStates:
    """The states' arrays in the manifest's order, as of `version`, and where they and the updated ones of them lie.

    `prepared` are the arrays computed from them. `serial` tells bindings apart.
    """

    version: int
    arrays: tuple[Array, ...]
    addresses: tuple[int, ...]
    spans: Spans
    updated: Spans
    prepared: tuple[Array, ...] = ()
    serial: int = field(default_factory=count(1).__next__)

    @property
    def places(self) -> tuple[int, ...]:
        """The addresses that a call needs, in the order of `held_positions`."""
        return (*self.addresses, *map(address, self.prepared))


def held_positions(manifest: Manifest) -> tuple[int, ...]:
    """Where the states, and then the prepared arrays that are kept, stand in the entry's table of pointers."""
    found = {b.name: k for k, b in enumerate(manifest.buffers)}
    kept = (b for b in manifest.prepared if b.name not in manifest.passing)
    return tuple(found[b.name] for b in (*manifest.states, *kept))


def bind_states(manifest: Manifest, source: StateSource) -> BoundStates:
    """Fetch every state from its owner, with nothing prepared yet.

    Raises BoundaryError for an array that native code cannot use.
    """
    version = source.version  # before the arrays: a change meanwhile is then seen at the next call
    arrays = {spec.name: _fetch(spec, spec.name in manifest.updates, source) for spec in manifest.states}
    return BoundStates(
        version=version,
        arrays=tuple(arrays.values()),
        addresses=tuple(map(address, arrays.values())),
        spans=Spans(arrays.values()),
        updated=Spans(arrays[name] for name in manifest.updates),
    )


def _fetch(spec: BufferSpec, updated: bool, source: StateSource) -> Array:
    if updated:
        array: Any = source.buffer(spec.name, spec.dtype)
    else:
        array = np.require(source.buffer(spec.name), spec.numpy_dtype, ["C_CONTIGUOUS", "ALIGNED"])
    shape = concrete_shape(spec, {})
    if array.dtype != spec.numpy_dtype or array.shape != shape or array.flags.num & PLAIN != PLAIN:
        raise BoundaryError(
            f"state {spec} must be a C-contiguous {spec.dtype} array of shape {shape}; "
            f"its owner gave {array.dtype} of {array.shape}"
        )
    if updated and not array.flags.writeable:
        raise BoundaryError(f"state {spec} is updated by the program, but its owner gave a read-only array")
    return np.asarray(array)

"""What one running call owns: the table of pointers, the table of sizes, and the arena of its temp buffers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable

import numpy as np

from graphnn.run.arrays import Array, address, aligned_empty
from graphnn.run.manifest import Manifest
from graphnn.run.native.words import WORD, FrameWord
from graphnn.run.resolve import Resolved
from graphnn.run.states import BoundStates, held_positions
from graphnn.simplify.expr import Role

_BYTE = np.dtype(np.uint8)


class Frame:
    """Reused from call to call, by one call at a time; only what differs from the last call is written again.

    Its memory is a record of `FrameWord`, for calls through the native entry, which uses the same frames.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._words = (ctypes.c_int64 * sum(frame_lengths(manifest)))()
        self.address = ctypes.addressof(self._words)
        table, sizes = places_in_frame(manifest)
        self._table, self._sizes = table, sizes
        self.table_address, self.sizes_address = self.address + WORD * table, self.address + WORD * sizes
        self._arrays = [table + at for role in ("input", "output") for at in _positions(manifest, role)]
        self._held_positions = held_positions(manifest)
        self._arena: Array = aligned_empty((0,), _BYTE)

    @property
    def serials(self) -> tuple[int, int]:
        """Of the plan and of the states that it was pointed at last."""
        return self._words[FrameWord.PLAN], self._words[FrameWord.STATES]

    def point(self, resolved: Resolved, states: BoundStates, addresses: Iterable[int]) -> None:
        """Fill both tables for a call; `addresses` are those of the inputs' arrays, then of the outputs'."""
        words, table = self._words, self._table
        if words[FrameWord.PLAN] != resolved.serial:
            if resolved.arena_bytes > self._arena.nbytes:
                self._arena = aligned_empty((resolved.arena_bytes,), _BYTE)
            start = words[FrameWord.ARENA] = address(self._arena)
            words[FrameWord.CAPACITY] = self._arena.nbytes
            for position, offset in resolved.temps:
                words[table + position] = start + offset
            for position, size in enumerate(resolved.sizes):
                words[self._sizes + position] = size
            words[FrameWord.PLAN] = resolved.serial
        if words[FrameWord.STATES] != states.serial:
            for position, pointer in zip(self._held_positions, states.places, strict=True):
                words[table + position] = pointer
            words[FrameWord.STATES] = states.serial
        for position, place in zip(self._arrays, addresses, strict=True):
            words[position] = place


class Frames:
    """The frames of a program. A pool of the native entry, once there is one, takes the place of the list here."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._free: list[Frame] = []  # those no call is using; append and pop are atomic
        self._all: dict[int, Frame] = {}
        self._take: Callable[[], int | None] | None = None
        self._give: Callable[[int], None] = self._keep

    def __len__(self) -> int:
        """How many calls ran at the same time, at most."""
        return len(self._all)

    def serials(self) -> tuple[set[int], set[int]]:
        """Of all plans, and of all states, that a running call can be reading."""
        found = [frame.serials for frame in tuple(self._all.values())]
        return {plan for plan, _ in found}, {states for _, states in found}

    def take(self) -> Frame:
        """A frame that is the caller's until it is given back."""
        if self._take is not None and (found := self._take()):
            return self._all[found]
        try:
            return self._free.pop()
        except IndexError:
            frame = Frame(self._manifest)
            self._all[frame.address] = frame
            return frame

    def give(self, frame: Frame) -> None:
        self._give(frame.address)

    def _keep(self, address: int) -> None:
        self._free.append(self._all[address])

    def share(self, take: Callable[[], int | None], give: Callable[[int], None]) -> None:
        """Leave the frames to a pool that native code takes them from, too."""
        self._take, self._give = take, give
        while self._free:
            give(self._free.pop().address)


def frame_lengths(manifest: Manifest) -> tuple[int, int, int, int]:
    """Words of a frame's parts: its head, output objects, the table of pointers, the table of sizes."""
    return len(FrameWord), len(manifest.of("output")), max(len(manifest.buffers), 1), max(len(manifest.sizes), 1)


def places_in_frame(manifest: Manifest) -> tuple[int, int]:
    """Words from a frame's start to its table of pointers and to that of sizes."""
    head, objects, table, _ = frame_lengths(manifest)
    return head + objects, head + objects + table


def _positions(manifest: Manifest, role: Role) -> tuple[int, ...]:
    """Where the buffers of a role stand in the entry's table."""
    return tuple(position for position, buffer in enumerate(manifest.buffers) if buffer.role == role)

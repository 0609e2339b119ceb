"""A scheduled program as native code, on arrays of one's own."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Program
from graphnn.run.arrays import address, aligned_empty
from graphnn.run.jit import compile_object
from graphnn.run.link import load_object
from graphnn.schedule.memory import evaluate, plan

Array = np.ndarray[Any, Any]


def run_program(program: Program, given: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a program without sizes. Temps hold NaN before they are written, and so do prepared arrays."""
    arrays = dict(given)
    for buffer in program.buffers:
        if buffer.role in ("output", "prepared"):
            arrays[buffer.name] = np.full([evaluate(extent, {}) for extent in buffer.shape], np.nan, buffer.dtype)
    offsets, length = plan(program).offsets({})
    arena = aligned_empty((length,), np.dtype(np.uint8))
    arena[:] = 0xFF
    places = [
        address(arena) + offsets.get(b.name, 0) if b.role == "temp" else address(arrays[b.name])
        for b in program.buffers
    ]
    emitted = emit(program, host())
    code, table = compile_object(emitted.text, host()), (ctypes.c_void_p * len(places))(*places)
    for entry in filter(None, (emitted.prepare, emitted.entry)):
        assert load_object(code, entry)(ctypes.addressof(table), 0) == 0
    return {b.name: arrays[b.name] for b in program.buffers if b.role == "output"}

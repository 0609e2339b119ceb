"""A compiled program that is called on NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from threading import RLock
from typing import Any

import numpy as np

from graphnn.errors import CompileError
from graphnn.run.archive import Archive, write
from graphnn.run.boundary import Boundary, by_keyword
from graphnn.run.frame import Frame
from graphnn.run.jit import assembly, load_object
from graphnn.run.manifest import BufferSpec, Manifest
from graphnn.run.report import memory_table
from graphnn.run.resolve import Resolved
from graphnn.run.states import BoundStates, StateSource, bind_states

# Calls through ctypes release the GIL.
_Entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


class Executable:
    """Native code with its manifest and its state.

    `predict(x=X)` checks the arrays (`run/boundary.py`), runs, and returns an ndarray, or a list or dict of them as
    they were compiled; `out=` takes arrays of yours in the same structure and returns them.

    Threads may call one Executable at the same time: each call has pointers and an arena of its own, and the native
    code runs without the GIL. Calls that update state run one after the other; that no *other* Executable, nor an
    assignment, changes the same state meanwhile is up to the caller. Arenas are kept for the next call.
    """

    def __init__(self, manifest: Manifest, code: bytes, llvm: str, state: StateSource) -> None:
        """`code` is the object of the text `llvm`. Raises CompileError where it cannot be linked."""
        self.manifest = manifest
        self.llvm = llvm
        self._code = code
        self._native = load_object(code, manifest.entry)
        self._function = _Entry(self._native.address)
        self._source = state
        self._states: BoundStates | None = None
        self._boundary = Boundary(manifest)
        self._gather = manifest.outputs.gather
        self._updates = bool(manifest.updates)
        self._frames: list[Frame] = []  # those no call is using; append and pop are atomic
        self._lock = RLock()

    def __call__(self, /, *positional: Any, out: Any = None, **inputs: Any) -> Any:
        """Run on one array per input, by name.

        Raises BoundaryError for arrays that do not fit, CompileError where a check of `debug=True` fails.
        """
        if positional:
            raise by_keyword(f"program {self.name!r}", (spec.name for spec in self.inputs))
        arrays, resolved = self._boundary.admit(inputs)
        if not self._updates:
            return self._run(arrays, resolved, self._current_states(), out)
        with self._lock:
            states = self._current_states()
            self._boundary.keep_apart(arrays, states)
            try:
                return self._run(arrays, resolved, states, out)
            finally:
                alone = states.version == self._source.version
                self._source.version += 1
                if alone:  # what this call changed, it changed in place: the pointers still hold
                    states.version = self._source.version

    def _current_states(self) -> BoundStates:
        states = self._states
        if states is None or states.version != self._source.version:
            with self._lock:
                states = self._states = bind_states(self.manifest, self._source)
        return states

    def _run(self, arrays: list[np.ndarray[Any, Any]], resolved: Resolved, states: BoundStates, out: Any) -> Any:
        if out is None:
            results = {name: allocate() for name, allocate in resolved.allocators}
        else:
            results = self._boundary.admit_outputs(out, resolved, arrays, states)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = Frame(self.manifest)
        try:
            frame.point(resolved, states, [*arrays, *results.values()])
            code = self._function(frame.table_address, frame.sizes_address)
        finally:
            self._frames.append(frame)
        if code:
            check = self.manifest.checks.get(code, "it gives no check of that number")
            raise CompileError(f"program {self.name!r} stopped with code {code}: {check}")
        return self._gather(results)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def sizes(self) -> tuple[str, ...]:
        """The symbolic sizes that a call binds."""
        return self.manifest.sizes

    @property
    def inputs(self) -> tuple[BufferSpec, ...]:
        return self.manifest.inputs

    @property
    def outputs(self) -> tuple[BufferSpec, ...]:
        """The output buffers, in the order in which a call returns them."""
        specs = {b.name: b for b in self.manifest.of("output")}
        return tuple(specs[name] for name in self.manifest.outputs.buffers)

    def stage(self, name: str) -> str:
        """The program as text after a stage. Raises CompileError for a stage that left none."""
        if name == "run":
            return self.assembly
        stages = {**self.manifest.stages, "emit": self.llvm}
        if name not in stages:
            raise CompileError(f"program {self.name!r} has no stage {name!r}; there are {', '.join(stages)}, run")
        return stages[name]

    @cached_property
    def assembly(self) -> str:
        """The machine code as text. Each `.loc 1 N` is line N of `origins`."""
        return assembly(self.llvm, self.manifest.target)

    @property
    def origins(self) -> Mapping[int, str]:
        """What each line of the debug information stands for: network node, rewrite, and the arrays read."""
        return self.manifest.origins

    @property
    def kernels(self) -> tuple[str, ...]:
        """A line per top-level statement of the scheduled program."""
        return self.manifest.kernels

    @property
    def memory(self) -> str:
        """The temp buffers as a table: shape, lifetime and, where all sizes are known, place in the arena."""
        return memory_table(self.manifest)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the program and its present state to one file, whole or not at all, for `graphnn.load`."""
        with self._lock:
            states = dict(zip((b.name for b in self.manifest.states), self._current_states().arrays, strict=True))
            write(path, Archive(self.manifest, self._code, self.llvm, states))

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(map(str, specs)) for specs in (self.inputs, self.outputs))
        return f"<Executable {self.name}({inputs}) -> {outputs}>"

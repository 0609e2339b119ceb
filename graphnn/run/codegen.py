"""Modules -> object code, generated on all processors while the caller goes on writing modules.

LLVM runs in several threads where each has a context of its own. llvmlite's functions take turns, by a lock; so the
one that takes the time is called beside that lock, and all others by the thread that made the `Codegen`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

import llvmlite.binding as llvm

from graphnn.declare.arrays import processors
from graphnn.emit.target import Target
from graphnn.errors import CompileError
from graphnn.run.jit import parse, target_machine
from graphnn.run.join import join

_SLOW = "LLVMPY_TargetMachineEmitToMemory"


@dataclass(slots=True)
class _Job:
    """A module on its way to an object: LLVM's memory buffer, or why there is none."""

    machine: Any
    module: Any
    refusal: Any
    buffer: Any = None

    def run(self) -> None:
        self.buffer = _generate(self.machine, self.module, 1, self.refusal)

    def take(self) -> bytes:
        """The object; LLVM's memory is given back. Raises CompileError where there is none."""
        if not self.buffer:
            raise CompileError(f"LLVM generated no code: {self.refusal}")
        library = llvm.ffi.lib
        start, size = library.LLVMPY_GetBufferStart(self.buffer), library.LLVMPY_GetBufferSize(self.buffer)
        data = ctypes.string_at(start, size)
        library.LLVMPY_DisposeMemoryBuffer(self.buffer)
        return data


class Codegen:
    """Generates code for modules in as many threads as there are processors, of which the caller is one.

        with Codegen(target) as codegen:
            codegen.add(text)           returns at once
            code = codegen.finish()

    Its threads end with the block, if need be after the module that they are at.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._jobs: list[_Job] = []
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._stopped = False

    def __enter__(self) -> Codegen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._end_threads()

    def add(self, text: str) -> None:
        """Take a module. Raises CompileError where LLVM refuses its text."""
        module = parse(text, llvm.create_context())
        job = _Job(target_machine(self.target), module, llvm.ffi.OutputString())
        self._jobs.append(job)
        self._waiting.put(job)
        if len(self._threads) < min(len(self._jobs), processors() - 1):
            self._threads.append(Thread(target=self._work, name="graphnn-codegen"))
            self._threads[-1].start()

    def finish(self) -> bytes:
        """The objects of all modules, in the order in which they came, as one object. It works at them, too."""
        self._waiting.put(None)
        self._work()
        self._end_threads()
        return join([job.take() for job in self._jobs])

    def _work(self) -> None:
        """Generate code for modules until there are no more."""
        while (job := self._waiting.get()) is not None:
            if not self._stopped:
                job.run()
        self._waiting.put(None)  # for the next thread

    def _end_threads(self) -> None:
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def generate(modules: Iterable[str], target: Target) -> bytes:
    """The object of some modules. Raises CompileError where LLVM refuses one."""
    with Codegen(target) as codegen:
        for text in modules:
            codegen.add(text)
        return codegen.finish()


def _unlocked(name: str) -> Any:
    """llvmlite's function of this name, without the lock that all others wait for."""
    locked = getattr(llvm.ffi.lib, name)
    function = getattr(ctypes.CDLL(llvm.ffi.lib._name), name)
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


_generate = _unlocked(_SLOW)

"""A compiled program that is called on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from os import PathLike
from typing import TYPE_CHECKING, Any
from weakref import ref

from graphnn.errors import CompileError
from graphnn.run.archive import Archive, write
from graphnn.run.call import Call
from graphnn.run.manifest import BufferSpec, Manifest
from graphnn.run.states import StateSource
from graphnn.run.threads import count_threads, load_program

if TYPE_CHECKING:
    from graphnn.run.bound import Bound
    from graphnn.run.steps import Steps
    from graphnn.run.tuning import Tuning


class Executable:
    """Native code with its manifest and its state.

    `predict(x=X)` checks the arrays (`run/boundary.py`), runs, and returns an ndarray, or a list or dict of them as
    they were compiled; `out=` takes arrays of yours in the same structure and returns them.

    Threads may call one Executable at the same time: each call has pointers and an arena of its own, and native code
    that takes longer than some microseconds runs without the GIL. Calls that update state run one after the other;
    that no *other* Executable, nor an assignment, changes the same state meanwhile is up to the caller. Arenas are
    kept for the next call.
    """

    __slots__ = {
        # A slot, so that a call runs the function object in it: this one, or the native entry once that is made.
        "__call__": Call.run.__doc__,
        "__dict__": "",
        "__weakref__": "",
    }

    if TYPE_CHECKING:

        def __call__(self, /, *positional: Any, out: Any = None, **inputs: Any) -> Any: ...

    def __init__(self, manifest: Manifest, code: bytes, state: StateSource, threads: int | None = None) -> None:
        """`code` is the object of the manifest's program; `threads` as in `compile`.

        Raises CompileError where the object cannot be linked.
        """
        self.threads = count_threads(threads)
        self.manifest = manifest
        self._code = code
        steps, prepare = manifest.steps, manifest.prepare
        native = load_program(code, manifest.entry, manifest.parallel, self.threads, prepare=prepare, steps=steps)
        self._call = Call(manifest, native, state)
        self._call.warm = partial(_use_entry, ref(self))
        setattr(self, "__call__", self._call.run)  # noqa: B010

    def bind(self, /, *positional: Any, out: Any = None, **inputs: Any) -> Bound:
        """A call on these very arrays, checked now: fill them, call it without arguments, read its outputs.

        Takes an array per input by name, C-contiguous, aligned and of the declared dtype; `out=` as in a call, else
        the outputs are allocated here. Raises BoundaryError for arrays that do not fit or would have to be copied.
        """
        from graphnn.run.bound import Bound

        return Bound(self._call, positional, inputs, out)

    def float_function(
        self, otherwise: Callable[..., Any], unusual: Callable[..., Any] | None = None
    ) -> Callable[..., Any] | None:
        """A function that is called like this Executable and returns its one output, a float scalar, as a Python float.

        Calls whose arrays are not like those of calls before go to `otherwise`, so that errors are the caller's to
        word. After a call whose output is not finite, `unusual` is called with the same arrays and gives the result.
        None as long as there is no native entry, which comes after some calls, and for any other output.
        """
        outputs, entry = self.manifest.outputs, self._call.entry
        spec = self.outputs[0]
        if entry is None or outputs.structure != "single" or spec.shape or not spec.dtype.startswith("float"):
            return None
        return entry.float_function(otherwise, unusual)

    def steps(self, watch: bool) -> Steps:
        """What runs this training program on many batches in one native call; its first output is a loss.

        `watch` ends a run after a step whose loss is not finite.
        """
        from graphnn.run.steps import Steps  # 8 ms of imports, for programs that are trained

        return Steps(self._call, watch)

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
        stages = self.manifest.stages
        if name not in stages:
            raise CompileError(f"program {self.name!r} has no stage {name!r}; there are {', '.join(stages)}, run")
        return stages[name]

    @property
    def llvm(self) -> str:
        """The LLVM text that the machine code was made from."""
        return self.manifest.stages["emit"]

    @cached_property
    def assembly(self) -> str:
        """The machine code as text. Each `.loc 1 N` is line N of `origins`."""
        from graphnn.run.jit import assembly  # LLVM, which a call does without

        return assembly(self.llvm, self.manifest.target)

    @property
    def origins(self) -> Mapping[int, str]:
        """What each line of the debug information stands for: network node, rewrite, and the arrays read."""
        return self.manifest.origins

    @property
    def kernels(self) -> tuple[str, ...]:
        """A line per top-level statement of the scheduled program.

        It ends in "(code of 2)" where it runs that of line 2, and in "(re-lays W)" where elements of W are copied as
        they are into an array with another layout.
        """
        return self.manifest.kernels

    @property
    def tuning(self) -> Tuning | None:
        """What `compile(tune=True)` measured: the seconds of each variant, and which was chosen. None without."""
        return self.manifest.tuning

    @property
    def memory(self) -> str:
        """The temp buffers as a table: shape, lifetime and, where all sizes are known, place in the arena.

        Below it the prepared arrays, which are computed once for each version of the state and kept.
        """
        from graphnn.run.report import memory_table

        return memory_table(self.manifest)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the program and its present state to one file, whole or not at all, for `graphnn.load`."""
        with self._call.lock:
            states = dict(zip((b.name for b in self.manifest.states), self._call.states().arrays, strict=True))
            write(path, Archive(self.manifest, self._code, states))

    def __reduce__(self) -> Any:
        raise TypeError("an Executable holds native code and is not pickled: use save(path) and graphnn.load(path)")

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(map(str, specs)) for specs in (self.inputs, self.outputs))
        return f"<Executable {self.name}({inputs}) -> {outputs}>"


def _use_entry(program: ref[Executable]) -> None:
    executable = program()
    entry = None if executable is None else executable._call.ready()
    if executable is not None and entry is not None:
        setattr(executable, "__call__", entry.function(executable._call.run))  # noqa: B010

"""The entries of a module: each calls kernels in order, in one thread or with shares of them in several.

    entry(buffers, sizes)
      a pool and enough work:  pool(share, (buffers, sizes), threads)       share runs once in each thread
      otherwise:               share(nothing, (buffers, sizes), 0, 1)

    share(barrier, context, thread, threads)
      kernel0(..., thread, threads)
      barrier(threads)
      if thread == 0: kernel1(...)        not divided
      barrier(threads)
      kernel2(..., thread, threads)

An entry without divided kernels calls them itself. A program with prepared buffers has two entries: `graphnn_prepare`
fills those, `graphnn_entry` does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from graphnn.emit.address import MEMORY
from graphnn.emit.environment import Unit
from graphnn.emit.expression import Expressions
from graphnn.emit.form import Slice
from graphnn.emit.target import TEAM
from graphnn.emit.writer import Module, Value, Writer, constant
from graphnn.lower.ir import Program
from graphnn.schedule.affine import ZERO
from graphnn.simplify.expr import Origin

ENTRY, PREPARE, ALONE = "graphnn_entry", "graphnn_prepare", "graphnn_alone"
SHARES = {ENTRY: "graphnn_share", PREPARE: "graphnn_prepare_share"}


@dataclass(frozen=True, slots=True)
class Kernel:
    """A call of a function: on which slices, for which formula, and whether every thread runs a share of it.

    One that `fills` a prepared buffer, by position, is left out where the table has no pointer to that.
    """

    name: str
    slices: tuple[Slice, ...]
    origin: Origin | None
    divided: bool
    fills: int | None = None


def emit_entry(unit: Unit, program: Program, entry: str, kernels: Sequence[Kernel]) -> None:
    """Emit an entry: read pointers and sizes, call the kernels; in debug mode return the first code that is not 0."""
    w, scope = Writer(unit.module), unit.locations.enter(entry)
    w.location = unit.locations.of(None)
    caller = Caller(unit, w, program)
    for kernel in kernels:
        with caller.asked_for(kernel):
            code = caller.call(kernel)
            if unit.checks is not None:
                passed = w.compare("icmp eq", code, constant("i64", 0))
                w.branch(passed, f"passed.{kernel.name}", f"failed.{kernel.name}")
                w.start(f"failed.{kernel.name}")
                w.do(f"ret {code}")
                w.start(f"passed.{kernel.name}")
    w.do("ret i64 0")
    define(unit.module, f"i64 @{entry}(ptr %buffers, ptr %sizes)", scope, w)


def emit_share(unit: Unit, program: Program, entry: str, kernels: Sequence[Kernel]) -> None:
    """Emit what each thread of a region runs: its shares of divided kernels; the others are thread 0's.

    Each kernel begins when the one before it has ended in all threads, so the memory plan holds as for one thread.
    """
    w, scope = Writer(unit.module), unit.locations.enter(SHARES[entry])
    w.location = unit.locations.of(None)
    first = Value("ptr", "%context")
    second = w.gep("ptr", first, constant("i64", 1))
    w.do(f"%buffers = load ptr, {first}")
    w.do(f"%sizes = load ptr, {second}")
    caller = Caller(unit, w, program)
    team = Value("i64", "%thread"), Value("i64", "%threads")
    mine = w.compare("icmp eq", team[0], constant("i64", 0))
    for number, (divided, group) in enumerate(groupby(kernels, key=lambda kernel: kernel.divided)):
        for position, kernel in enumerate(group if divided else ()):
            if number or position:
                w.do(f"call void %barrier({team[1]})")
            with caller.asked_for(kernel):
                caller.call(kernel, *team)
        if not divided:
            if number:
                w.do(f"call void %barrier({team[1]})")
            with w.when(mine):
                for kernel in group:
                    with caller.asked_for(kernel):
                        caller.call(kernel)
    w.do("ret void")
    signature = f"internal void @{SHARES[entry]}(ptr %barrier, ptr %context, i64 %thread, i64 %threads)"
    define(unit.module, signature, scope, w)


def emit_team(module: Module) -> None:
    """Emit what all parallel entries share: the words that a loader writes, and the barrier of a thread alone."""
    module.head.append(f"@{TEAM} = dso_local global [2 x i64] zeroinitializer")
    module.head.append(f"define internal void @{ALONE}(i64 %threads) {{ ret void }}")


def emit_parallel_entry(unit: Unit, entry: str, sizes: int, least: int) -> None:
    """Emit an entry that runs the shares in the threads of TEAM, or alone where there is none or too little work."""
    share = SHARES[entry]
    w, scope = Writer(unit.module), unit.locations.enter(entry)
    w.location = unit.locations.of(None)
    context, team = w.alloca("ptr", 2, 8), Value("ptr", f"@{TEAM}")
    w.do(f"store ptr %buffers, {context}")
    w.do(f"store ptr %sizes, {w.gep('ptr', context, constant('i64', 1))}")
    run = w.ins("ptr", f"load ptr, {team}")
    together = w.compare("icmp ne", run, Value("ptr", "null"))
    if sizes:
        volume = constant("double", 1.0)
        for size in (read_word(w, "i64", "%sizes", k) for k in range(sizes)):
            volume = w.binary("fmul", volume, w.convert("sitofp", size, "double"))
        enough = w.compare("fcmp oge", volume, constant("double", float(least) ** sizes))
        together = w.binary("and", together, enough)
    w.branch(together, "together", "alone")
    w.start("together")
    threads = read_word(w, "i64", team.ref, 1)
    w.do(f"call void {run.ref}(ptr @{share}, {context}, {threads})")
    w.do("ret i64 0")
    w.start("alone")
    w.do(f"call void @{share}(ptr @{ALONE}, {context}, i64 0, i64 1)")
    w.do("ret i64 0")
    define(unit.module, f"i64 @{entry}(ptr %buffers, ptr %sizes)", scope, w)


def read_word(w: Writer, type_: str, array: str, position: int) -> Value:
    address = w.gep(type_, Value("ptr", array), constant("i64", position))
    return w.ins(type_, f"load {type_}, {address}")


class Caller(Expressions):
    """Calls kernels of a program from a function whose %buffers and %sizes are the entry's."""

    def __init__(self, unit: Unit, w: Writer, program: Program) -> None:
        sizes = {name: read_word(w, "i64", "%sizes", k) for k, name in enumerate(program.sizes)}
        super().__init__(unit, w, {}, sizes)
        self.program = program

    @contextmanager
    def asked_for(self, kernel: Kernel) -> Iterator[None]:
        """Run what is written inside where the kernel is not left out."""
        if kernel.fills is None:
            yield
            return
        pointer = read_word(self.writer, "ptr", "%buffers", kernel.fills)
        with self.writer.when(self.writer.compare("icmp ne", pointer, Value("ptr", "null"))):
            yield

    def call(self, kernel: Kernel, *team: Value) -> Value:
        """Call a kernel on its slices and the sizes; a divided one also gets the thread and how many there are."""
        slices = [self.begin(part) for part in kernel.slices]
        arguments = ", ".join(map(str, (*slices, *self.sizes.values(), *team)))
        with self.at(kernel.origin):
            return self.writer.ins("i64", f"call i64 @{kernel.name}({arguments})")

    def begin(self, part: Slice) -> Value:
        first = read_word(self.writer, "ptr", "%buffers", part.position)
        if part.offset == ZERO:
            return first
        with self.scope():
            offset = self.value(part.offset)
        return self.writer.gep(MEMORY[self.program.buffers[part.position].stored], first, offset)


def define(module: Module, signature: str, scope: str, writer: Writer) -> None:
    module.functions.append("\n".join([f"define {signature} #0 !dbg {scope} {{", "entry:", *writer.lines, "}"]))

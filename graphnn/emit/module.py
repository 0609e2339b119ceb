"""A loop program -> one LLVM module: a function per form of its kernels, and an entry that calls them in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphnn.emit.access import bound_by, prepared_statements, written_by
from graphnn.emit.debug import Check, Checks, Locations
from graphnn.emit.entry import (
    ENTRY,
    PREPARE,
    Kernel,
    define,
    emit_entry,
    emit_parallel_entry,
    emit_share,
    emit_team,
)
from graphnn.emit.environment import Bound, Unit
from graphnn.emit.form import Form, form_of
from graphnn.emit.grid import stretch
from graphnn.emit.loops import EmitContext
from graphnn.emit.parts import Parts
from graphnn.emit.registers import fits_registers
from graphnn.emit.share import FIRST, LAST, Division, Work, divide, parts_of, share_of
from graphnn.emit.target import Target
from graphnn.emit.writer import Module, Value, Writer
from graphnn.lower.ir import Accumulate, Program, Stmt, Store
from graphnn.schedule.statements import locals_used, statements, writes
from graphnn.simplify.expr import Origin


@dataclass(frozen=True, slots=True)
class EmittedModule:
    """LLVM text with entry `i64 entry(ptr buffers, ptr sizes)`.

    `buffers` is an array of pointers in the order of Program.buffers, `sizes` one of int64 in the order of
    Program.sizes; buffers must not overlap where one of them is written. It returns 0, in debug mode else a key of
    `checks`. `prepare` is a second entry, which fills the prepared buffers that it is given pointers to; "" where
    there are none. It takes any sizes. `kernels` are the functions they call, in order; `shared` names for a top-level
    statement the earlier one whose function runs it. `origins` maps a line of the debug information to the origin of
    its instructions: in a function of several statements those of the first one, and each call of it has an origin of
    its own.

    A `parallel` entry shares its work with other threads where the loader wrote a pool and their number to TEAM.
    `steps` is a function of many runs, by name, where there is one.
    """

    text: str
    entry: str
    prepare: str
    kernels: tuple[str, ...]
    origins: dict[int, Origin]
    checks: dict[int, Check]
    shared: dict[int, int]
    parallel: bool = False
    steps: str = ""


def emit(
    program: Program,
    target: Target,
    debug: bool = False,
    add_steps: Callable[[Unit, Program], str] | None = None,
    take: Callable[[str], None] | None = None,
) -> EmittedModule:
    """Emit a verified loop program. `debug` adds a bounds check to every load and store, and runs in one thread.

    `add_steps` adds a function that runs a program many times and gives its name; it is called where the program
    `fits_registers`. `take` is given the module in parts (`graphnn/emit/parts.py`), each as soon as it is written.

    Raises CompileError where the program holds what a verifier refuses.
    """
    module = Module("graphnn", target.triple, target.register_tables)
    width = 8 * target.vector_bytes
    module.head.append(f'attributes #0 = {{ nounwind uwtable "prefer-vector-width"="{width}" }}')
    unit = Unit(module, target, Locations(module), Checks() if debug else None)
    ahead = prepared_statements(program)
    parts = Parts(module, target.triple, take)
    code = _Code(unit, program, debug, parts)
    ways = [(PREPARE, 0, ahead)] if ahead else []
    entries = [code.add_kernels(*way) for way in (*ways, (ENTRY, ahead, len(program.body)))]
    parallel = [entry.add_to(unit, program) for entry in entries]
    if any(parallel):
        emit_team(module)
    steps = add_steps(unit, program) if add_steps and not debug and fits_registers(program) else ""
    parts.cut(last=True)
    return EmittedModule(
        text=module.text(),
        entry=ENTRY,
        prepare=PREPARE if ahead else "",
        kernels=tuple(code.kernels),
        origins={line: origin for origin, line in unit.locations.lines.items()},
        checks={} if unit.checks is None else unit.checks.table,
        shared=code.shared,
        parallel=any(parallel),
        steps=steps,
    )


class _Code:
    """The kernels of a module as they are emitted: their names in order, and which statements run others' code."""

    def __init__(self, unit: Unit, program: Program, debug: bool, parts: Parts) -> None:
        self.unit, self.program, self.debug, self.parts = unit, program, debug, parts
        self.kernels: list[str] = []
        self.shared: dict[int, int] = {}
        self._made: dict[object, tuple[str, int]] = {}

    def add_kernels(self, entry: str, first: int, end: int) -> _Entry:
        """Emit the kernels of an entry that runs some of the program's statements."""
        bodies = split_kernels(self.program.body[first:end])
        work = None if self.debug else divide(self.program, bodies, self.unit.target)
        divisions = (None,) * len(bodies) if work is None else work.divisions
        kernels = list[Kernel]()
        for body, division in zip(bodies, divisions, strict=True):
            kernels.append(self._kernel(body, first, division))
            first += len(body)
            self.parts.cut()
        return _Entry(entry, kernels, work)

    def _kernel(self, body: tuple[Stmt, ...], first: int, division: Division | None) -> Kernel:
        """The call of the statements from position `first` on, whose function is emitted if there is none like it."""
        form = form_of(body, self.program.buffers, sliced=not self.debug)
        name, of = f"graphnn_kernel{len(self.kernels)}", first
        if not self.debug:  # there each statement has checks of its own
            name, of = self._made.setdefault((form.key, division), (name, first))
        if of == first:
            emit_kernel(self.unit, self.program, name, form, division)
        else:
            self.shared |= {first + n: of + n for n in range(len(body))}
        self.kernels.append(name)
        written = writes(body)
        fills = (k for k, b in enumerate(self.program.buffers) if b.role == "prepared" and b.name in written)
        return Kernel(name, form.slices, origin_of(body), division is not None, next(fills, None))


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry whose kernels are emitted."""

    name: str
    kernels: list[Kernel]
    work: Work | None

    def add_to(self, unit: Unit, program: Program) -> bool:
        """Emit the entry; whether its work is divided among threads."""
        if self.work is None:
            emit_entry(unit, program, self.name, self.kernels)
            return False
        emit_share(unit, program, self.name, self.kernels)
        emit_parallel_entry(unit, self.name, len(program.sizes) if self.name == ENTRY else 0, self.work.least)
        return True


def split_kernels(body: tuple[Stmt, ...]) -> tuple[tuple[Stmt, ...], ...]:
    """One kernel per top-level statement, except that a Local and its readers share one.

    t = sum(...); y[0] = t; for ...  ->  (t = sum(...); y[0] = t), (for ...)
    """
    kernels: list[list[Stmt]] = []
    binder: dict[str, int] = {}  # the kernel of each Local
    for statement in body:
        first = min((binder[name] for name in locals_used((statement,)) & binder.keys()), default=len(kernels))
        merged = [s for kernel in kernels[first:] for s in kernel]
        kernels[first:] = [[*merged, statement]]
        binder |= dict.fromkeys(bound_by(kernels[first]), first)
    return tuple(map(tuple, kernels))


def origin_of(body: tuple[Stmt, ...]) -> Origin | None:
    """The origin of the first value that the statements store."""
    return next((s.origin for s in statements(body) if isinstance(s, Store | Accumulate) and s.origin), None)


def emit_kernel(unit: Unit, program: Program, name: str, form: Form, division: Division | None = None) -> None:
    """Emit `i64 name(slices..., sizes...)`; with a division also the thread's number and how many there are.

    The slices are noalias parameters: that, and nothing else, lets LLVM reorder loads and stores. (Threads share
    buffers, but what one of them writes no other touches before the next barrier.)
    """
    body, written = form.body, written_by(form.body)
    # A local buffer begins somewhere only inside of its loop.
    bound = {buffer.name: Bound(buffer, Value("ptr", "poison")) for buffer in form.local}
    parameters: list[str] = []
    for k, part in enumerate(form.slices):
        buffer = program.buffers[part.position]
        bound[buffer.name] = Bound(buffer, Value("ptr", f"%b{k}"))
        parameters.append(f"ptr noalias {'' if f'@{buffer.name}' in written else 'readonly '}%b{k}")
    sizes = {size: Value("i64", f"%s{k}") for k, size in enumerate(program.sizes)}
    parameters += map(str, sizes.values())
    writer, scope = Writer(unit.module), unit.locations.enter(name)
    writer.location = unit.locations.of(None)
    context = EmitContext(unit, writer, bound, sizes)
    if division is not None:
        team = Value("i64", "%thread"), Value("i64", "%threads")
        parameters += map(str, team)
        if division.depth == 0:
            context.team = team
        else:
            (nest,) = body
            parts = context.value(parts_of(nest, division))
            sizes[FIRST.name], sizes[LAST.name] = stretch(writer, parts, *team)
            body = (share_of(nest, division),)
    context.statements(body)
    if any(b.buffer.streamed for b in bound.values()):
        writer.do("fence seq_cst")  # no other store waits for those past the caches
    writer.do("ret i64 0")
    define(unit.module, f"hidden i64 @{name}({', '.join(parameters)})", scope, writer)

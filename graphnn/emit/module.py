"""A loop program -> one LLVM module: a function per kernel, and an entry that calls them in order."""

from __future__ import annotations

from dataclasses import dataclass

from graphnn.emit.access import bound_by, expressions_in, names_in, written_by
from graphnn.emit.debug import Check, Checks, Locations
from graphnn.emit.environment import Bound, Unit
from graphnn.emit.loops import EmitContext
from graphnn.emit.target import Target
from graphnn.emit.writer import Module, Value, Writer, constant
from graphnn.lower.ir import Program, Stmt
from graphnn.simplify.expr import Local, Origin, walk

ENTRY = "graphnn_entry"


@dataclass(frozen=True, slots=True)
class EmittedModule:
    """LLVM text with entry `i64 entry(ptr buffers, ptr sizes)`.

    `buffers` is an array of pointers in the order of Program.buffers, `sizes` one of int64 in the order of
    Program.sizes; buffers must not overlap where one of them is written. It returns 0, in debug mode else a key of
    `checks`. `kernels` are the functions it calls, in order; `origins` maps a line of the debug information to
    the origin of its instructions.
    """

    text: str
    entry: str
    kernels: tuple[str, ...]
    origins: dict[int, Origin]
    checks: dict[int, Check]


def emit(program: Program, target: Target, debug: bool = False) -> EmittedModule:
    """Emit a verified loop program. `debug` adds a bounds check to every load and store.

    Raises CompileError where the program holds what a verifier refuses.
    """
    module = Module("graphnn", target.triple)
    width = 8 * target.vector_bytes
    module.head.append(f'attributes #0 = {{ nounwind "prefer-vector-width"="{width}" }}')
    unit = Unit(module, target, Locations(module), Checks() if debug else None)
    kernels = [
        emit_kernel(unit, program, f"graphnn_kernel{number}", body)
        for number, body in enumerate(split_kernels(program.body))
    ]
    emit_entry(unit, program, kernels)
    return EmittedModule(
        text=module.text(),
        entry=ENTRY,
        kernels=tuple(name for name, _ in kernels),
        origins={line: origin for origin, line in unit.locations.lines.items()},
        checks={} if unit.checks is None else unit.checks.table,
    )


def split_kernels(body: tuple[Stmt, ...]) -> tuple[tuple[Stmt, ...], ...]:
    """One kernel per top-level statement, except that a Local and its readers share one.

    t = sum(...); y[0] = t; for ...  ->  (t = sum(...); y[0] = t), (for ...)
    """
    kernels: list[list[Stmt]] = []
    for statement in body:
        read = {e.name for root in expressions_in((statement,)) for e in walk(root) if isinstance(e, Local)}
        first = next((k for k, kernel in enumerate(kernels) if not read.isdisjoint(bound_by(kernel))), len(kernels))
        merged = [s for kernel in kernels[first:] for s in kernel]
        kernels[first:] = [[*merged, statement]]
    return tuple(map(tuple, kernels))


def emit_kernel(unit: Unit, program: Program, name: str, body: tuple[Stmt, ...]) -> tuple[str, tuple[int, ...]]:
    """Emit `i64 name(buffers..., sizes...)` and return its name and the positions of the buffers that it takes.

    The buffers are noalias parameters: that, and nothing else, lets LLVM reorder loads and stores.
    """
    written = written_by(body)
    used = written.union(*map(names_in, expressions_in(body)))
    positions = tuple(k for k, b in enumerate(program.buffers) if f"@{b.name}" in used)
    bound: dict[str, Bound] = {}
    parameters: list[str] = []
    for k in positions:
        buffer = program.buffers[k]
        bound[buffer.name] = Bound(buffer, Value("ptr", f"%b{k}"))
        parameters.append(f"ptr noalias {'' if f'@{buffer.name}' in written else 'readonly '}%b{k}")
    sizes = {size: Value("i64", f"%s{k}") for k, size in enumerate(program.sizes)}
    parameters += map(str, sizes.values())
    writer, scope = Writer(unit.module), unit.locations.enter(name)
    writer.location = unit.locations.of(None)
    EmitContext(unit, writer, bound, sizes).statements(body)
    writer.do("ret i64 0")
    define(unit.module, f"internal i64 @{name}({', '.join(parameters)})", scope, writer)
    return name, positions


def emit_entry(unit: Unit, program: Program, kernels: list[tuple[str, tuple[int, ...]]]) -> None:
    """Emit the entry: read pointers and sizes, call the kernels; in debug mode return the first code that is not 0."""
    w, scope = Writer(unit.module), unit.locations.enter(ENTRY)
    w.location = unit.locations.of(None)

    def item(type_: str, array: str, position: int) -> Value:
        address = w.gep(type_, Value("ptr", array), constant("i64", position))
        return w.ins(type_, f"load {type_}, {address}")

    sizes = [item("i64", "%sizes", k) for k in range(len(program.sizes))]
    for name, positions in kernels:
        arguments = [*(item("ptr", "%buffers", k) for k in positions), *sizes]
        code = w.ins("i64", f"call i64 @{name}({', '.join(map(str, arguments))})")
        if unit.checks is not None:
            w.branch(w.compare("icmp eq", code, constant("i64", 0)), f"passed.{name}", f"failed.{name}")
            w.start(f"failed.{name}")
            w.do(f"ret {code}")
            w.start(f"passed.{name}")
    w.do("ret i64 0")
    define(unit.module, f"i64 @{ENTRY}(ptr %buffers, ptr %sizes)", scope, w)


def define(module: Module, signature: str, scope: str, writer: Writer) -> None:
    module.functions.append("\n".join([f"define {signature} #0 !dbg {scope} {{", "entry:", *writer.lines, "}"]))

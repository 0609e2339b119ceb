"""The manifest of a program that was just compiled; one that is loaded has its own, and imports no compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphnn.emit.access import prepared_statements, written_by
from graphnn.emit.module import EmittedModule
from graphnn.emit.target import Target
from graphnn.lower.ir import Program, Stmt, Store
from graphnn.lower.printer import header
from graphnn.run.manifest import BufferSpec, Manifest, Outputs, Preparation
from graphnn.schedule.memory import MemoryPlan
from graphnn.schedule.statements import reads, statements, writes
from graphnn.simplify.expr import Expr, Load


def manifest_of(
    program: Program,
    memory: MemoryPlan,
    emitted: EmittedModule,
    target: Target,
    *,
    outputs: Outputs,
    index_bounds: Sequence[tuple[str, Expr]] = (),
    extremes: Sequence[tuple[str, Expr, Expr]] = (),
    distributions: Sequence[str] = (),
    stages: Mapping[str, str],
) -> Manifest:
    """The manifest of a scheduled and emitted program, with the texts of the stages up to "emit".

    Raises BoundaryError where the parts do not fit together.
    """
    written, used = written_by(program.body), reads(program.body[prepared_statements(program) :])
    return Manifest(
        name=program.name,
        sizes=program.sizes,
        buffers=tuple(BufferSpec(b.name, b.dtype, b.shape, b.role, b.layout, b.also) for b in program.buffers),
        outputs=outputs,
        index_bounds=tuple(index_bounds),
        extremes=tuple(extremes),
        distributions=tuple(distributions),
        updates=tuple(b.name for b in program.buffers if b.role == "state" and f"@{b.name}" in written),
        memory=memory,
        entry=emitted.entry,
        prepare=emitted.prepare,
        target=target,
        checks={
            code: f"{c.buffer} is addressed outside its extent along axis {c.dimension} by: {c.statement}"
            for code, c in emitted.checks.items()
        },
        origins={line: str(origin) for line, origin in emitted.origins.items()},
        stages=stages,
        kernels=tuple(_kernel_line(s, emitted.shared.get(k)) for k, s in enumerate(program.body)),
        parallel=emitted.parallel,
        steps=emitted.steps,
        passing=tuple(b.name for b in program.buffers if b.role == "prepared" and b.name not in used),
        preparations=_preparations(program),
    )


def _preparations(program: Program) -> tuple[Preparation, ...]:
    """What prepares arrays, in groups of statements that touch none of each other's arrays."""
    of = {role: {b.name for b in program.buffers if b.role == role} for role in ("state", "prepared")}
    groups = list[Preparation]()
    for stmt in program.body[: prepared_statements(program)]:
        touched = writes((stmt,)) | reads((stmt,))
        joined = [g for g in groups if not touched.isdisjoint(g.arrays)]
        names = touched.union(*(g.states + g.arrays for g in joined))
        states, arrays = (tuple(b.name for b in program.buffers if b.name in names & of[role]) for role in of)
        groups = [*(g for g in groups if g not in joined), Preparation(states, arrays)]
    return tuple(groups)


def _kernel_line(statement: Stmt, shared: int | None) -> str:
    """The first line of a top-level statement and what it writes: for i0 in 0 .. N parallel: -> h, loss (code of 2)

    "re-lays x" says that it also copies elements of x, as they are, to places in another array. Its code may be that
    of an earlier statement, on other arrays.
    """
    written = ", ".join(sorted(name.removeprefix("@") for name in written_by((statement,))))
    line = f"{header(statement)} -> {written}" if written else header(statement)
    stores = (s for s in statements((statement,)) if isinstance(s, Store))
    copied = dict.fromkeys(s.value.buffer for s in stores if isinstance(s.value, Load) and s.value.buffer != s.buffer)
    notes = [f"re-lays {', '.join(copied)}"] if copied else []
    if shared is not None:
        notes.append(f"code of {shared}")
    return f"{line} ({'; '.join(notes)})" if notes else line

"""The stages from a graph to object code, one after the other: what a program takes that is not found in the cache."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from graphnn.declare.definition import formula_text
from graphnn.declare.network import Network, Tensor
from graphnn.emit.module import EmittedModule, emit
from graphnn.emit.target import Target, host
from graphnn.emit.variants import VARIANTS
from graphnn.errors import CompileError
from graphnn.lower.builder import lower
from graphnn.lower.ir import Program
from graphnn.lower.printer import print_program
from graphnn.run.codegen import Codegen, generate
from graphnn.run.describe import manifest_of
from graphnn.run.manifest import Manifest, Outputs, Structure
from graphnn.run.native.own_steps import add_steps
from graphnn.run.tuning import Tuning
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import plan
from graphnn.schedule.passes import schedule
from graphnn.simplify.expr import DType, Size
from graphnn.simplify.formula import Accuracy, FormulaProgram, print_formulas
from graphnn.simplify.instances import check_instances
from graphnn.simplify.passes import simplify

Tuner = Callable[[Mapping[str, tuple[Manifest, bytes]]], Tuning]  # measures programs, and chooses one by name

INACCURATE = ("filtering",)  # schedule passes whose rounding errors may be a few times larger


class StageTexts(Mapping[str, str]):
    """The text of each stage that was run, made when it is first read: printing formulas takes longer than lowering."""

    def __init__(self) -> None:
        self._made: dict[str, Callable[[], str] | str] = {}

    def add(self, stage: str, make: Callable[[], str]) -> None:
        self._made[stage] = make

    def __getitem__(self, stage: str) -> str:
        text = self._made[stage]
        if not isinstance(text, str):
            text = self._made[stage] = text()
        return text

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


@dataclass(frozen=True, slots=True)
class Compilation:
    """The texts of the stages that were run: what `compile(until=...)` gives."""

    name: str
    texts: StageTexts = field(default_factory=StageTexts)

    def stage(self, name: str) -> str:
        """The text of a stage. CompileError for one that was not reached."""
        if name not in self.texts:
            raise CompileError(f"'{name}' is not among the stages that ran: {', '.join(self.texts)}")
        return self.texts[name]


def run_stages(
    tensors: Sequence[Tensor],
    structure: Structure,
    keys: tuple[str, ...],
    updates: Mapping[str, Tensor],
    sizes: Mapping[str, int] | None,
    dtype: DType | None,
    accuracy: Accuracy,
    training: bool,
    debug: bool,
    until: str | None,
    disable: Collection[str],
    tuner: Tuner | None = None,
) -> Compilation | tuple[Manifest, bytes]:
    """The manifest and the object code of a program, or the texts of its stages up to `until`.

    `structure` and `keys` say how the arrays of `tensors` are returned; a `tuner` chooses among the VARIANTS of the
    schedule; the rest is explained by `compile`.
    """
    network = tensors[0].network
    compilation = Compilation(network.name)

    def done(stage: str, text: Callable[[], str]) -> bool:
        compilation.texts.add(stage, text)
        return until == stage

    order = network.ancestors([*tensors, *updates.values()])
    if done("declare", partial(_graph_text, network, order, derived=False)):
        return compilation
    if done("derive", partial(_graph_text, network, order, derived=True)):
        return compilation
    simplified = simplify(network, tensors, updates, sizes, accuracy, dtype, training)
    if debug:
        check_instances(simplified.trace)
    if done("simplify", partial(print_formulas, simplified.program)):
        return compilation
    _check_sizes(simplified.program, tuner is not None)
    loops = lower(simplified.program)
    if done("lower", partial(print_program, loops)):
        return compilation
    target = host()
    left_out = {*disable, *INACCURATE} if accuracy == "tight" else disable
    scheduled = schedule(loops, Machine(target.vector_bytes, target.vector_registers), left_out)
    if done("schedule", partial(print_program, scheduled)):
        return compilation
    names = [simplified.results[t.name] for t in tensors]

    def described(scheduled: Program, emitted: EmittedModule, target: Target) -> Manifest:
        return manifest_of(
            scheduled,
            plan(scheduled),
            emitted,
            target,
            outputs=Outputs(structure, tuple(names), keys),
            index_bounds=simplified.index_bounds,
            extremes=simplified.extremes,
            distributions=simplified.distributions,
            stages=compilation.texts,
        )

    with Codegen(target) as codegen:
        emitted = emit(scheduled, target, debug, add_steps, None if until == "emit" else codegen.add)
        if done("emit", lambda: emitted.text):
            return compilation
        finished = described(scheduled, emitted, target), codegen.finish()
    if tuner is None:
        return finished
    made = {VARIANTS[0].name: (scheduled, emitted, finished)}
    for variant in VARIANTS[1:]:
        other, own = variant.schedule(loops, target, left_out), variant.target(target)
        parts = list[str]()
        code = emit(other, own, add_steps=add_steps, take=parts.append)
        if all(code.text != known.text for _, known, _ in made.values()):
            made[variant.name] = other, code, (described(other, code, own), generate(parts, own))
    tuning = tuner({name: known for name, (*_, known) in made.items()})
    scheduled, emitted, (manifest, chosen) = made[tuning.chosen]
    compilation.texts.add("schedule", partial(print_program, scheduled))
    compilation.texts.add("emit", lambda: emitted.text)
    return replace(manifest, tuning=tuning), chosen


def _check_sizes(program: FormulaProgram, tune: bool) -> None:
    """CompileError for a size that no call could know, since no input has it, or that tuning would have to know."""
    known = {extent for array in program.arrays if array.role == "input" for extent in array.shape}
    if unknown := [name for name in program.sizes if Size(name) not in known]:
        raise CompileError(
            f"no input that the outputs depend on has the extent {unknown[0]} by itself, so a call cannot know it: "
            f'compile with sizes={{"{unknown[0]}": ...}}'
        )
    if tune and program.sizes:
        bindings = ", ".join(f'"{name}": ...' for name in program.sizes)
        raise CompileError(
            f"tune=True times program {program.name!r} on arrays of its own shapes, and {', '.join(program.sizes)} "
            f"would be known at the call only: compile with sizes={{{bindings}}}"
        )


def _graph_text(network: Network, order: Sequence[Tensor], derived: bool) -> str:
    """A line per node: leaves with their types, op nodes as formulas; gradient nodes only where `derived`."""
    lines = [f"network {network.name}"]
    for node in order:
        definition = node.definition
        if definition is None:
            lines.append(f"  {node.kind} {node.name}: {node.dtype}[{', '.join(map(str, node.shape))}]")
        elif derived or not _is_derived(network, node):
            names = tuple(o.name for o in network.operands(node))
            lines.append(f"  {formula_text(definition, names, node.name)}")
    return "\n".join(lines) + "\n"


def _is_derived(network: Network, node: Tensor) -> bool:
    return bool(network.graph.nodes[node.name].get("derived"))

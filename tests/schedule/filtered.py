"""Programs scheduled with filtered correlations of one's own choice, whatever they cost."""

from __future__ import annotations

from collections.abc import Sequence

from graphnn.lower.ir import Contract, Program
from graphnn.schedule.algorithms import Algorithm
from graphnn.schedule.blocks import in_blocks
from graphnn.schedule.contract import contract
from graphnn.schedule.correlations import Correlation
from graphnn.schedule.filtering import Choice, filter_correlations
from graphnn.schedule.kernel_gradients import KernelGradient
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import PASSES
from graphnn.schedule.statements import statements
from graphnn.schedule.tiles import Plan
from graphnn.simplify.expr import Load


def schedule_filtered(program: Program, machine: Machine, choose: Choice | None) -> Program:
    """The program in blocks of examples, each correlation by the plan chosen, or as it is."""
    done = in_blocks(program, machine.lanes("float32"))
    assert done is not None
    for step in PASSES[1:]:
        if step.name == "contract":  # terms in the lanes are chosen for small images, and are not filtered
            done = contract(done, machine, dots=False)
        elif step.name != "filtering":
            done = step.run(done, machine)
        elif choose is not None:
            done = filter_correlations(done, machine, choose)
    return done


def algorithms(program: Program) -> list[str]:
    """The algorithm of each contraction between transformed factors, in order: F(2x2, 3x3), ..."""
    contractions = [s for s in statements(program.body) if isinstance(s, Contract) and isinstance(s.b, Load)]
    names = [s.b.buffer.partition(" in ")[2] for s in contractions if isinstance(s.b, Load)]
    return [name.partition("_")[0] for name in names if name.startswith("F(")]


def plan_of(c: Correlation | KernelGradient, m: Sequence[int], tiles: int = 1) -> Plan | None:
    """The plan with m outputs a way, the last numbers first; None where the windows have fewer places."""
    ways = [w for w in (c.windows.row, c.windows.column) if w is not None]
    sizes = list(m)[-len(ways) :]
    if any(w.places < size for w, size in zip(ways, sizes, strict=True)):
        return None
    if isinstance(c, KernelGradient) and any(w.places % size for w, size in zip(ways, sizes, strict=True)):
        return None
    found = [Algorithm(size, w.size) for w, size in zip(ways, sizes, strict=True)]
    columns = c.windows.column.places // sizes[-1]
    return Plan(*[Algorithm(1, 1)] * (2 - len(ways)), *found, tiles if columns % tiles == 0 else 1)

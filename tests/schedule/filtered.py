"""Programs scheduled with filtered correlations of one's own choice, whatever they cost."""

from __future__ import annotations

from collections.abc import Sequence

from graphnn.lower.ir import Program
from graphnn.schedule.algorithms import algorithm
from graphnn.schedule.blocks import in_blocks
from graphnn.schedule.correlations import Correlation
from graphnn.schedule.filtered_tiles import Plan
from graphnn.schedule.filtering import Choice, filter_correlations
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import PASSES


def schedule_filtered(program: Program, machine: Machine, choose: Choice | None) -> Program:
    """The program in blocks of examples, each correlation by the plan chosen, or as it is."""
    done = in_blocks(program, machine.lanes("float32"))
    assert done is not None
    for step in PASSES[1:]:
        if step.name != "filtering":
            done = step.run(done, machine)
        elif choose is not None:
            done = filter_correlations(done, machine, choose)
    return done


def algorithms(program: Program) -> list[str]:
    """The algorithms by which data are filtered: F(2x2, 3x3), ..."""
    return [b.name.partition(" in ")[2] for b in program.buffers if " in F(" in b.name and len(b.shape) > 3]


def plan_of(c: Correlation, m: Sequence[int], tiles: int = 1) -> Plan | None:
    """The plan with m outputs a way, the last numbers first; None where the windows have fewer places."""
    ways = [w for w in (c.row, c.column) if w is not None]
    sizes = list(m)[-len(ways) :]
    if any(w.places < size for w, size in zip(ways, sizes, strict=True)):
        return None
    found = [algorithm(size, w.size) for w, size in zip(ways, sizes, strict=True)]
    columns = c.column.places // sizes[-1]
    return Plan(*[algorithm(1, 1)] * (2 - len(ways)), *found, tiles if columns % tiles == 0 else 1)

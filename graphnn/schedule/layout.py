"""The memory order of temp buffers, chosen by what their accesses want."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import Contract, Program, Stmt
from graphnn.schedule.cost import CostModel
from graphnn.schedule.loops import least_cost
from graphnn.schedule.machine import Machine
from graphnn.schedule.reorder import Effects
from graphnn.schedule.statements import statements
from graphnn.simplify.expr import Load, walk


def permute_layouts(program: Program, machine: Machine) -> Program:
    """Give a temp buffer another fastest axis where all nests together get cheaper by it.

    temp t: layout (0, 1), for i0 (rows): sum[r0](t[i0, r0])  ->  temp t: layout (1, 0)      (rows in lanes)

    Operands that a contraction reads as vectors, in place, keep their layout: their unit stride is part of its meaning.
    """
    effects = [Effects.of(stmt) for stmt in program.body]
    fixed = _operands(program.body)
    model = CostModel.of(program.buffers, machine)
    known: dict[int, float] = {}  # the cost of a statement under the chosen layouts; a large one has many buffers
    touching: dict[str, list[int]] = {}
    for n, e in enumerate(effects):
        for name in e.reads | e.writes:
            touching.setdefault(name, []).append(n)
    for buffer in program.buffers:
        if buffer.role != "temp" or len(buffer.shape) < 2 or buffer.name in fixed:
            continue
        users = touching.get(buffer.name, [])
        for n in users:
            if n not in known:
                known[n] = least_cost(effects[n].stmt, model)
        least = sum(known[n] for n in users)
        for fast in reversed(buffer.layout[:-1]):
            option = (*(d for d in buffer.layout if d != fast), fast)
            other = model.with_layout(buffer.name, option)
            costs = {n: least_cost(effects[n].stmt, other) for n in users}
            if sum(costs.values()) < least:
                least = sum(costs.values())
                known |= costs
                model.adopt(other)
    return replace(program, buffers=tuple(replace(b, layout=model.layout(b.name)) for b in program.buffers))


def _operands(body: tuple[Stmt, ...]) -> set[str]:
    """The buffers that contractions read as vectors: `b`, and `a` where terms are in the lanes."""
    contracts = [s for s in statements(body) if isinstance(s, Contract)]
    vectors = [factor for c in contracts for factor in ((c.b,) if c.lanes == 1 else (c.a, c.b))]
    return {e.buffer for factor in vectors for e in walk(factor) if isinstance(e, Load)}

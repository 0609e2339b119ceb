"""Correlations by minimal filtering, where that is cheaper and about as accurate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from graphnn.lower.ir import Buffer, Contract, For, Program, Stmt
from graphnn.schedule.correlations import Correlation, find_correlation
from graphnn.schedule.cost import CostModel
from graphnn.schedule.filter_choice import cheapest_plan
from graphnn.schedule.filtered_kernels import filter_kernel_gradient
from graphnn.schedule.filtered_tiles import filter_tiles
from graphnn.schedule.kernel_gradients import KernelGradient, find_kernel_gradient
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel
from graphnn.schedule.prepare import settled_buffers
from graphnn.schedule.statements import Body, names_in, writes
from graphnn.schedule.tiles import Filtered, Plan
from graphnn.simplify.expr import Const, Range

Choice = Callable[[Correlation | KernelGradient, CostModel], Plan | None]


def filtering(program: Program, machine: Machine) -> Program:
    """Compute correlations of stride 1 with fewer multiplications, by algorithms F(m, r) of minimal filtering.

    for y: contract m=o n=j k=(c, u, v) fma(W[o, c, u, v], x[c, y + u, j + 16*v])
      ->  U = G W G^T;  for tiles: V = B^T x B; for p: contract m=o n=j k=c fma(U[p, o, c], V[p, c, j]); A^T M A

    Of contractions whose windows slide along a loop around them, or by whole vectors along n; see filter_tiles. Each
    is left as it is where the cost model finds that cheaper. Only algorithms are taken whose rounding errors are
    within 4 times those of the direct sum (algorithms.py).
    """
    return filter_correlations(program, machine, partial(cheapest_plan, settled=settled_buffers(program)))


def filter_correlations(program: Program, machine: Machine, choose: Choice) -> Program:
    """The program with each correlation by the plan chosen for it; None leaves it as it is."""
    names = {b.name for b in program.buffers} | set(program.sizes) | names_in(program.body)
    run = _Run(machine, CostModel.of(program.buffers, machine), choose, names, [])
    body = tuple(s for stmt in program.body for s in run.statement(stmt))
    return replace(program, buffers=(*program.buffers, *run.buffers), body=body)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the pass; it collects the `names` and `buffers` of the program."""

    machine: Machine
    model: CostModel
    choose: Choice
    names: set[str]
    buffers: list[Buffer]

    def statement(self, stmt: Stmt) -> Body:
        """A top-level statement with its correlations filtered, behind the nests that transform their kernels."""
        kernels: list[Stmt] = []
        body = self._visit(stmt, (), writes((stmt,)), kernels)
        return (*kernels, *body)

    def _visit(self, stmt: Stmt, around: tuple[Range, ...], written: frozenset[str], kernels: list[Stmt]) -> Body:
        nest = peel(stmt)
        if nest.contract is not None:
            made = self._filter(nest.outer, nest.contract, around, written)
            if made is None:
                return (stmt,)
            kernels += made.ahead
            self.buffers.extend(made.buffers)
            return made.body
        if not isinstance(stmt, For):
            return (stmt,)
        inner = (*around, Range(stmt.axis, stmt.lo, stmt.hi))
        return (replace(stmt, body=tuple(s for part in stmt.body for s in self._visit(part, inner, written, kernels))),)

    def _filter(
        self, loops: tuple[Range, ...], contract: Contract, around: tuple[Range, ...], written: frozenset[str]
    ) -> Filtered | None:
        """A contraction by minimal filtering, where it is a correlation or a gradient, and a plan is chosen for it."""
        if not all(isinstance(bound, Const) for r in around for bound in (r.lo, r.hi)):
            return None
        lanes = self.machine.lanes(contract.a.dtype)
        found = find_correlation(loops, contract, lanes)
        if found is not None and found.kernel.buffer not in written:
            plan = self.choose(found, self.model)
            return None if plan is None else filter_tiles(found, plan, around, self.names)
        gradient = find_kernel_gradient(loops, contract, lanes)
        plan = None if gradient is None else self.choose(gradient, self.model)
        if gradient is None or plan is None:
            return None
        return filter_kernel_gradient(gradient, plan, around, self.names)

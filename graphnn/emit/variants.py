"""Schedules to choose from by measurement: what the cost model decides, decided otherwise, one thing at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

from graphnn.emit.target import Target
from graphnn.lower.ir import Program
from graphnn.schedule.blocks import in_blocks
from graphnn.schedule.contract import contract
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import Pass, schedule


@dataclass(frozen=True, slots=True)
class Variant:
    """`without` are passes left out, `instead` passes that take the place of those of their names.

    `vector_bytes` and `vector_registers` are what is used at most of the machine's: they decide the register tiles.
    """

    name: str
    without: tuple[str, ...] = ()
    instead: tuple[Pass, ...] = ()
    vector_bytes: int | None = None
    vector_registers: int | None = None

    def target(self, target: Target) -> Target:
        """The machine as this variant uses it."""
        return replace(
            target,
            vector_bytes=min(target.vector_bytes, self.vector_bytes or target.vector_bytes),
            vector_registers=min(target.vector_registers, self.vector_registers or target.vector_registers),
        )

    def schedule(self, program: Program, target: Target, disable: Collection[str] = ()) -> Program:
        """`passes.schedule` by this variant; `disable` names passes that stay out of it as well."""
        used = self.target(target)
        machine = Machine(used.vector_bytes, used.vector_registers)
        return schedule(program, machine, {*disable, *self.without}, self.instead)


def _always_in_blocks(program: Program, machine: Machine) -> Program:
    return in_blocks(program, machine.lanes("float32")) or program


DEFAULT = Variant("by cost")

# Eight compiles at most; those that give the code of an earlier one are not measured.
VARIANTS = (
    DEFAULT,
    Variant("images in blocks of examples", instead=(Pass("blocks", _always_in_blocks),)),
    Variant("images row by row", without=("blocks",)),
    Variant("no terms in lanes", instead=(Pass("contract", partial(contract, dots=False)),)),
    Variant("direct convolutions", without=("filtering",)),
    Variant("nests apart", without=("fuse",)),
    Variant("tiles of 24 registers", vector_registers=24),
    Variant("vectors of 32 bytes", vector_bytes=32),
)

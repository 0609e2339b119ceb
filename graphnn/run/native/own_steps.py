"""A loop over steps of a small program's own: the program's code stands where others are called."""

from __future__ import annotations

from graphnn.emit.entry import define
from graphnn.emit.environment import Unit
from graphnn.emit.registers import Registers
from graphnn.lower.ir import Program
from graphnn.run.native.records import STEPS_SYMBOL, StepsWord
from graphnn.run.native.steps_code import SIGNATURE, STEPS, copy_words, each_step
from graphnn.run.native.writer import Code


def add_steps(unit: Unit, program: Program) -> str:
    """Add to a module the function of `steps_code.py` for this program, which `fits_registers`; its name."""
    w, scope = Code(unit.module), unit.locations.enter(STEPS_SYMBOL)
    w.location = unit.locations.of(None)
    table = w.get(STEPS, StepsWord.TABLE, "ptr")
    runs = Registers(unit, w, program, table)
    with each_step(w, table, copy_words, runs.begin()) as step:
        step.next = runs.run(step.carried)
    define(unit.module, SIGNATURE, scope, w)
    return STEPS_SYMBOL

"""The passes of the stage `schedule`, in order. Each takes valid IR to valid IR and may be left out alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from graphnn.errors import CompileError
from graphnn.lower.ir import Program
from graphnn.lower.verify import verify
from graphnn.schedule.blocks import block_examples
from graphnn.schedule.borders import keep_borders
from graphnn.schedule.contract import contract
from graphnn.schedule.filtering import filtering
from graphnn.schedule.flatten import flatten_dimensions
from graphnn.schedule.fold_lanes import fold_in_lanes
from graphnn.schedule.fuse import fuse
from graphnn.schedule.in_place import in_place
from graphnn.schedule.kept_terms import keep_terms
from graphnn.schedule.layout import permute_layouts
from graphnn.schedule.local import keep_local
from graphnn.schedule.machine import Machine
from graphnn.schedule.multiply_adds import multiply_adds
from graphnn.schedule.narrow import narrow
from graphnn.schedule.panels import block_panels
from graphnn.schedule.past_cache import store_past_cache
from graphnn.schedule.prepare import prepare
from graphnn.schedule.reuse import reuse
from graphnn.schedule.split_reductions import split_reductions
from graphnn.schedule.streams import stream_rows
from graphnn.schedule.vectorise import vectorise


class Pass(NamedTuple):
    name: str
    run: Callable[[Program, Machine], Program]


# Dimensions are merged before images are stored in blocks, whose last dimension is then all of a flat image.
# Contractions are found while nests are as lowering wrote them, right after them the borders in their copies and the
# terms that are computed twice; what is left of the long reductions is split before fusion, so that partial sums join
# their producers; stores reach their states before fusion, so that an update joins the contraction that computes its
# gradient; layouts are set before fusion, so that nests agree on their lanes; correlations are filtered after it, so
# that what follows them is computed tile by tile, too; panels and streams are for what is a contraction then. What
# waits for what is shortened when no pass moves folds any more. What outlives a call is set apart when all statements
# are made. What an iteration keeps for itself then needs no memory. Arrays take each other's place late: the other
# passes rely on one name for each. Layouts are final then: a fold along memory gets its terms into the lanes, and what
# is written once may go past the caches.
PASSES = (
    Pass("flatten", flatten_dimensions),
    Pass("blocks", block_examples),
    Pass("contract", contract),
    Pass("borders", keep_borders),
    Pass("kept_terms", keep_terms),
    Pass("split_reductions", split_reductions),
    Pass("in_place", in_place),
    Pass("layout", permute_layouts),
    Pass("fuse", fuse),
    Pass("filtering", filtering),
    Pass("panels", block_panels),
    Pass("streams", stream_rows),
    Pass("vectorise", vectorise),
    Pass("multiply_adds", multiply_adds),
    Pass("prepare", prepare),
    Pass("narrow", narrow),
    Pass("local", keep_local),
    Pass("reuse", reuse),
    Pass("fold_lanes", fold_in_lanes),
    Pass("past_cache", store_past_cache),
)


def schedule(
    program: Program,
    machine: Machine | None = None,
    disable: Collection[str] = (),
    instead: Sequence[Pass] = (),
) -> Program:
    """Turn naive loop nests into ones that run fast on `machine` (default: 512-bit vectors).

    `disable` names passes to leave out; the meaning is the same without any of them, up to the order of sums. A pass
    of `instead` takes the place of the one of its name.
    Raises CompileError for an unknown name, and where the result is not valid IR.
    """
    names = [p.name for p in PASSES]
    for name in disable:
        if name not in names:
            raise CompileError(f"there is no schedule pass {name!r}; the passes are {', '.join(names)}")
    others = {step.name: step for step in instead}
    for step in PASSES:
        if step.name not in disable:
            program = others.get(step.name, step).run(program, machine or Machine())
    verify(program)
    return program

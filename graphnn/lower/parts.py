"""What must hold of a local buffer: no two iterations of its loop, nor of one around it, touch an element in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import is_

from graphnn.errors import CompileError
from graphnn.lower.ir import Buffer, For
from graphnn.simplify.expr import Axis, Const, Expr


@dataclass(slots=True)
class Parts:
    """The local buffers of a program: the loops whose iterations have parts, outside in, and where their axes stand."""

    owners: dict[str, tuple[tuple[For, ...], tuple[int, ...]]] = field(default_factory=dict)

    def check(self, buffer: Buffer, index: tuple[Expr, ...], loops: Sequence[For], where: object) -> None:
        """Raise CompileError unless an access inside of `loops` is to the part that all others are to.

        The axes of the loops stand at the same dimensions in each access, the slowest; the others' extents are numbers.
        """
        around = next((n for n, loop in enumerate(loops, 1) if loop.axis == buffer.local_to), 0)
        owners = tuple(loops[:around])
        dimensions = tuple(index.index(Axis(loop.axis)) for loop in owners if Axis(loop.axis) in index)
        first, stand = self.owners.setdefault(buffer.name, (owners, dimensions))
        same = len(first) == len(owners) and all(map(is_, first, owners)) and stand == dimensions
        if not same or not around or len(dimensions) < around:
            raise CompileError(f"{where} the buffer {buffer.name} is local to {buffer.local_to}; this is another part")
        if buffer.layout[:around] != dimensions:
            raise CompileError(f"{where} the buffer {buffer.name} is local; its parts lie apart in {buffer.layout}")
        if any(loop.kind == "vector" for loop in owners[:-1]):
            raise CompileError(f"{where} the buffer {buffer.name} is local to a loop inside of a vector loop")
        if not all(isinstance(buffer.shape[d], Const) for d in buffer.layout[around:]):
            raise CompileError(f"{where} the buffer {buffer.name} is local; the extents of its parts are no numbers")

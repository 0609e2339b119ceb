"""A temp that is read as one long axis is stored as one: a reshape between images and rows costs no copy.

    h[n, r // 64, r // 8 % 8, r % 8]  ->  h[n, r]      and everywhere else    h[n, c, y, x]  ->  h[n, 64*c + 8*y + x]

A dense layer over flattened images then reads plain indices, and so does the gradient that comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from graphnn.lower.affine import Affine, affine
from graphnn.lower.ir import Accumulate, Buffer, Fold, Program, Stmt, Store
from graphnn.schedule.affine import default_layout
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import accesses, rewrite, statements
from graphnn.simplify.expr import Axis, Const, Expr, Load, Op, axes_of, index_constant, rebuild, walk


def flatten_dimensions(program: Program, _: Machine) -> Program:
    """Make neighbouring dimensions of a temp one where somebody reads them by the digits of one axis.

    h[n, r // 4, r % 4]; h[n, y, x] (4 wide)  ->  h[n, r]; h[n, 4*y + x]

    Left alone: what a fold with conditions reads, for its conditions speak of single dimensions (a padded correlation).
    """
    kept = _guarded(program)
    temps = {b.name: b for b in program.buffers if b.role == "temp" and len(b.shape) > 1 and b.name not in kept}
    merged: dict[str, _Merged] = {}
    for access in accesses(program.body):
        buffer = temps.get(access.buffer)
        if buffer is not None and not all(isinstance(e, Axis) for e in access.index):
            for found in _Merged.of(buffer, access.index):
                merged[buffer.name] = max(merged.get(buffer.name, found), found, key=lambda m: m.end - m.start)
    if not merged:
        return program
    buffers = tuple(merged[b.name].flat() if b.name in merged else b for b in program.buffers)

    def visit(expr: Expr) -> Expr:
        rebuilt = rebuild(expr, visit)
        if isinstance(rebuilt, Load) and rebuilt.buffer in merged:
            return replace(rebuilt, index=merged[rebuilt.buffer].place(rebuilt.index))
        return rebuilt

    def then(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Store | Accumulate) and stmt.buffer in merged:
            return replace(stmt, index=merged[stmt.buffer].place(stmt.index))
        return stmt

    return replace(program, buffers=buffers, body=rewrite(program.body, visit, then))


def _guarded(program: Program) -> set[str]:
    """The buffers that folds with guards, or with bounds that move, read."""
    folds = [s for s in statements(program.body) if isinstance(s, Fold)]
    moving = [f for f in folds if f.guard is not None or any(axes_of(b) for r in f.ranges for b in (r.lo, r.hi))]
    return {e.buffer for f in moving for e in walk(f.value) if isinstance(e, Load)}


@dataclass(frozen=True, slots=True)
class _Merged:
    """The dimensions start <= d < end of a buffer as one; `steps` are how far apart their elements lie in it."""

    buffer: Buffer
    start: int
    end: int
    steps: tuple[int, ...]

    @classmethod
    def of(cls, buffer: Buffer, index: tuple[Expr, ...]) -> Iterator[_Merged]:
        """The longest runs of dimensions that an index takes by the digits of one axis."""
        sizes = [int(e.value) if isinstance(e, Const) else 0 for e in buffer.shape]
        for start in range(len(index) - 1):
            for end in range(len(index), start + 1, -1):
                steps = tuple(prod(sizes[d + 1 : end]) for d in range(start, end))
                one = cls(buffer, start, end, steps)
                if all(sizes[start:end]) and one.whole(index) is not None:
                    yield one
                    break

    def flat(self) -> Buffer:
        """The buffer with one dimension in the place of several."""
        extents = [int(e.value) for e in self.buffer.shape[self.start : self.end] if isinstance(e, Const)]
        shape = (*self.buffer.shape[: self.start], index_constant(prod(extents)), *self.buffer.shape[self.end :])
        return replace(self.buffer, shape=shape, layout=default_layout(shape))

    def place(self, index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """An index into the flat buffer."""
        place: Expr | None = self.whole(index)
        if place is None:
            form = Affine((), 0)
            for step, e in zip(self.steps, index[self.start : self.end], strict=True):
                form = form.plus(affine(e), step)
            place = form.expr()
        return (*index[: self.start], place, *index[self.end :])

    def whole(self, index: tuple[Expr, ...]) -> Axis | None:
        """The axis whose digits the merged dimensions are: r // 64, r // 8 % 8, r % 8 -> r."""
        axes = [Axis(name) for e in index[self.start : self.end] for name in sorted(axes_of(e))]
        if not axes or any(a != axes[0] for a in axes):
            return None
        for d, step in zip(range(self.start, self.end), self.steps, strict=True):
            digit: Expr = axes[0] if step == 1 else Op("floordiv", (axes[0], index_constant(step)), "int64")
            if d > self.start:
                digit = Op("mod", (digit, self.buffer.shape[d]), "int64")
            if index[d] != digit:
                return None
        return axes[0]

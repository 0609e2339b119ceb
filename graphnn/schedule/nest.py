"""A perfect loop nest as one value: its loops from the outside in, and what the innermost one holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphnn.lower.ir import Contract, For, Stmt
from graphnn.schedule.affine import apart, known_extent, meetings
from graphnn.schedule.statements import Access, Body, accesses, bound_ranges, bounds, nested
from graphnn.simplify.expr import NOTHING, Range, axes_of
from graphnn.simplify.once import once


class _Node:
    __slots__ = ("_inward", "_loads", "_meetings")


@dataclass(frozen=True, slots=True)
class Nest(_Node):
    """`loops` around `body`. Where `contract` is given its m and n are the last two loops and `body` its epilogue."""

    loops: tuple[Range, ...]
    body: Body
    contract: Contract | None = None

    @property
    def outer(self) -> tuple[Range, ...]:
        """The loops without a contraction's m and n."""
        return self.loops if self.contract is None else self.loops[:-2]


@once("_nest")
def peel(stmt: Stmt) -> Nest:
    """for i0: for i1: s; t  ->  Nest((i0, i1), (s, t)); a Contract inside adds its m and n."""
    loops: list[Range] = []
    body: Body = (stmt,)
    while len(body) == 1 and isinstance(body[0], For):
        loops += bound_ranges(body[0])
        body = body[0].body
    if len(body) == 1 and isinstance(body[0], Contract):
        contract = body[0]
        return Nest((*loops, contract.m, contract.n), contract.body, contract)
    return Nest(tuple(loops), body)


def wrap(loops: Iterable[Range], body: Body) -> Body:
    """The inverse of `peel`: loops around a body."""
    for r in reversed(tuple(loops)):
        body = (For(r.axis, r.lo, r.hi, body),)
    return body


def extents_inside(body: Iterable[Stmt]) -> dict[str, int | None]:
    """The extents of the axes that are bound somewhere in a body."""
    return {axis: extent for stmt in body for axis, extent in _extents(stmt).items()}


@once("_extents")
def _extents(stmt: Stmt) -> dict[str, int | None]:
    return {r.axis: known_extent(r) for r in bound_ranges(stmt)} | extents_inside(nested(stmt))


def moves_inward(nest: Nest, axis: str) -> bool:
    """Whether the loop over `axis` may become the innermost of its nest, or run in lanes.

    Its iterations are independent, and no bound of another loop or of a loop inside moves with it.
    """
    known = _inward(nest)
    if axis not in known:
        known[axis] = _moves_inward(nest, axis)
    return known[axis]


@once("_inward")
def _inward(nest: Nest) -> dict[str, bool]:
    """The answers of `moves_inward` so far, by axis."""
    return {}


def _moves_inward(nest: Nest, axis: str) -> bool:
    others = [r for r in nest.loops if r.axis != axis]
    for stmt in nest.body:
        contracts, held = _bounds(stmt)
        if contracts or axis in held:
            return False
    if any(axis in axes_of(bound) for bound in bounds(others)):
        return False
    inner = {r.axis: known_extent(r) for r in others} | extents_inside(nest.body)
    loop = next(r for r in nest.loops if r.axis == axis)
    return apart(loop, _meetings(nest), inner)


@once("_bounds")
def _bounds(stmt: Stmt) -> tuple[bool, frozenset[str]]:
    """Whether there is a contraction in a statement, and the axes that bounds of its loops and folds hold."""
    inside = [_bounds(s) for s in nested(stmt)]
    held = NOTHING.union(*map(axes_of, bounds(bound_ranges(stmt))), *(axes for _, axes in inside))
    return isinstance(stmt, Contract) or any(contracts for contracts, _ in inside), held


@once("_meetings")
def _meetings(nest: Nest) -> tuple[tuple[Access, Access], ...]:
    return tuple(meetings(accesses(nest.body)))


@once("_meetings")
def meetings_inside(stmt: Stmt) -> tuple[tuple[Access, Access], ...]:
    """The `meetings` of the accesses of the statements inside a statement."""
    match nested(stmt):
        case (For() as inner,):  # bounds load nothing
            return meetings_inside(inner)
        case body:
            return tuple(meetings(accesses(body)))

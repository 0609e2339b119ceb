"""What statements do to each other: which of them may trade places."""

from __future__ import annotations

from dataclasses import dataclass

from graphnn.lower.ir import Stmt
from graphnn.schedule.statements import Access, accesses, locals_bound, locals_used


@dataclass(frozen=True, slots=True)
class Effects:
    """A statement with what it touches, so that a pass looks it up once."""

    stmt: Stmt
    accesses: tuple[Access, ...]
    reads: frozenset[str]
    writes: frozenset[str]
    touches: frozenset[str]
    binds: frozenset[str]
    uses: frozenset[str]

    @classmethod
    def of(cls, stmt: Stmt) -> Effects:
        found = tuple(accesses((stmt,)))
        read = frozenset(a.buffer for a in found if not a.writes)
        written = frozenset(a.buffer for a in found if a.writes)
        return cls(stmt, found, read, written, read | written, locals_bound((stmt,)), locals_used((stmt,)))


def commute(first: Effects, second: Effects) -> bool:
    """Whether two neighbours give the same result in either order: neither writes or binds what the other uses."""
    return (
        first.writes.isdisjoint(second.touches)
        and first.reads.isdisjoint(second.writes)
        and first.binds.isdisjoint(second.uses)
        and first.uses.isdisjoint(second.binds)
    )

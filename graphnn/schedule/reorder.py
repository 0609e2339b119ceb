"""What statements do to each other: which of them may trade places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from graphnn.lower.ir import Stmt
from graphnn.schedule.statements import Access, Body, accesses, locals_bound, locals_used


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


Place = tuple[int, ...]  # compares as the statements follow each other


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A statement in an Order."""

    effects: Effects
    place: Place


@dataclass(slots=True)
class Order:
    """Statements in an order that may be changed, found again by what they touch.

    What a question costs depends on how many statements touch the same buffers, not on how many there are.
    """

    _placed: dict[int, Placed] = field(default_factory=dict)  # by identity
    _writers: dict[str, dict[int, Placed]] = field(default_factory=dict)
    _readers: dict[str, dict[int, Placed]] = field(default_factory=dict)
    _binders: dict[str, dict[int, Placed]] = field(default_factory=dict)
    _users: dict[str, dict[int, Placed]] = field(default_factory=dict)
    _count: int = 0

    @classmethod
    def of(cls, body: Iterable[Stmt]) -> Order:
        order = cls()
        for stmt in body:
            order.append(stmt)
        return order

    def append(self, stmt: Stmt) -> Placed:
        """Put a statement behind all others."""
        self._count += 1
        return self._put(Placed(Effects.of(stmt), (self._count,)))

    def replace(self, old: Placed, stmt: Stmt) -> Placed:
        """Put a statement in the place of another."""
        self.remove(old)
        return self._put(Placed(Effects.of(stmt), old.place))

    def insert(self, after: Place, stmt: Stmt) -> Placed:
        """Put a statement directly behind the one at a place."""
        self._count += 1
        return self._put(Placed(Effects.of(stmt), (*after, -self._count)))

    def remove(self, placed: Placed) -> None:
        del self._placed[id(placed)]
        for found in self._indexed(placed.effects):
            del found[id(placed)]

    def body(self) -> Body:
        return tuple(p.effects.stmt for p in _sorted(self._placed.values()))

    def writing(self, buffers: Iterable[str]) -> list[Placed]:
        """The statements that write to one of the buffers at least, in their order."""
        return _sorted(p for name in buffers for p in self._writers.get(name, {}).values())

    def reading(self, buffers: Iterable[str]) -> list[Placed]:
        return _sorted(p for name in buffers for p in self._readers.get(name, {}).values())

    def touching(self, buffers: Iterable[str]) -> list[Placed]:
        names = tuple(buffers)
        return _sorted((*self.writing(names), *self.reading(names)))

    def rivals(self, effects: Effects) -> Iterator[Placed]:
        """The statements that a statement may not pass: one of the two writes or binds what the other uses."""
        for index, names in (
            (self._writers, effects.touches),
            (self._readers, effects.writes),
            (self._users, effects.binds),
            (self._binders, effects.uses),
        ):
            for name in names:
                yield from index.get(name, {}).values()

    def _put(self, placed: Placed) -> Placed:
        self._placed[id(placed)] = placed
        for found in self._indexed(placed.effects):
            found[id(placed)] = placed
        return placed

    def _indexed(self, effects: Effects) -> Iterator[dict[int, Placed]]:
        for index, names in (
            (self._writers, effects.writes),
            (self._readers, effects.reads),
            (self._binders, effects.binds),
            (self._users, effects.uses),
        ):
            for name in names:
                yield index.setdefault(name, {})


def _sorted(placed: Iterable[Placed]) -> list[Placed]:
    """Each once, in the order of their places."""
    return sorted({id(p): p for p in placed}.values(), key=lambda p: p.place)

"""What every nest is made of: fresh names, loops over ranges, conditions around statements."""

from __future__ import annotations

from collections.abc import Iterable

from graphnn.lower.guards import conjunction
from graphnn.lower.ir import For, If, Stmt
from graphnn.simplify.expr import Expr, Range

Body = tuple[Stmt, ...]


class Names:
    """Fresh names by prefix: i0, i1, ..., r0, ...; those in `taken` (the sizes) are left out."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = frozenset(taken)
        self.next: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        number = self.next.get(prefix, 0)
        self.next[prefix] = number + 1
        name = f"{prefix}{number}"
        return self.fresh(prefix) if name in self.taken else name


def loops(ranges: Iterable[Range], body: Body) -> Body:
    """for each range, outermost first: body. Without ranges the body itself."""
    for r in reversed(tuple(ranges)):
        body = (For(r.axis, r.lo, r.hi, body),)
    return body


def when(conditions: Iterable[Expr], body: Body) -> Body:
    """if all conditions: body. Without conditions the body itself."""
    condition = conjunction(conditions)
    return body if condition is None else (If(condition, body),)

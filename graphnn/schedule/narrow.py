"""Integers that fit a byte are stored in one: where in its window each maximum lies, for instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from graphnn.lower.ir import Accumulate, Contract, Fold, For, If, Let, Program, Stmt, Store, Transform
from graphnn.schedule.affine import known_extent
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import bound_ranges, nested
from graphnn.simplify.expr import Axis, Const, Expr, Local, Op, Range

Interval = tuple[int, int]  # the least and the largest value; both belong to it
LEAST, LARGEST = -128, 127


def narrow(program: Program, machine: Machine) -> Program:
    """Give an int64 temp one byte an element, where all that is stored to it is known to lie in -128 .. 127.

    temp p: int64[N];  fold s = min[r < 4](select(x[4*i + r] == y[i], r, 4)); p[i] = s  ->  temp p: int64[N] in bytes

    Values are int64 as before wherever they are computed.
    """
    found: dict[str, list[Interval | None]] = {}
    for stmt in program.body:
        _stored(stmt, {}, found)

    def fits(name: str) -> bool:
        return all(v is not None and v[0] >= LEAST and v[1] <= LARGEST for v in found.get(name, [None]))

    return replace(
        program,
        buffers=tuple(
            replace(b, narrow=True) if b.role == "temp" and b.dtype == "int64" and fits(b.name) else b
            for b in program.buffers
        ),
    )


def _stored(stmt: Stmt, known: dict[str, Interval], found: dict[str, list[Interval | None]]) -> None:
    """Collect what a statement stores to each buffer; `known` are the axes and locals in scope, to which it adds."""
    match stmt:
        case Store(buffer=buffer, value=value):
            found.setdefault(buffer, []).append(_interval(value, known))
        case Accumulate(buffer=buffer):
            found.setdefault(buffer, []).append(None)
        case Let(name=name, value=value):
            _bind(known, name, _interval(value, known))
        case Fold(name=name):
            _bind(known, name, _folded(stmt, known))
        case For() | If() | Contract() | Transform():
            inside = _with_axes(known, bound_ranges(stmt))
            for part in nested(stmt):
                _stored(part, inside, found)


def _bind(known: dict[str, Interval], name: str, value: Interval | None) -> None:
    if value is not None:
        known[name] = value


def _with_axes(known: Mapping[str, Interval], ranges: Iterable[Range]) -> dict[str, Interval]:
    inside = dict(known)
    for r in ranges:
        low, end = _interval(r.lo, known), _interval(r.hi, known)
        if low is not None and end is not None and end[1] > low[0]:
            inside[r.axis] = low[0], end[1] - 1
    return inside


def _folded(fold: Fold, known: Mapping[str, Interval]) -> Interval | None:
    """The least or largest of terms, of which there is one at least, is one of them."""
    if fold.reducer not in ("min", "max") or fold.guard is not None:
        return None
    if not all(known_extent(r) for r in fold.ranges):
        return None
    return _interval(fold.value, _with_axes(known, fold.ranges))


def _interval(expr: Expr, known: Mapping[str, Interval]) -> Interval | None:
    """Between which numbers an int64 expression lies, where that is known."""
    match expr:
        case Const(value=value, dtype="int64"):
            return int(value), int(value)
        case Axis(name=name) | Local(name=name):
            return known.get(name)
        case Op(fn="select", args=(_, a, b)):
            x, y = _interval(a, known), _interval(b, known)
            return None if x is None or y is None else (min(x[0], y[0]), max(x[1], y[1]))
        case Op(fn="add" | "mul" | "min" | "max" as fn, args=(a, b), dtype="int64"):
            x, y = _interval(a, known), _interval(b, known)
            return None if x is None or y is None else _combined(fn, x, y)
    return None


def _combined(fn: str, x: Interval, y: Interval) -> Interval:
    match fn:
        case "add":
            return x[0] + y[0], x[1] + y[1]
        case "mul":
            products = [p * q for p in x for q in y]
            return min(products), max(products)
        case "min":
            return min(x[0], y[0]), min(x[1], y[1])
        case _:
            return max(x[0], y[0]), max(x[1], y[1])

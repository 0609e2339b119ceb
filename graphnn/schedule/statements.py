"""Statements as data: their parts, their names, their accesses. Every pass is written with these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace
from itertools import count
from operator import is_
from typing import Any, TypeVar

from graphnn.lower.ir import Accumulate, Contract, Fold, For, If, Let, Program, Stmt, Store, Transform, Way
from graphnn.simplify.expr import (
    NOTHING,
    Axis,
    Expr,
    Load,
    Local,
    Range,
    axes_of,
    loads_of,
    locals_of,
    rebuild,
    transform,
)
from graphnn.simplify.once import hashed_once, once

Body = tuple[Stmt, ...]
T = TypeVar("T")


def nested(stmt: Stmt) -> Body:
    """The statements inside a statement."""
    return stmt.body if isinstance(stmt, For | If | Contract | Transform) else ()


def statements(body: Iterable[Stmt]) -> Iterator[Stmt]:
    """Every statement of a body, outside in."""
    for stmt in body:
        yield stmt
        yield from statements(nested(stmt))


def own_expressions(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions of a statement itself, those of its nested statements excluded."""
    match stmt:
        case For(lo=lo, hi=hi):
            return (lo, hi)
        case If(condition=condition):
            return (condition,)
        case Let(value=value) | Transform(value=value):
            return (value,)
        case Fold(ranges=ranges, guard=guard, value=value):
            return (*bounds(ranges), *(() if guard is None else (guard,)), value)
        case Contract(m=m, n=n, k=k, a=a, b=b):
            return (*bounds((m, n, *k)), a, b)
        case Store(index=index, value=value) | Accumulate(index=index, value=value):
            return (*index, value)


def bounds(ranges: Iterable[Range]) -> tuple[Expr, ...]:
    return tuple(bound for r in ranges for bound in (r.lo, r.hi))


@once("_ranges")
def bound_ranges(stmt: Stmt) -> tuple[Range, ...]:
    """The ranges that a statement itself binds."""
    match stmt:
        case For(axis=axis, lo=lo, hi=hi):
            return (Range(axis, lo, hi),)
        case Fold(ranges=ranges):
            return ranges
        case Contract(m=m, n=n, k=k):
            return (m, n, *k)
        case Transform(rows=rows, columns=columns):
            return (rows.outs, columns.outs, rows.terms, columns.terms)
        case _:
            return ()


def names_in(body: Iterable[Stmt]) -> set[str]:
    """Every axis and every local that is bound somewhere in a body."""
    return set[str]().union(*map(_names_in, body))


@once("_names")
def _names_in(stmt: Stmt) -> frozenset[str]:
    own = {r.axis for r in bound_ranges(stmt)}
    if isinstance(stmt, Let | Fold | Contract | Transform):
        own.add(stmt.name)
    return frozenset(own.union(*map(_names_in, nested(stmt))))


def untaken_name(prefix: str, taken: Set[str]) -> str:
    """The first of prefix, prefix_1, prefix_2 ... that is not taken."""
    return next(n for n in (f"{prefix}_{k}" if k else prefix for k in count()) if n not in taken)


def fresh_name(prefix: str, taken: set[str]) -> str:
    """An untaken name; it is taken from now on."""
    name = untaken_name(prefix, taken)
    taken.add(name)
    return name


def rename(body: Body, names: dict[str, str]) -> Body:
    """Rename bound axes and locals, and every use of them."""

    def visit(expr: Expr) -> Expr:
        if axes_of(expr).isdisjoint(names) and locals_of(expr).isdisjoint(names):
            return expr
        return replace(expr, name=names[expr.name]) if isinstance(expr, Axis | Local) else rebuild(expr, visit)

    def axis(r: Range) -> Range:
        return replace(r, axis=names.get(r.axis, r.axis))

    def way(w: Way) -> Way:
        return replace(w, out=names.get(w.out, w.out), axis=names.get(w.axis, w.axis))

    def binder(stmt: Stmt) -> Stmt:
        match stmt:
            case For(axis=name):
                return replace(stmt, axis=names.get(name, name))
            case Let(name=name):
                return replace(stmt, name=names.get(name, name))
            case Fold(name=name, ranges=ranges):
                return replace(stmt, name=names.get(name, name), ranges=tuple(map(axis, ranges)))
            case Contract(name=name, m=m, n=n, k=k):
                name = names.get(name, name)
                return replace(stmt, name=name, m=axis(m), n=axis(n), k=tuple(map(axis, k)))
            case Transform(name=name, rows=rows, columns=columns):
                return replace(stmt, name=names.get(name, name), rows=way(rows), columns=way(columns))
            case _:
                return stmt

    return rewrite(body, visit, binder)


def rename_buffer(body: Iterable[Stmt], old: str, new: str) -> Body:
    """Every access to one buffer, as an access to another."""

    def load(expr: Expr) -> Expr:
        return transform(expr, lambda e: replace(e, buffer=new) if isinstance(e, Load) and e.buffer == old else None)

    def store(stmt: Stmt) -> Stmt:
        return replace(stmt, buffer=new) if isinstance(stmt, Store | Accumulate) and stmt.buffer == old else stmt

    return tuple(
        stmt if old not in reads((stmt,)) | writes((stmt,)) else rewrite((stmt,), load, store)[0] for stmt in body
    )


def rewrite(body: Body, visit: Callable[[Expr], Expr], then: Callable[[Stmt], Stmt] | None = None) -> Body:
    """`visit` applied to every expression of a body, then `then` to every statement.

    A statement in which nothing changes stays the same object, with all that was found about it.
    """

    def ranges(old: tuple[Range, ...]) -> tuple[Range, ...]:
        return _kept(old, tuple(_visited(r, visit(r.lo), visit(r.hi)) for r in old))

    def one(stmt: Stmt) -> Stmt:
        new: dict[str, Any]
        match stmt:
            case For(lo=lo, hi=hi, body=inner):
                new = {"lo": visit(lo), "hi": visit(hi), "body": rewrite(inner, visit, then)}
            case If(condition=condition, body=inner):
                new = {"condition": visit(condition), "body": rewrite(inner, visit, then)}
            case Let(value=value):
                new = {"value": visit(value)}
            case Fold(ranges=old, guard=guard, value=value):
                new_guard = None if guard is None else visit(guard)
                new = {"ranges": ranges(old), "guard": new_guard, "value": visit(value)}
            case Contract(m=m, n=n, k=k, a=a, b=b, body=inner):
                new_m, new_n = (_visited(r, visit(r.lo), visit(r.hi)) for r in (m, n))
                new_k, new_body = ranges(k), rewrite(inner, visit, then)
                new = {"m": new_m, "n": new_n, "k": new_k, "a": visit(a), "b": visit(b), "body": new_body}
            case Transform(value=value, body=inner):
                new = {"value": visit(value), "body": rewrite(inner, visit, then)}
            case Store(index=index, value=value) | Accumulate(index=index, value=value):
                new = {"index": _kept(index, tuple(map(visit, index))), "value": visit(value)}
        if any(getattr(stmt, name) is not part for name, part in new.items()):
            stmt = replace(stmt, **new)
        return stmt if then is None else then(stmt)

    return _kept(body, tuple(map(one, body)))


def _visited(r: Range, lo: Expr, hi: Expr) -> Range:
    return r if lo is r.lo and hi is r.hi else Range(r.axis, lo, hi)


def _kept(old: tuple[T, ...], new: tuple[T, ...]) -> tuple[T, ...]:
    """The old parts where all of the new ones are the same objects."""
    return old if all(map(is_, old, new)) else new


class _Node:
    __slots__ = ("_hash",)


@hashed_once
@dataclass(frozen=True, slots=True)
class Access(_Node):
    """One place where a body touches a buffer."""

    buffer: str
    index: tuple[Expr, ...]
    writes: bool


def accesses(body: Iterable[Stmt]) -> list[Access]:
    """Every load and store of a body; an Accumulate is one access that writes."""
    return [access for stmt in body for access in _accesses(stmt)]


@once("_accesses")
def _accesses(stmt: Stmt) -> tuple[Access, ...]:
    found = []
    for expr in own_expressions(stmt):
        found += [Access(e.buffer, e.index, False) for e in loads_of(expr)]
    if isinstance(stmt, Store | Accumulate):
        found.append(Access(stmt.buffer, stmt.index, True))
    return (*found, *accesses(nested(stmt)))


def reads(body: Iterable[Stmt]) -> frozenset[str]:
    """The buffers whose values a body uses."""
    return NOTHING.union(*[_touched(stmt)[0] for stmt in body])


def writes(body: Iterable[Stmt]) -> frozenset[str]:
    """The buffers that a body changes."""
    return NOTHING.union(*[_touched(stmt)[1] for stmt in body])


def touched(stmt: Stmt) -> tuple[str, ...]:
    """The buffers that a statement loads from or stores into, in a fixed order."""
    return _touched(stmt)[2]


@once("_touched")
def _touched(stmt: Stmt) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """The buffers that a statement loads from, those that it stores into, and all of them."""
    found = _accesses(stmt)
    read, written = (frozenset(a.buffer for a in found if a.writes == way) for way in (False, True))
    return read, written, tuple(sorted(read | written))


@once("_axes")
def axes_used(stmt: Stmt) -> frozenset[str]:
    """The axes that the expressions of a statement hold, those inside it included."""
    return NOTHING.union(*map(axes_of, own_expressions(stmt)), *map(axes_used, nested(stmt)))


def locals_used(body: Iterable[Stmt]) -> frozenset[str]:
    return NOTHING.union(*map(_locals_used, body))


@once("_uses")
def _locals_used(stmt: Stmt) -> frozenset[str]:
    return NOTHING.union(*map(locals_of, own_expressions(stmt)), *map(_locals_used, nested(stmt)))


def locals_bound(body: Iterable[Stmt]) -> frozenset[str]:
    return frozenset(s.name for s in body if isinstance(s, Let | Fold))


def prune(program: Program) -> Program:
    """Drop what nobody reads: stores to such temp buffers, locals, empty loops, and then the buffers.

    for i0: t[i0] = exp(x[i0]); y[i0] = x[i0]  ->  for i0: y[i0] = x[i0]      (t is a temp that is never loaded)
    """
    body = program.body
    while True:
        used = reads(body)
        dead = {b.name for b in program.buffers if b.role == "temp" and b.name not in used}
        smaller = without_stores(body, dead)
        if smaller == body:
            break
        body = smaller
    touched = reads(body) | writes(body)
    buffers = tuple(b for b in program.buffers if b.role != "temp" or b.name in touched)
    return replace(program, buffers=buffers, body=body)


def without_stores(body: Body, dead: Set[str]) -> Body:
    """A body without the stores to `dead` buffers, and without locals and loops that nothing needs then."""
    while True:
        smaller = _drop(body, dead, locals_used(body))
        if smaller == body:
            return body
        body = smaller


def _drop(body: Body, dead: Set[str], used: Set[str]) -> Body:
    kept: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Store(buffer=buffer) | Accumulate(buffer=buffer) if buffer in dead:
                continue
            case Let(name=name) | Fold(name=name) if name not in used:
                continue
            case For() | If() | Contract() | Transform():
                inner = _drop(stmt.body, dead, used)
                if inner:
                    kept.append(stmt if inner == stmt.body else replace(stmt, body=inner))
            case _:
                kept.append(stmt)
    return tuple(kept)

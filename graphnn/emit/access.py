"""Where an element lies: a logical index becomes one element offset, and the offset's stride along an axis.

W[i0, r0], W of shape (N, 64), layout (0, 1)  ->  i0*64 + r0
stride of that along r0 is 1, along i0 it is 64, of W[token[i0], r0] along i0 it is None
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Let, Program, Stmt, Store, Transform
from graphnn.schedule.statements import names_in as names_bound
from graphnn.schedule.statements import writes
from graphnn.simplify.expr import Axis, Const, Expr, Load, Local, Op, Range, children, index_constant, walk
from graphnn.simplify.once import once


def product(a: Expr, b: Expr) -> Expr:
    """a*b as an index expression, constants folded: product(i0, 1) -> i0."""
    match a, b:
        case Const(value=x), Const(value=y):
            return index_constant(int(x) * int(y))
        case (Const(value=x), other) | (other, Const(value=x)) if x in (0, 1):
            return other if x == 1 else index_constant(0)
    return Op("mul", (a, b), "int64")


def total(a: Expr, b: Expr) -> Expr:
    """a + b as an index expression, constants folded: total(0, i0) -> i0."""
    match a, b:
        case Const(value=x), Const(value=y):
            return index_constant(int(x) + int(y))
        case (Const(value=0), other) | (other, Const(value=0)):
            return other
    return Op("add", (a, b), "int64")


def strides_of(buffer: Buffer) -> tuple[Expr, ...]:
    """The distance in elements between neighbours along each logical axis."""
    strides: dict[int, Expr] = {}
    distance: Expr = index_constant(1)
    for axis in reversed(buffer.layout):
        strides[axis] = distance
        distance = product(distance, buffer.shape[axis])
    return tuple(strides[axis] for axis in range(len(buffer.shape)))


def offset_of(buffer: Buffer, index: tuple[Expr, ...]) -> Expr:
    """The element offset of a logical index, as one int64 expression; slowest axis first."""
    strides = strides_of(buffer)
    offset: Expr = index_constant(0)
    for axis in buffer.layout:
        offset = total(offset, product(index[axis], strides[axis]))
    return offset


@lru_cache(1024)
def slope(expr: Expr, axis: str) -> Expr | None:
    """How much an int64 expression grows when `axis` grows by one; None where that depends on the axis.

    slope(i0*(N*64) + r0, "i0") -> N*64
    """
    if axis not in names_in(expr):
        return index_constant(0)
    match expr:
        case Axis():
            return index_constant(1)
        case Op(fn="add" | "sub" as fn, args=(a, b)):
            left, right = slope(a, axis), slope(b, axis)
            if left is None or right is None:
                return None
            return total(left, right if fn == "add" else product(index_constant(-1), right))
        case Op(fn="neg", args=(a,)):
            inner = slope(a, axis)
            return None if inner is None else product(index_constant(-1), inner)
        case Op(fn="mul", args=(a, b)) if axis not in names_in(a) or axis not in names_in(b):
            factor, other = (a, b) if axis not in names_in(a) else (b, a)
            inner = slope(other, axis)
            return None if inner is None else product(factor, inner)
    return None


@once("_names")
def names_in(expr: Expr) -> frozenset[str]:
    """What the value of an expression depends on: axes and locals by name, a buffer W as "@W"."""
    names = frozenset[str]().union(*map(names_in, children(expr)))
    match expr:
        case Axis(name=name) | Local(name=name):
            return names | {name}
        case Load(buffer=buffer):
            return names | {f"@{buffer}"}
    return names


def expressions_in(statements: tuple[Stmt, ...]) -> tuple[Expr, ...]:
    """Every expression that stands in the statements or in their bodies, in order of appearance."""
    found: list[Expr] = []

    def bounds(*ranges: Range) -> None:
        found.extend(bound for r in ranges for bound in (r.lo, r.hi))

    for statement in statements:
        match statement:
            case For(lo=lo, hi=hi, body=body):
                found += (lo, hi, *expressions_in(body))
            case If(condition=condition, body=body):
                found += (condition, *expressions_in(body))
            case Let(value=value):
                found.append(value)
            case Fold(ranges=ranges, guard=guard, value=value):
                bounds(*ranges)
                found += (value,) if guard is None else (guard, value)
            case Contract(m=m, n=n, k=k, a=a, b=b, body=body):
                bounds(m, n, *k)
                found += (a, b, *expressions_in(body))
            case Transform(value=value, body=body):
                found += (value, *expressions_in(body))
            case Store(index=index, value=value) | Accumulate(index=index, value=value):
                found += (*index, value)
    return tuple(found)


def written_by(statements: tuple[Stmt, ...]) -> frozenset[str]:
    """The buffers that the statements store into, as `names_in` writes them."""
    return frozenset(f"@{buffer}" for buffer in writes(statements))


def prepared_statements(program: Program) -> int:
    """How many statements come first that write prepared buffers."""
    prepared = {f"@{b.name}" for b in program.buffers if b.role == "prepared"}
    return sum(not written_by((statement,)).isdisjoint(prepared) for statement in program.body)


def bound_by(statements: Iterable[Stmt]) -> frozenset[str]:
    """The axes and locals that the statements bind, in their bodies too."""
    return frozenset(names_bound(statements))


def invariants(expr: Expr, changing: frozenset[str]) -> Iterator[Expr]:
    """The largest parts of `expr` that depend on no changing name and that evaluating `expr` always evaluates.

    invariants(exp(x[i])*w[j], {j}) -> exp(x[i])
    """
    match expr:
        case Op() | Load() if changing.isdisjoint(names_in(expr)):
            yield expr
        case Op(fn="select", args=(condition, _, _)):
            yield from invariants(condition, changing)
        case Op(args=parts) | Load(index=parts):
            for part in parts:
                if isinstance(part, Op | Load):
                    yield from invariants(part, changing)


def invariants_in(body: tuple[Stmt, ...], changing: frozenset[str], nested: bool) -> Iterator[Expr]:
    """What the statements compute from nothing that changes; in nested loops only what needs no element to be there."""
    for s in body:
        if isinstance(s, For | Contract):
            yield from invariants_in(s.body, changing, nested=True)
        elif isinstance(s, Let | Store | Accumulate | Transform):
            for part in invariants(s.value, changing):
                if not nested or not any(isinstance(e, Load) and e.index for e in walk(part)):
                    yield part
        if isinstance(s, Transform):
            yield from invariants_in(s.body, changing, nested)

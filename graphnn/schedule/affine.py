"""Index arithmetic: coefficients, strides, and which accesses can meet in one iteration only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

from graphnn.lower.affine import affine
from graphnn.lower.ir import Buffer
from graphnn.schedule.statements import Access, Body, accesses
from graphnn.simplify.expr import (
    Axis,
    Const,
    Expr,
    Load,
    Op,
    Range,
    Size,
    axes_of,
    index_constant,
    loads_of,
    locals_of,
    rebuild,
)

ZERO, ONE = index_constant(0), index_constant(1)


def integer(fn: str, a: Expr, b: Expr) -> Expr:
    """An int64 operation, folded where both sides are known or one is neutral: integer("mul", 2, N) -> 2*N."""
    if isinstance(a, Const) and isinstance(b, Const):
        x, y = int(a.value), int(b.value)
        folded = {"add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y, "floordiv": lambda: x // y}
        folded |= {"min": lambda: min(x, y), "max": lambda: max(x, y)}
        return index_constant(folded[fn]())
    if (fn in ("add", "sub") and b == ZERO) or (fn in ("mul", "floordiv") and b == ONE):
        return a
    if (fn == "add" and a == ZERO) or (fn == "mul" and a == ONE):
        return b
    return ZERO if fn == "mul" and ZERO in (a, b) else Op(fn, (a, b), "int64")


def folded(expr: Expr) -> Expr:
    """Index sums in their normal form, wherever they stand: 16*0 + l -> l."""
    if isinstance(expr, Op) and expr.dtype == "int64" and expr.fn in ("add", "sub", "mul", "neg"):
        return affine(rebuild(expr, folded)).expr()
    return rebuild(expr, folded) if isinstance(expr, Op | Load) else expr


def extent_of(r: Range) -> Expr:
    """The number of iterations of a range: hi, hi - lo, or 0 where that is negative."""
    return r.hi if r.lo == ZERO else integer("max", integer("sub", r.hi, r.lo), ZERO)


def position_in(r: Range) -> Expr:
    """How many iterations of a range come before its axis: p0 over [-2, 8) -> p0 + 2."""
    return affine(Axis(r.axis)).plus(affine(r.lo), -1).expr()


def ceildiv(a: Expr, divisor: int) -> Expr:
    """The ceiling of a / divisor, for a positive divisor."""
    return integer("floordiv", integer("add", a, index_constant(divisor - 1)), index_constant(divisor))


def is_size(expr: Expr) -> bool:
    """Whether an expression is made of constants and sizes alone, so that it has one value in a call."""
    return isinstance(expr, Const | Size) or not (axes_of(expr) or locals_of(expr) or loads_of(expr))


def is_affine(index: Iterable[Expr]) -> bool:
    """Whether index expressions are sums of axes times integers or sizes: 2*i0 + N*r0 - 1."""

    def linear(atom: Expr) -> bool:
        if isinstance(atom, Op) and atom.fn == "mul":
            a, b = atom.args
            return (linear(a) and is_size(b)) or (is_size(a) and linear(b))
        return isinstance(atom, Axis) or is_size(atom)

    return all(linear(atom) for expr in index for atom, _ in affine(expr).terms)


def coefficient(expr: Expr, axis: str) -> int | None:
    """How far an index moves in one step of `axis`; None where that is not one integer."""
    if isinstance(expr, Axis):
        return int(expr.name == axis)
    found = 0
    for atom, times in affine(expr).terms:
        if isinstance(atom, Axis) and atom.name == axis:
            found = times
        elif axis in axes_of(atom):
            return None
    return found


def stride(index: tuple[Expr, ...], axis: str, layout: tuple[int, ...]) -> int | None:
    """How far one step of `axis` goes in memory: 0, 1, or None for any other or unknown distance."""
    moves = False
    for d, expr in enumerate(index):
        if axis in axes_of(expr):
            if d != layout[-1]:
                return None
            moves = True
    if not moves:
        return 0
    return 1 if coefficient(index[layout[-1]], axis) == 1 else None


def default_layout(shape: Sequence[Expr]) -> tuple[int, ...]:
    return tuple(range(len(shape)))


def layouts(buffers: Iterable[Buffer]) -> dict[str, tuple[int, ...]]:
    return {b.name: b.layout for b in buffers}


Extents = Mapping[str, int | None]  # of axes; None where it is not one known number


def pins(first: Access, second: Access, axis: str, forbidden: Extents) -> bool:
    """Whether two accesses meet in one element only where `axis` has one value.

    So it is where one dimension is the same expression in both but for a constant, moves with `axis`, and the constant
    and the `forbidden` axes in it (those that may differ between the two) are other digits of a number: t[i0, r0] and
    t[i0, i1] are pinned by i0, t[16*x + l] is pinned by x and by l < 16, and so are t[32*x + l] and t[32*x + l + 16].
    `forbidden` holds the extent of `axis`, too.
    """
    for a, b in zip(first.index, second.index, strict=True):
        if axis not in axes_of(a) or axis not in axes_of(b):
            continue
        apart = _apart(a, b)
        if apart is not None and _is_digit(a, axis, forbidden, apart):
            return True
    return False


@lru_cache(2**14)
def _apart(a: Expr, b: Expr) -> int | None:
    """a - b, where that is a constant."""
    if a == b:
        return 0
    difference = affine(a).plus(affine(b), -1)
    return None if difference.terms else difference.constant


def _is_digit(expr: Expr, axis: str, forbidden: Extents, apart: int) -> bool:
    """Whether two values of an index, `apart` from each other in form, can only be the same if `axis` is.

    Whatever values the forbidden axes take.
    """
    step = coefficient(expr, axis)
    if not step:
        return False
    others = [name for name in axes_of(expr) if name in forbidden and name != axis]
    own = forbidden.get(axis) or None  # of no iterations nothing is known
    lower = 0 if own is not None and apart % (step * own) == 0 else abs(apart)
    for name in others:
        extent, distance = forbidden[name], coefficient(expr, name)
        if distance is None:
            return False
        if own is None or distance % (step * own):
            if extent is None:
                return False
            lower += abs(distance) * (extent - 1)
    return lower < abs(step)


def conflicts(first: Iterable[Access], second: Iterable[Access]) -> list[tuple[Access, Access]]:
    """The pairs of accesses to one buffer of which at least one writes."""
    later = dict[str, list[Access]]()
    for b in second:
        later.setdefault(b.buffer, []).append(b)
    return [(a, b) for a in first for b in later.get(a.buffer, ()) if a.writes or b.writes]


def meetings(found: Iterable[Access]) -> Iterator[tuple[Access, Access]]:
    """The pairs of accesses to one buffer of which at least one writes, each once, and each with itself.

    Left out are those that differ in a constant index: t[0, i0] and t[1, i0] never meet.
    """
    every = tuple(found)
    written = {a.buffer for a in every if a.writes}
    buffers = dict[str, dict[Access, None]]()
    for access in every:
        if access.buffer in written:
            buffers.setdefault(access.buffer, {})[access] = None
    for same in buffers.values():
        keys = {a: tuple(int(e.value) if isinstance(e, Const) else None for e in a.index) for a in same}
        known = [d for d, column in enumerate(zip(*keys.values(), strict=True)) if None not in column]
        buckets = dict[tuple[int | None, ...], list[Access]]()
        for access, key in keys.items():
            buckets.setdefault(tuple(key[d] for d in known), []).append(access)
        for bucket in buckets.values():
            for a, b in combinations_with_replacement(bucket, 2):
                if (a.writes or b.writes) and _may_meet(keys[a], keys[b]):
                    yield a, b


def _may_meet(first: tuple[int | None, ...], second: tuple[int | None, ...]) -> bool:
    return all(x is None or y is None or x == y for x, y in zip(first, second, strict=True))


def independent(loop: Range, body: Body, inside: Extents) -> bool:
    """Whether the iterations of a loop touch nothing in common that one of them writes.

    `inside` holds the extents of the axes that are bound inside the loop.
    """
    return apart(loop, meetings(accesses(body)), inside)


def apart(loop: Range, pairs: Iterable[tuple[Access, Access]], inside: Extents) -> bool:
    """`independent`, asked about the `meetings` of a body."""
    forbidden = {**inside, loop.axis: known_extent(loop)}
    return all(pins(a, b, loop.axis, forbidden) for a, b in pairs)


def known_extent(r: Range) -> int | None:
    """The number of iterations of a range, where it is a constant."""
    if isinstance(r.lo, Const) and isinstance(r.hi, Const):
        return max(int(r.hi.value) - int(r.lo.value), 0)
    extent = extent_of(r)
    return int(extent.value) if isinstance(extent, Const) else None

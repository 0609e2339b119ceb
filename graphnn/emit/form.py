"""The form of a kernel: its statements without the names of arrays, axes and locals, and without where slices begin.

    h1[i0, i1] = max(0.0, z[i0, 1, i1])      h2[i6, i7] = max(0.0, z[i6, 2, i7])
      ->  a0[n0, n1] = max(0.0, a1[n0, 0, n1])

Kernels of one form are one function that is called on other arrays. Layers of one shape and the steps of a recurrent
layer have few forms, so the code of a network, and the time that LLVM takes for it, do not grow with its depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphnn.emit.access import offset_of
from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Let, Stmt, Store, Transform
from graphnn.schedule.affine import integer
from graphnn.schedule.statements import Body, accesses, rewrite
from graphnn.simplify.expr import Axis, Const, Expr, Load, Local, Op, Range, Reduce, Size, index_constant, transform


@dataclass(frozen=True, slots=True)
class Slice:
    """A buffer, by its position in the program, from the element `offset` on."""

    position: int
    offset: Expr


@dataclass(frozen=True, slots=True)
class Form:
    """`body` reads and writes `slices`, in the order of their first appearance, and `local` buffers.

    Equal keys mean equal code.
    """

    key: tuple[object, ...]
    slices: tuple[Slice, ...]
    local: tuple[Buffer, ...]
    body: Body


def form_of(body: Body, buffers: Sequence[Buffer], sliced: bool = True) -> Form:
    """The form of a kernel of a program with these buffers, of which it takes slices or the whole."""
    positions = {buffer.name: position for position, buffer in enumerate(buffers)}
    corners = _corners(body) if sliced else {}
    body = _from_corners(body, corners)
    spelling = _Spelling({name: buffers[position] for name, position in positions.items()})
    spelling.body(body)
    slices, local = list[Slice](), list[Buffer]()
    for name in spelling.arrays:
        buffer = buffers[positions[name]]
        if buffer.local_to:
            local.append(buffer)
            continue
        corner = corners.get(name, (0,) * len(buffer.shape))
        slices.append(Slice(positions[name], offset_of(buffer, tuple(map(index_constant, corner)))))
    return Form(tuple(spelling.tokens), tuple(slices), tuple(local), body)


def _corners(body: Body) -> dict[str, tuple[int, ...]]:
    """Where the slices begin: along an axis at which a kernel has fixed places of a buffer only, at the least of them.

    z[i0, 3, i1] + z[i1, 2, i0]  ->  {z: (0, 2, 0)}
    """
    found: dict[str, tuple[int | None, ...]] = {}
    for access in accesses(body):
        places = tuple(int(i.value) if isinstance(i, Const) else None for i in access.index)
        old = found.setdefault(access.buffer, places)
        found[access.buffer] = tuple(
            None if a is None or b is None else min(a, b) for a, b in zip(old, places, strict=True)
        )
    corners = {name: tuple(place or 0 for place in places) for name, places in found.items()}
    return {name: corner for name, corner in corners.items() if any(corner)}


def _from_corners(body: Body, corners: dict[str, tuple[int, ...]]) -> Body:
    """A kernel on slices: z[i0, 3, i1] + z[i1, 2, i0]  ->  z[i0, 1, i1] + z[i1, 0, i0]."""
    if not corners:
        return body

    def moved(buffer: str, index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(integer("sub", i, index_constant(c)) for i, c in zip(index, corners[buffer], strict=True))

    def load(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.buffer in corners:
            return replace(expr, index=moved(expr.buffer, expr.index))
        return None

    def store(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Store | Accumulate) and stmt.buffer in corners:
            return replace(stmt, index=moved(stmt.buffer, stmt.index))
        return stmt

    return rewrite(body, lambda expr: transform(expr, load), store)


class _Spelling:
    """Writes statements in prefix notation, with numbers for arrays, axes and locals as they appear."""

    def __init__(self, buffers: dict[str, Buffer]) -> None:
        self.buffers = buffers
        self.tokens: list[object] = []
        self.arrays: dict[str, int] = {}
        self.names: dict[str, int] = {}

    def name(self, name: str) -> None:
        self.tokens.append(self.names.setdefault(name, len(self.names)))

    def array(self, name: str) -> None:
        new = name not in self.arrays
        self.tokens.append(self.arrays.setdefault(name, len(self.arrays)))
        if new:
            buffer = self.buffers[name]
            self.tokens += (buffer.dtype, buffer.narrow, buffer.streamed, buffer.shape, buffer.layout)
            self.tokens.append(self.names.get(buffer.local_to))

    def body(self, body: Body) -> None:
        self.tokens.append(len(body))
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        self.tokens.append(type(stmt).__name__)
        match stmt:
            case For(axis=axis, lo=lo, hi=hi, body=body, kind=kind):
                self.tokens.append(kind)
                self.ranges((Range(axis, lo, hi),))
                self.body(body)
            case If(condition=condition, body=body):
                self.expression(condition)
                self.body(body)
            case Let(name=name, value=value):
                self.name(name)
                self.expression(value)
            case Fold(name=name, reducer=reducer, ranges=ranges, guard=guard, value=value, lanes=lanes):
                self.name(name)
                self.tokens += (reducer, lanes)
                self.ranges(ranges)
                self.tokens.append(guard is None)
                for expr in (value,) if guard is None else (guard, value):
                    self.expression(expr)
            case Contract(name=name, m=m, n=n, k=k, a=a, b=b, body=body, lanes=lanes):
                self.name(name)
                self.tokens.append(lanes)
                self.ranges((m, n, *k))
                self.expression(a)
                self.expression(b)
                self.body(body)
            case Transform(rows=rows, columns=columns, value=value, body=body):
                for name in (stmt.name, rows.out, rows.axis, columns.out, columns.axis):
                    self.name(name)
                self.tokens += (rows.matrix, columns.matrix)
                self.expression(value)
                self.body(body)
            case Store(buffer=buffer, index=index, value=value):
                self.element(buffer, index)
                self.expression(value)
            case Accumulate(buffer=buffer, index=index, reducer=reducer, value=value):
                self.tokens.append(reducer)
                self.element(buffer, index)
                self.expression(value)

    def ranges(self, ranges: Sequence[Range]) -> None:
        self.tokens.append(len(ranges))
        for r in ranges:
            self.name(r.axis)
            self.expression(r.lo)
            self.expression(r.hi)

    def element(self, buffer: str, index: tuple[Expr, ...]) -> None:
        self.array(buffer)
        for part in index:
            self.expression(part)

    def expression(self, expr: Expr) -> None:
        """`repr` tells 0.0 from -0.0 and 1 from 1.0."""
        match expr:
            case Op(fn=fn, args=args, dtype=dtype):
                self.tokens += (fn, dtype)
                for arg in args:
                    self.expression(arg)
            case Const(value=value, dtype=dtype):
                self.tokens += (repr(value), dtype)
            case Axis(name=name):
                self.tokens.append("axis")
                self.name(name)
            case Local(name=name, dtype=dtype):
                self.tokens += ("local", dtype)
                self.name(name)
            case Load(buffer=buffer, index=index):
                self.tokens.append("load")
                self.element(buffer, index)
            case Size(name=name):
                self.tokens += ("size", name)
            case Reduce():
                raise AssertionError("lowering turns each Reduce into a Fold")

"""What a loop program must satisfy before any stage may rely on it. Errors name the statement.

Names: buffers, sizes, axes and locals exist where they are used and are bound once in a scope. Types: see
`types.py`. Statements: nothing stores into an input, a fold's or loop's bounds are the same in every lane of a
vector axis, the factors of a Contract do not depend on the other factor's axis, its last range fills its lanes. Each
row of a Transform's matrices has as many numbers, not all of them 0.
Prepared buffers: what writes them comes first, and depends on nothing that may differ between two calls. Buffers that
are local to a loop: no two iterations touch one element.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graphnn.errors import CompileError
from graphnn.lower.affine import Affine, affine
from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Let, Program, Stmt, Store, Transform, Way
from graphnn.lower.parts import Parts
from graphnn.lower.printer import header
from graphnn.lower.types import check_operation
from graphnn.simplify.expr import (
    COMBINE,
    Axis,
    Const,
    DType,
    Expr,
    Load,
    Local,
    Op,
    Range,
    Reduce,
    Size,
    axes_of,
    children,
    locals_of,
    text,
    walk,
)

KINDS = ("serial", "parallel", "vector")


def verify(program: Program) -> None:
    """Raise CompileError, naming the statement or buffer, unless the program is valid."""
    declared = Counter((*(b.name for b in program.buffers), *program.sizes))
    for name, times in declared.items():
        if times > 1:
            raise CompileError(f"program {program.name}: the name {name} is declared twice")
    for buffer in program.buffers:
        _check_buffer(buffer, program)
    _Scope({b.name: b for b in program.buffers}, frozenset(program.sizes)).program(program.body)


def _check_buffer(buffer: Buffer, program: Program) -> None:
    if buffer.local_to and buffer.role != "temp":
        raise CompileError(f"buffer {buffer.name}: no {buffer.role} is local to a loop")
    if sorted(buffer.layout) != list(range(len(buffer.shape))):
        raise CompileError(
            f"buffer {buffer.name}: the layout {buffer.layout} is not a permutation of its {len(buffer.shape)} axes"
        )
    for extent in buffer.shape:
        for part in walk(extent):
            if not isinstance(part, Const | Size | Op):
                raise CompileError(f"buffer {buffer.name}: the extent {text(extent)} may hold constants and sizes only")
            if isinstance(part, Size) and part.name not in program.sizes:
                raise CompileError(f"buffer {buffer.name}: the size {part.name} is unknown")
            if isinstance(part, Op):
                check_operation(part, f"buffer {buffer.name}")
        if buffer.role == "prepared" and not isinstance(extent, Const):
            raise CompileError(f"buffer {buffer.name}: the extent {text(extent)} of a prepared buffer is no number")
        if extent.dtype != "int64":
            raise CompileError(f"buffer {buffer.name}: the extent {text(extent)} is {extent.dtype}, not int64")


@dataclass(slots=True)
class _Uses:
    """The names of what a top-level statement uses: buffers that it loads from and stores into, sizes, locals."""

    loads: set[str] = field(default_factory=set)
    stores: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)
    locals: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Place:
    """How an error names a statement."""

    stmt: Stmt

    def __str__(self) -> str:
        try:
            return header(self.stmt)
        except (KeyError, IndexError):  # one that holds an unknown function or too few arguments has no text
            return f"{self.stmt}:"


@dataclass(slots=True)
class _Scope:
    """The names that a statement may use. `varying` are those whose value differs between vector lanes."""

    buffers: dict[str, Buffer]
    sizes: frozenset[str]
    axes: frozenset[str] = frozenset()
    locals: dict[str, DType] = field(default_factory=dict)
    varying: frozenset[str] = frozenset()
    uses: _Uses = field(default_factory=_Uses)
    loops: tuple[For, ...] = ()
    parts: Parts = field(default_factory=Parts)

    def program(self, body: Iterable[Stmt]) -> None:
        found: list[tuple[Stmt, _Uses]] = []
        for stmt in body:
            before = set(self.locals)
            self.uses = _Uses()
            self.statement(stmt)
            self.uses.locals &= before
            found.append((stmt, self.uses))
        prepared = {b.name for b in self.buffers.values() if b.role == "prepared"}
        stored = set[str]().union(*(uses.stores for _, uses in found))
        settled = prepared | {b.name for b in self.buffers.values() if b.role == "state" and b.name not in stored}
        ahead = True
        for stmt, uses in found:
            ahead = ahead and not uses.stores.isdisjoint(prepared)
            others = uses.loads - settled | uses.stores - prepared | uses.sizes | uses.locals
            if ahead and others:
                raise CompileError(f"{_Place(stmt)} what prepares buffers depends on or changes {min(others)}, too")
            if not ahead and not uses.stores.isdisjoint(prepared):
                raise CompileError(f"{_Place(stmt)} what prepares buffers must come before all else")

    def block(self, body: Iterable[Stmt]) -> None:
        inner = replace(self, locals=dict(self.locals))
        for stmt in body:
            inner.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        where = _Place(stmt)
        match stmt:
            case For(axis=axis, lo=lo, hi=hi, body=body, kind=kind):
                if kind not in KINDS:
                    raise CompileError(f"{where} the kind {kind} is none of {', '.join(KINDS)}")
                inside = replace(self.bound((Range(axis, lo, hi),), where), loops=(*self.loops, stmt))
                if kind == "vector":
                    inside = replace(inside, varying=inside.varying | {axis})
                inside.block(body)
            case If(condition=condition, body=body):
                self.expect(condition, "bool", "condition", where)
                self.block(body)
            case Let(name=name, value=value):
                self.expression(value, where)
                self.bind(name, value.dtype, (value,), where)
            case Fold():
                self.fold(stmt, where)
            case Contract():
                self.contract(stmt, where)
            case Transform():
                self.transform(stmt, where)
            case Store(buffer=buffer, index=index, value=value):
                self.write(buffer, index, value, where)
            case Accumulate(buffer=buffer, index=index, reducer=reducer, value=value):
                _check_reducer(reducer, value, where)
                self.write(buffer, index, value, where)

    def fold(self, fold: Fold, where: _Place) -> None:
        inside = self.bound(fold.ranges, where)
        if fold.guard is not None:
            inside.expect(fold.guard, "bool", "guard", where)
        inside.expression(fold.value, where)
        if fold.lanes != 1:
            _check_power(fold.lanes, where)
            if fold.guard is not None or not fold.ranges:
                raise CompileError(f"{where} terms in lanes have a range and no guard")
        _check_reducer(fold.reducer, fold.value, where)
        parts = (fold.value,) if fold.guard is None else (fold.guard, fold.value)
        self.bind(fold.name, fold.value.dtype, parts, where)

    def contract(self, stmt: Contract, where: _Place) -> None:
        """`a` sees m and k, `b` sees n and k, the body sees m and n; the bounds see none of the three."""
        for r in (stmt.m, stmt.n, *stmt.k):
            self.bound((r,), where)
        inside = self.bound((stmt.m, stmt.n, *stmt.k), where)
        for factor, other in ((stmt.a, stmt.n.axis), (stmt.b, stmt.m.axis)):
            inside.expression(factor, where)
            if other in axes_of(factor):
                raise CompileError(f"{where} the factor {text(factor)} depends on {other}")
        if stmt.a.dtype != stmt.b.dtype or stmt.a.dtype not in ("float32", "float64"):
            raise CompileError(f"{where} the factors are {stmt.a.dtype} and {stmt.b.dtype}, not one floating dtype")
        if stmt.lanes != 1:
            _check_lanes(stmt, where)
        body = self.bound((stmt.m, stmt.n), where)
        body = replace(body, locals=dict(body.locals))
        body.bind(stmt.name, stmt.a.dtype, (stmt.a, stmt.b), where)
        body.block(stmt.body)

    def transform(self, stmt: Transform, where: _Place) -> None:
        """`value` sees the axes that are summed over, the body those of the results."""
        for way in (stmt.rows, stmt.columns):
            _check_matrix(way, where)
        self.bound((stmt.rows.terms, stmt.columns.terms), where).expression(stmt.value, where)
        if stmt.value.dtype not in ("float32", "float64"):
            raise CompileError(f"{where} what is transformed is {stmt.value.dtype}, not a floating dtype")
        body = self.bound((stmt.rows.outs, stmt.columns.outs), where)
        body = replace(body, locals=dict(body.locals))
        body.bind(stmt.name, stmt.value.dtype, (stmt.value,), where)
        body.block(stmt.body)

    def bound(self, ranges: Iterable[Range], where: _Place) -> _Scope:
        """The scope inside of `ranges`; each range's bounds may hold the axes of those before it."""
        scope = self
        for r in ranges:
            for bound in (r.lo, r.hi):
                scope.expect(bound, "int64", f"bound of {r.axis}", where)
                for name in sorted(self.varying & (axes_of(bound) | locals_of(bound))):
                    raise CompileError(f"{where} the bound {text(bound)} differs between lanes, by {name}")
            scope.refuse_bound(r.axis, where)
            scope = replace(scope, axes=scope.axes | {r.axis})
        return scope

    def bind(self, name: str, dtype: DType, parts: tuple[Expr, ...], where: _Place) -> None:
        self.refuse_bound(name, where)
        self.locals[name] = dtype
        if not all(self.varying.isdisjoint(axes_of(part) | locals_of(part)) for part in parts):
            self.varying |= {name}

    def refuse_bound(self, name: str, where: _Place) -> None:
        if name in self.axes or name in self.locals or name in self.sizes:
            raise CompileError(f"{where} the name {name} is already bound here")

    def write(self, buffer: str, index: tuple[Expr, ...], value: Expr, where: _Place) -> None:
        target = self.element(buffer, index, where)
        self.uses.stores.add(buffer)
        if target.role == "input":
            raise CompileError(f"{where} the buffer {buffer} is an input, which nothing may store into")
        self.expect(value, target.dtype, f"value for {buffer}", where)

    def element(self, buffer: str, index: tuple[Expr, ...], where: _Place) -> Buffer:
        if buffer not in self.buffers:
            raise CompileError(f"{where} the buffer {buffer} is unknown")
        found = self.buffers[buffer]
        if len(index) != len(found.shape):
            raise CompileError(
                f"{where} {len(index)} indices for the buffer {buffer}, which has {len(found.shape)} axes"
            )
        for i in index:
            self.expect(i, "int64", f"index of {buffer}", where)
        if found.local_to:
            self.parts.check(found, index, self.loops, where)
        return found

    def expect(self, expr: Expr, dtype: DType, what: str, where: _Place) -> None:
        self.expression(expr, where)
        if expr.dtype != dtype:
            raise CompileError(f"{where} the {what}, {text(expr)}, is {expr.dtype}, not {dtype}")

    def expression(self, expr: Expr, where: _Place) -> None:
        match expr:
            case Axis(name=name) if name not in self.axes:
                raise CompileError(f"{where} the axis {name} is not bound here")
            case Size(name=name):
                if name not in self.sizes:
                    raise CompileError(f"{where} the size {name} is unknown")
                self.uses.sizes.add(name)
            case Local(name=name, dtype=dtype):
                self.uses.locals.add(name)
                if name not in self.locals:
                    raise CompileError(f"{where} the local {name} is not bound here")
                if self.locals[name] != dtype:
                    raise CompileError(f"{where} the local {name} is {self.locals[name]}, not {dtype}")
            case Load(buffer=buffer, index=index, dtype=dtype):
                found = self.element(buffer, index, where)
                self.uses.loads.add(buffer)
                if found.dtype != dtype:
                    raise CompileError(f"{where} the buffer {buffer} is {found.dtype}, loaded as {dtype}")
            case Reduce():
                raise CompileError(f"{where} a Reduce is no expression of the loop IR: {text(expr)}")
            case Op():
                for child in children(expr):
                    self.expression(child, where)
                check_operation(expr, where)
            case _:
                pass


def _check_power(lanes: int, where: _Place) -> None:
    if lanes < 1 or lanes & (lanes - 1):
        raise CompileError(f"{where} {lanes} lanes are no power of two")


def _check_lanes(stmt: Contract, where: _Place) -> None:
    _check_power(stmt.lanes, where)
    extent = affine(stmt.k[-1].hi).plus(affine(stmt.k[-1].lo), -1) if stmt.k else Affine((), 1)
    if extent.terms or extent.constant % stmt.lanes:
        raise CompileError(f"{where} the last range of k is no constant multiple of {stmt.lanes} lanes")


def _check_matrix(way: Way, where: _Place) -> None:
    if not way.matrix or any(len(row) != len(way.matrix[0]) for row in way.matrix):
        raise CompileError(f"{where} the rows of the matrix of {way.out} and {way.axis} are not as long as each other")
    if not all(map(any, way.matrix)):
        raise CompileError(f"{where} a row of the matrix of {way.out} and {way.axis} is 0")


def _check_reducer(reducer: str, value: Expr, where: _Place) -> None:
    if reducer not in COMBINE:
        raise CompileError(f"{where} the reducer {reducer} is none of {', '.join(COMBINE)}")
    if value.dtype == "bool":
        raise CompileError(f"{where} a bool has no {reducer}")

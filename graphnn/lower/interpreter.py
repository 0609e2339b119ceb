"""The meaning of the loop IR, on NumPy arrays: slow, literal, and checked at every element.

Each expression and statement becomes a closure over an environment (a list with one slot per name) once; running
is calling closures. Arithmetic is done in the dtype of each operation. A float32 fma is computed in float64 and
rounded again (the product is exact; the sum may round twice), a float64 fma is a*b + c. int64 is exact: a value
that does not fit raises where it is stored. Casts to int64 truncate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import add
from typing import Any

import numpy as np

from graphnn.errors import CompileError
from graphnn.lower.ir import (
    CHAIN,
    Accumulate,
    Buffer,
    Contract,
    Fold,
    For,
    If,
    Let,
    Program,
    Stmt,
    Store,
    Transform,
    fused_factors,
)
from graphnn.lower.scalars import NUMPY, PYTHON, fused, scalar_function
from graphnn.lower.transforms import Arithmetic, Element, transform_steps
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
    Size,
    identity_of,
    text,
)

Environment = list[Any]
Value = Callable[[Environment], Any]
Action = Callable[[Environment], None]


def interpret(program: Program, arrays: Mapping[str, np.ndarray[Any, Any]], sizes: Mapping[str, int]) -> None:
    """Run a verified program in place on `arrays`, indexed logically; temps are allocated here.

    `arrays` holds one array per buffer that the caller owns, of its dtype and shape under `sizes`. Others start as NaN
    (integers: the smallest), so that a read before a write shows. Raises CompileError for a missing or unfit array
    and for an index outside its buffer, with the buffer, the index and the extents.
    """
    for name in program.sizes:
        if name not in sizes:
            raise CompileError(f"program {program.name}: no value for the size {name}")
    storage = {b.name: _storage(b, arrays, sizes) for b in program.buffers}
    compiler = _Compiler(storage, sizes)
    run = compiler.block(program.body)
    with np.errstate(all="ignore"):
        run([None] * len(compiler.slots))


def _storage(
    buffer: Buffer, arrays: Mapping[str, np.ndarray[Any, Any]], sizes: Mapping[str, int]
) -> np.ndarray[Any, Any]:
    extents = _Compiler({}, sizes)
    shape = tuple(int(extents.value(extent)([])) for extent in buffer.shape)
    if buffer.role in ("temp", "prepared"):
        smallest = {"int64": np.iinfo(np.int64).min, "bool": False}.get(buffer.dtype, np.nan)
        return np.full(shape, smallest, NUMPY[buffer.dtype])
    if buffer.name not in arrays:
        raise CompileError(f"no array for the {buffer.role} {buffer.name}")
    array = arrays[buffer.name]
    if array.shape != shape or array.dtype != NUMPY[buffer.dtype]:
        raise CompileError(
            f"the {buffer.role} {buffer.name} must be {buffer.dtype}{list(shape)}, not {array.dtype}{list(array.shape)}"
        )
    return array


class _Compiler:
    """Turns expressions and statements into closures. A name has one slot: it is bound once in a scope."""

    def __init__(self, storage: Mapping[str, np.ndarray[Any, Any]], sizes: Mapping[str, int]) -> None:
        self.storage, self.sizes = storage, sizes
        self.slots: dict[str, int] = {}

    def slot(self, name: str) -> int:
        return self.slots.setdefault(name, len(self.slots))

    # Expressions.

    def value(self, expr: Expr) -> Value:
        match expr:
            case Const(value=value, dtype=dtype):
                constant = PYTHON[dtype](value)
                return lambda env: constant
            case Size(name=name):
                size = int(self.sizes[name])
                return lambda env: size
            case Axis(name=name) | Local(name=name):
                slot = self.slot(name)
                return lambda env: env[slot]
            case Load(buffer=buffer, index=index, dtype=dtype):
                return self.load(buffer, index, dtype)
            case Op(fn="select", args=args):
                condition, then, otherwise = map(self.value, args)
                return lambda env: then(env) if condition(env) else otherwise(env)
            case Op(fn=fn, args=args, dtype=dtype):
                return _call(scalar_function(fn, dtype), tuple(map(self.value, args)))
            case _:
                raise CompileError(f"not an expression of the loop IR: {text(expr)}")

    def position(self, buffer: str, index: tuple[Expr, ...]) -> Callable[[Environment], tuple[int, ...]]:
        """The checked logical index of an element."""
        extents = self.storage[buffer].shape
        parts = tuple(map(self.value, index))
        shown = ", ".join(map(text, index))

        def position(env: Environment) -> tuple[int, ...]:
            found = tuple([part(env) for part in parts])
            for i, extent in zip(found, extents, strict=True):
                if not 0 <= i < extent:
                    raise CompileError(f"{buffer}[{shown}]: the index {found} is outside the extents {extents}")
            return found

        return position

    def load(self, buffer: str, index: tuple[Expr, ...], dtype: DType) -> Value:
        array, position = self.storage[buffer], self.position(buffer, index)
        if dtype in ("int64", "bool"):
            python = PYTHON[dtype]
            return lambda env: python(array[position(env)])
        return lambda env: array[position(env)]

    # Statements.

    def block(self, body: Iterable[Stmt]) -> Action:
        actions = tuple(map(self.statement, body))
        if len(actions) == 1:
            return actions[0]

        def run(env: Environment) -> None:
            for action in actions:
                action(env)

        return run

    def statement(self, stmt: Stmt) -> Action:
        match stmt:
            case For(axis=axis, lo=lo, hi=hi, body=body):
                return self.loops((Range(axis, lo, hi),), self.block(body))
            case If(condition=condition, body=body):
                return _when(self.value(condition), self.block(body))
            case Let(name=name, value=value):
                return _set(self.slot(name), self.value(value))
            case Fold():
                return self.fold(stmt)
            case Contract():
                return self.contract(stmt)
            case Transform():
                return self.transform(stmt)
            case Store(buffer=buffer, index=index, value=value):
                return _store(self.storage[buffer], self.position(buffer, index), self.value(value))
            case Accumulate(buffer=buffer, index=index, reducer=reducer, value=value):
                combine = scalar_function(COMBINE[reducer], value.dtype)
                place, term = self.position(buffer, index), self.value(value)
                combined = _call(combine, (self.load(buffer, index, value.dtype), term))
                return _store(self.storage[buffer], place, combined)

    def loops(self, ranges: Iterable[Range], body: Action) -> Action:
        """The body for all points of the ranges, row-major; an inner bound may hold an outer axis."""
        for r in reversed(tuple(ranges)):
            body = _loop(self.slot(r.axis), self.value(r.lo), self.value(r.hi), body)
        return body

    def fold(self, fold: Fold) -> Action:
        slot, factors = self.slot(fold.name), fused_factors(fold)
        combine = scalar_function(COMBINE[fold.reducer], fold.value.dtype)
        start = self.value(identity_of(fold.reducer, fold.value.dtype))
        if factors is None:
            term = _call(combine, (lambda env: env[slot], self.value(fold.value)))
        else:
            a, b = map(self.value, factors)
            term = _call(fused(fold.value.dtype), (a, b, lambda env: env[slot]))
        step = _set(slot, term)
        if fold.guard is not None:
            step = _when(self.value(fold.guard), step)
        if fold.lanes == 1:
            return _sequence(_set(slot, start), self.loops(fold.ranges, step))
        axis, first = self.slot(fold.ranges[-1].axis), self.value(fold.ranges[-1].lo)
        chains: list[Any] = []

        def in_lane(env: Environment) -> None:
            lane = (env[axis] - first(env)) % fold.lanes
            env[slot] = chains[lane]
            step(env)
            chains[lane] = env[slot]

        terms = self.loops(fold.ranges, in_lane)

        def run(env: Environment) -> None:
            chains[:] = [start(env)] * fold.lanes
            terms(env)
            env[slot] = _halved(chains, combine)

        return run

    def contract(self, stmt: Contract) -> Action:
        """Chains of at most CHAIN terms in each lane; a new chain starts from zero; the chains are added in ascending
        order, each after its lanes have been added in halves.
        """
        slot, lanes, fma = self.slot(stmt.name), stmt.lanes, fused(stmt.a.dtype)
        zero = PYTHON[stmt.a.dtype](0)
        a, b = self.value(stmt.a), self.value(stmt.b)
        chains: list[list[Any]] = []
        count = 0

        def step(env: Environment) -> None:
            nonlocal count
            lane = count % lanes
            if count % (CHAIN * lanes) == 0:
                chains.append([zero] * lanes)
            chains[-1][lane] = fma(a(env), b(env), chains[-1][lane])
            count += 1

        terms, body = self.loops(stmt.k, step), self.block(stmt.body)

        def element(env: Environment) -> None:
            nonlocal count
            count = 0
            chains.clear()
            terms(env)
            total = _halved(chains[0], add) if chains else zero
            for chain in chains[1:]:
                total = total + _halved(chain, add)
            env[slot] = total
            body(env)

        return self.loops((stmt.m, stmt.n), element)

    def transform(self, stmt: Transform) -> Action:
        """The steps one after the other; a body wherever its result is there."""
        slot, body, element = self.slot(stmt.name), self.block(stmt.body), self.value(stmt.value)
        i, j, p, q = map(self.slot, (stmt.rows.axis, stmt.columns.axis, stmt.rows.out, stmt.columns.out))
        number = PYTHON[stmt.value.dtype]
        functions = {fn: scalar_function(fn, stmt.value.dtype) for fn in ("add", "sub", "mul", "fma")}
        steps = transform_steps(stmt.rows.matrix, stmt.columns.matrix)

        def run(env: Environment) -> None:
            values = list[Any]()
            for step in steps:
                match step:
                    case Element():
                        env[i], env[j] = step
                        values.append(element(env))
                    case Arithmetic(fn=fn, a=a, b=b, coefficient=c):
                        factors = (number(c),) if fn in ("mul", "fma") else ()
                        terms = (values[a],) if fn == "mul" else (values[a], values[b])
                        values.append(functions[fn](*factors, *terms))
                    case _:
                        env[p], env[q], result = step
                        env[slot] = values[result]
                        body(env)

        return run


def _halved(lanes: list[Any], combine: Callable[..., Any]) -> Any:
    """A power of two of numbers combined: (s0 + s2) + (s1 + s3)."""
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [combine(low, high) for low, high in zip(lanes[:half], lanes[half:], strict=True)]
    return lanes[0]


def _call(function: Callable[..., Any], args: tuple[Value, ...]) -> Value:
    match args:
        case (a,):
            return lambda env: function(a(env))
        case (a, b):
            return lambda env: function(a(env), b(env))
        case _:
            a, b, c = args
            return lambda env: function(a(env), b(env), c(env))


def _set(slot: int, value: Value) -> Action:
    def run(env: Environment) -> None:
        env[slot] = value(env)

    return run


def _store(array: np.ndarray[Any, Any], position: Callable[[Environment], tuple[int, ...]], value: Value) -> Action:
    def run(env: Environment) -> None:
        array[position(env)] = value(env)

    return run


def _when(condition: Value, body: Action) -> Action:
    def run(env: Environment) -> None:
        if condition(env):
            body(env)

    return run


def _sequence(first: Action, then: Action) -> Action:
    def run(env: Environment) -> None:
        first(env)
        then(env)

    return run


def _loop(slot: int, lo: Value, hi: Value, body: Action) -> Action:
    def run(env: Environment) -> None:
        for i in range(lo(env), hi(env)):
            env[slot] = i
            body(env)

    return run

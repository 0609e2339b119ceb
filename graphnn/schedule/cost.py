"""What a statement costs, in instructions: an estimate that compares two schedules of the same work.

A vector instruction counts like a scalar one, so a loop whose axis runs in lanes costs a lane count less, except
where its accesses are not unit-stride and fall apart into one load per lane. Unknown sizes count as SIZE.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from graphnn.lower.ir import Accumulate, Contract, Fold, For, If, Let, Stmt, Store
from graphnn.schedule.affine import stride
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import own_expressions, statements
from graphnn.simplify.expr import Axis, Const, Expr, Load, Op, Range, Size, children

SIZE = 64  # the assumed value of a size that is not known before the call: a common batch
LATENCY = 3  # cycles that a chain of adds waits per term, beyond the instruction itself
ENTRY = 4  # instructions to enter a vector loop: its bounds, and the mask of its tail
CHEAP, DIVISION, POLYNOMIAL = 1, 4, 12  # instructions; the last is the length of the exp and log kernels
WEIGHTS = dict.fromkeys(("exp", "log", "expm1", "log1p", "tanh", "sigmoid", "pow"), POLYNOMIAL)
WEIGHTS |= dict.fromkeys(("div", "sqrt"), DIVISION)


def estimate(expr: Expr, size: int = SIZE) -> float:
    """A typical value of an int64 expression: a Size counts as `size`, an axis as its first iteration."""
    match expr:
        case Const(value=value):
            return float(value)
        case Size():
            return size
        case Op(fn=fn, args=(a, b)):
            x, y = estimate(a, size), estimate(b, size)
            match fn:
                case "add":
                    return x + y
                case "sub":
                    return x - y
                case "mul":
                    return x * y
                case "floordiv":
                    return x // y if y else 0.0
                case "min":
                    return min(x, y)
                case "max":
                    return max(x, y)
        case Op(fn="neg", args=(a,)):
            return -estimate(a, size)
    return 0.0


def extent(lo: Expr, hi: Expr, size: int = SIZE) -> float:
    """How many iterations an interval is taken to have."""
    return max(0.0, estimate(hi, size) - estimate(lo, size))


def volume(ranges: Iterable[Range], size: int = SIZE) -> float:
    """How many points the ranges have together."""
    return math.prod(extent(r.lo, r.hi, size) for r in ranges)


class CostModel:
    """Costs under given layouts: {buffer: logical axes from slowest to fastest}."""

    def __init__(self, layouts: dict[str, tuple[int, ...]], machine: Machine) -> None:
        self.layouts = layouts
        self.machine = machine

    def lanes(self, body: Iterable[Stmt]) -> int:
        """The lanes of a vector loop around `body`: its widest computed value fills a vector."""
        counts = [self.machine.lanes(e.dtype) for s in statements(body) if (e := _value(s)) is not None]
        return min(counts, default=1)

    def body(self, body: Iterable[Stmt], axis: str | None, lanes: int) -> float:
        return sum(self.statement(stmt, axis, lanes) for stmt in body)

    def statement(self, stmt: Stmt, axis: str | None = None, lanes: int = 1) -> float:
        """The cost of a statement as it stands; where `axis` is given, in `lanes` lanes along it."""
        expressions = sum(self.expression(e, axis, lanes) for e in own_expressions(stmt))
        match stmt:
            case For(axis=inner, lo=lo, hi=hi, body=body, kind="vector") if axis is None:
                width = self.lanes(body)
                return ENTRY + math.ceil(extent(lo, hi) / width) * self.body(body, inner, width)
            case For(lo=lo, hi=hi, body=body):
                return extent(lo, hi) * self.body(body, axis, lanes)
            case Fold(ranges=ranges, value=value):
                return volume(ranges) * (self.expression(value, axis, lanes) + LATENCY)
            case Contract(m=m, n=n, k=k, body=body):
                width = self.lanes(body)
                per_vector = 2 * volume(k) + self.body(body, n.axis, width)
                return extent(m.lo, m.hi) * math.ceil(extent(n.lo, n.hi) / width) * per_vector
            case If(body=body):
                return expressions + self.body(body, axis, lanes)
            case Store(buffer=buffer, index=index) | Accumulate(buffer=buffer, index=index):
                return expressions + self.access(buffer, index, axis, lanes)
            case Let():
                return expressions

    def expression(self, expr: Expr, axis: str | None, lanes: int) -> float:
        """Index arithmetic on plain axes is free: addressing modes do it."""
        match expr:
            case Load(buffer=buffer, index=index):
                gathers = sum(self.expression(e, axis, lanes) for e in index if not isinstance(e, Axis | Const))
                return gathers + self.access(buffer, index, axis, lanes)
            case Op(fn=fn, dtype=dtype):
                weight = 0 if dtype == "int64" else WEIGHTS.get(fn, CHEAP)
                return weight + sum(self.expression(e, axis, lanes) for e in children(expr))
            case _:
                return 0.0

    def access(self, buffer: str, index: tuple[Expr, ...], axis: str | None, lanes: int) -> float:
        if axis is None or not index or stride(index, axis, self.layouts[buffer]) is not None:
            return 1.0
        return float(lanes)


def _value(stmt: Stmt) -> Expr | None:
    return stmt.value if isinstance(stmt, Fold | Store | Accumulate | Let) else None

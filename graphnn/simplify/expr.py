"""Our own expression nodes: immutable, and each knows where it comes from.

sympy trees are hash-consed and reordered, so they cannot carry an origin. From `simplify/` on, formulas are
made of these seven nodes, down to the instruction:

    Const  1.5           Axis  i0            Size  N
    Load   W[i0, r0]     Local acc           Op    add(x, y)
    Reduce sum(r0 < 64) body                 (above `lower/` only; there it becomes a Fold statement)

Two expressions are equal when they compute the same thing by the same tree; origins do not count.
This module imports no sympy: a loaded Executable needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import is_
from typing import Literal, NamedTuple

from graphnn.simplify.once import hashed_once, once

DType = Literal["float32", "float64", "int64", "bool"]
Role = Literal["input", "state", "output", "temp", "prepared"]  # who owns an array


class _Hashed:
    __slots__ = ("_hash",)


@hashed_once
@dataclass(frozen=True, slots=True)
class Origin(_Hashed):
    """Where an expression comes from.

    `node` is the network node, `addend` its contribution when several are summed into one gradient,
    `rule` the rewrite that made the expression ("declare" for a body as written), `parents` what it was made of.
    """

    node: str
    addend: int = 0
    rule: str = "declare"
    parents: tuple[Origin, ...] = ()

    def __str__(self) -> str:
        """dL/dz (addend 1), by cancel, from a, y"""
        addend = f" (addend {self.addend})" if self.addend else ""
        parents = f", from {', '.join(p.node for p in self.parents)}" if self.parents else ""
        return f"{self.node}{addend}, by {self.rule}{parents}"


class Node:
    """Slots of what is found about an expression once: hash, free axes and locals, integer form, loads and costs."""

    __slots__ = ("_axes", "_buffers", "_cost", "_form", "_hash", "_loads", "_locals", "_names", "_steps")


@hashed_once
@dataclass(frozen=True, slots=True)
class Const(Node):
    value: bool | int | float
    dtype: DType
    origin: Origin | None = field(default=None, compare=False, repr=False)


@hashed_once
@dataclass(frozen=True, slots=True)
class Axis(Node):
    """The current value of a loop axis, an int64. Bound by a Formula, a Reduce or a loop."""

    name: str
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def dtype(self) -> DType:
        return "int64"


@hashed_once
@dataclass(frozen=True, slots=True)
class Size(Node):
    """A symbolic size, an int64 known at the call."""

    name: str
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def dtype(self) -> DType:
        return "int64"


@hashed_once
@dataclass(frozen=True, slots=True)
class Load(Node):
    """An element of a buffer at *logical* indices; the buffer's layout turns them into an address."""

    buffer: str
    index: tuple[Expr, ...]
    dtype: DType
    origin: Origin | None = field(default=None, compare=False, repr=False)


@hashed_once
@dataclass(frozen=True, slots=True)
class Local(Node):
    """A scalar bound by a Let, a Fold or a Contract of the loop IR."""

    name: str
    dtype: DType
    origin: Origin | None = field(default=None, compare=False, repr=False)


@hashed_once
@dataclass(frozen=True, slots=True)
class Op(Node):
    """A scalar function of `SCALARS` applied to arguments."""

    fn: str
    args: tuple[Expr, ...]
    dtype: DType
    origin: Origin | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Range:
    """An axis and its half-open interval [lo, hi)."""

    axis: str
    lo: Expr
    hi: Expr


@hashed_once
@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """reducer over all points of `ranges` (row-major order) of `body`; terms where `guard` is false are skipped."""

    reducer: str
    ranges: tuple[Range, ...]
    guard: Expr | None
    body: Expr
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def dtype(self) -> DType:
        return self.body.dtype


Expr = Const | Axis | Size | Load | Local | Op | Reduce


class Scalar(NamedTuple):
    """A scalar function: its arity, and how it prints (`{0}`, `{1}` are its arguments)."""

    arity: int
    text: str
    result: Literal["same", "bool", "cast"] = "same"


# The scalar functions of every stage below `simplify/`. Arguments of one Op have one dtype, except that
# select takes (bool, x, x) and cast turns any dtype into the Op's. int64 has add, sub, mul, floordiv, mod, neg,
# max, min, abs, threefry(key, counter) and the comparisons; floordiv and mod round towards minus infinity, their
# divisor is positive.
# max and min propagate NaN; sign(0) = 0; fma(a, b, c) = a*b + c with one rounding; `and` does not short-circuit,
# but `select` does not read the branch it does not take (a Load there may be out of range).
# fmt: off
SCALARS: dict[str, Scalar] = {
    "add": Scalar(2, "({0} + {1})"),        "sub": Scalar(2, "({0} - {1})"),
    "mul": Scalar(2, "{0}*{1}"),            "div": Scalar(2, "{0}/{1}"),
    "neg": Scalar(1, "(-{0})"),             "fma": Scalar(3, "fma({0}, {1}, {2})"),
    "floordiv": Scalar(2, "({0} // {1})"),  "mod": Scalar(2, "({0} % {1})"),
    "pow": Scalar(2, "pow({0}, {1})"),      "sqrt": Scalar(1, "sqrt({0})"),
    "exp": Scalar(1, "exp({0})"),           "log": Scalar(1, "log({0})"),
    "expm1": Scalar(1, "expm1({0})"),       "log1p": Scalar(1, "log1p({0})"),
    "tanh": Scalar(1, "tanh({0})"),         "sigmoid": Scalar(1, "sigmoid({0})"),
    "sin": Scalar(1, "sin({0})"),           "cos": Scalar(1, "cos({0})"),
    "erf": Scalar(1, "erf({0})"),           "erfc": Scalar(1, "erfc({0})"),
    "abs": Scalar(1, "abs({0})"),           "sign": Scalar(1, "sign({0})"),
    "max": Scalar(2, "max({0}, {1})"),      "min": Scalar(2, "min({0}, {1})"),
    "lt": Scalar(2, "({0} < {1})", "bool"), "le": Scalar(2, "({0} <= {1})", "bool"),
    "eq": Scalar(2, "({0} == {1})", "bool"), "ne": Scalar(2, "({0} != {1})", "bool"),
    "and": Scalar(2, "({0} and {1})"),      "or": Scalar(2, "({0} or {1})"),
    "not": Scalar(1, "(not {0})"),          "cast": Scalar(1, "cast({0})", "cast"),
    "select": Scalar(3, "select({0}, {1}, {2})"), "threefry": Scalar(2, "threefry({0}, {1})"),
}
# fmt: on

# A reducer below `declare/`: the scalar function that combines, and the value of an empty reduction.
COMBINE: dict[str, str] = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}
INT64_MAX = 2**63 - 1
NOTHING = frozenset[str]()


def identity_of(reducer: str, dtype: DType) -> Const:
    """The neutral element of a reducer: sum 0, prod 1, max -inf, min +inf (the extreme integers for int64)."""
    if reducer in ("sum", "prod"):
        unit = 0 if reducer == "sum" else 1
        return Const(unit if dtype == "int64" else float(unit), dtype)
    sign = -1 if reducer == "max" else 1
    return Const(sign * INT64_MAX if dtype == "int64" else sign * float("inf"), dtype)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions, range bounds and guards included."""
    if isinstance(expr, Op):
        return expr.args
    if isinstance(expr, Load):
        return expr.index
    if isinstance(expr, Reduce):
        bounds = tuple(bound for r in expr.ranges for bound in (r.lo, r.hi))
        return (*bounds, expr.body) if expr.guard is None else (*bounds, expr.guard, expr.body)
    return ()


def rebuild(expr: Expr, visit: Callable[[Expr], Expr]) -> Expr:
    """`expr` with `visit` applied to its children; the same object where no child changed."""
    if isinstance(expr, Op):
        args = tuple(map(visit, expr.args))
        return expr if all(map(is_, args, expr.args)) else Op(expr.fn, args, expr.dtype, expr.origin)
    if isinstance(expr, Load):
        index = tuple(map(visit, expr.index))
        return expr if all(map(is_, index, expr.index)) else Load(expr.buffer, index, expr.dtype, expr.origin)
    if isinstance(expr, Reduce):
        ranges = tuple(Range(r.axis, visit(r.lo), visit(r.hi)) for r in expr.ranges)
        guard = None if expr.guard is None else visit(expr.guard)
        body = visit(expr.body)
        if ranges == expr.ranges and guard is expr.guard and body is expr.body:
            return expr
        return replace(expr, ranges=ranges, guard=guard, body=body)
    return expr


def transform(expr: Expr, rule: Callable[[Expr], Expr | None]) -> Expr:
    """Bottom-up: children first, then `rule`; None means no match.

    transform(add(x, 0), drop_zero) -> x
    """
    rebuilt = rebuild(expr, lambda child: transform(child, rule))
    changed = rule(rebuilt)
    return rebuilt if changed is None else changed


def substitute(expr: Expr, mapping: dict[Expr, Expr]) -> Expr:
    """Replace whole subexpressions, outermost first: substitute(i0 + 1, {i0: r0}) -> r0 + 1."""
    found = mapping.get(expr)
    return found if found is not None else rebuild(expr, lambda child: substitute(child, mapping))


def place_axes(expr: Expr, places: Mapping[str, Expr]) -> Expr:
    """Replace axes that are free in an expression below `lower/`, by name: place_axes(i0 + 1, {"i0": r0}) -> r0 + 1."""
    if axes_of(expr).isdisjoint(places):
        return expr
    return places[expr.name] if isinstance(expr, Axis) else rebuild(expr, lambda child: place_axes(child, places))


def walk(expr: Expr) -> Iterator[Expr]:
    """Every subexpression, children before parents: parents first and from right to left, then turned round."""
    pending, found = [expr], list[Expr]()
    while pending:
        node = pending.pop()
        found.append(node)
        pending += children(node)
    return reversed(found)


@once("_axes")
def axes_of(expr: Expr) -> frozenset[str]:
    """The names of the axes that are free in `expr` (those bound by a Reduce inside it excluded)."""
    if isinstance(expr, Axis):
        return frozenset((expr.name,))
    free = NOTHING.union(*map(axes_of, children(expr)))
    return free - {r.axis for r in expr.ranges} if isinstance(expr, Reduce) else free


@once("_locals")
def locals_of(expr: Expr) -> frozenset[str]:
    """The names of the locals in an expression."""
    return frozenset((expr.name,)) if isinstance(expr, Local) else NOTHING.union(*map(locals_of, children(expr)))


@once("_loads")
def loads_of(expr: Expr) -> tuple[Load, ...]:
    """The loads in an expression, children before parents."""
    inside = tuple(load for child in children(expr) for load in loads_of(child))
    return (*inside, expr) if isinstance(expr, Load) else inside


def _grouped(expr: Expr) -> str:
    """Text as a right operand: x*(y*z) is another tree than x*y*z."""
    product = isinstance(expr, Op) and expr.fn in ("mul", "div")
    return f"({text(expr)})" if product else text(expr)


def text(expr: Expr) -> str:
    """One line that a person can read; also the canonical text that hashes and golden files use."""
    match expr:
        case Const(value=value):
            return repr(value)
        case Axis(name=name) | Size(name=name) | Local(name=name):
            return name
        case Load(buffer=buffer, index=index):
            return f"{buffer}[{', '.join(map(text, index))}]"
        case Op(fn="cast", args=(arg,), dtype=dtype):
            return f"{dtype}({text(arg)})"
        case Op(fn=fn, args=args):
            right = _grouped if fn in ("mul", "div") else text
            return SCALARS[fn].text.format(text(args[0]), *map(right, args[1:]))
        case Reduce(reducer=reducer, ranges=ranges, guard=guard, body=body):
            bounds = ", ".join(f"{text(r.lo)} <= {r.axis} < {text(r.hi)}" for r in ranges)
            condition = "" if guard is None else f" if {text(guard)}"
            return f"{reducer}[{bounds}{condition}]({text(body)})"


@lru_cache(1024)
def index_constant(value: int) -> Const:
    return Const(int(value), "int64")

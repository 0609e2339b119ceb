"""The loop IR: the whole grammar on one screen.

    program = Program(name, sizes, buffers, body)
    buffer  = Buffer(name, dtype, shape, role, layout)
    stmt    = For(axis, lo, hi, body, kind)           # kind: serial | parallel | vector
            | If(condition, body)
            | Let(name, value)
            | Fold(name, reducer, ranges, guard, value, lanes)
            | Contract(name, m, n, k, a, b, body, lanes)
            | Transform(name, rows, columns, value, body)
            | Store(buffer, index, value)
            | Accumulate(buffer, index, reducer, value)

Expressions are those of `simplify/expr.py`, without Reduce. Meaning of the statements:

- For runs its body for axis = lo, ..., hi-1. `parallel` and `vector` promise that iterations are independent
  (`vector`: up to a vector's width of them run in lock step, lanes may not be read by each other; a Fold, For, If or
  Let inside is evaluated per lane). Inner bounds never depend on a vector axis.
- Fold binds Local(name) to the reduction of `value` over `ranges`, in row-major order, one chain; terms where guard is
  false are skipped; over nothing it is the reducer's identity. A sum whose value is `mul(a, b)` in floating point is
  accumulated as fma(a, b, acc): the multiply-add is explicit in the IR by this rule, never a compiler's choice.
  With `lanes` > 1 (a power of two) there is no guard, and one chain in each lane: the terms are taken `lanes` at a time
  along the last range, term t of a run in lane t % lanes. Then the lanes are combined in halves, as a Contract's are.
- Contract runs, for every (m, n), Local(name) = sum over k of a*b as fma in ascending row-major k (chains of at most
  CHAIN terms, then the chains' sums added in ascending order), then `body` once. `a` does not depend on n,
  nor `b` on m. It means Fold inside two loops; it exists because it is what register tiles are made of.
  With `lanes` > 1 (a power of two) the terms are taken `lanes` at a time along the last range of k, whose extent is a
  constant multiple of it: term t of a run is in lane t % lanes. A chain has at most CHAIN terms in each lane, every
  lane a chain of fma by itself; then the lanes are added in halves, lane l and lane l + lanes/2 and so on, and the
  chains' sums as above.
- Transform takes two constant matrices: rows is Way(out p, axis i, matrix A), columns Way(q, j, B). It evaluates
  `value` at all (i, j); then for every (p, q), row by row, it binds Local(name) to the sum of A[p][i]*B[q][j]*value
  and runs `body`. The steps of those sums, and all rounding, are `transform_steps(A, B)`: what rows share is computed
  once. It means two small loops that are always written out, and is one statement to all passes.
- Store writes one element. Accumulate combines one element in place: buffer[index] = combine(buffer[index], value).
- Buffers: `input`, `state` and `output` belong to the caller, `temp` to the arena. A state may be loaded and stored.
  `prepared` ones outlive a call: the statements that write them come first and run once for each version of the states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphnn.lower.transforms import Matrix
from graphnn.simplify.expr import DType, Expr, Op, Origin, Range, Role, index_constant
from graphnn.simplify.once import hashed_once, once

CHAIN = 512  # terms (of each lane) of one multiply-add chain in a contraction; then a new chain starts

Kind = Literal["serial", "parallel", "vector"]
Stored = Literal["float32", "float64", "int64", "bool", "int8"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """A multi-dimensional array. `layout` lists the logical axes from slowest to fastest in memory.

    `also` names the arrays that live in it one after the other, beside the one that gave it its name. A `narrow` one
    holds int64 numbers of which each lies in -128 .. 127, and takes a byte of memory. A `streamed` one is written past
    the caches. Of a temp that is `local_to` an axis, each iteration of that loop has its own part, at that axis and at
    those of the loops around it, and the part is on the stack while that iteration runs.
    """

    name: str
    dtype: DType
    shape: tuple[Expr, ...]
    role: Role
    layout: tuple[int, ...]
    also: tuple[str, ...] = ()
    narrow: bool = False
    streamed: bool = False
    local_to: str = ""

    @property
    def stored(self) -> Stored:
        """What an element is in memory."""
        return "int8" if self.narrow else self.dtype


class Node:
    """Slots of what is found about a statement or program once, all inside it included. `schedule/` fills them."""

    __slots__ = (
        *("_accesses", "_axes", "_blocks", "_bounds", "_buffers", "_computed", "_extents", "_hash", "_lanes"),
        *("_meetings", "_names", "_nest", "_ranges", "_still", "_touched", "_uses"),
    )


@hashed_once
@dataclass(frozen=True, slots=True)
class For(Node):
    axis: str
    lo: Expr
    hi: Expr
    body: tuple[Stmt, ...]
    kind: Kind = "serial"


@hashed_once
@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expr
    body: tuple[Stmt, ...]


@hashed_once
@dataclass(frozen=True, slots=True)
class Let(Node):
    name: str
    value: Expr


@hashed_once
@dataclass(frozen=True, slots=True)
class Fold(Node):
    name: str
    reducer: str
    ranges: tuple[Range, ...]
    guard: Expr | None
    value: Expr
    origin: Origin | None = field(default=None, compare=False, repr=False)
    lanes: int = 1


@hashed_once
@dataclass(frozen=True, slots=True)
class Contract(Node):
    name: str
    m: Range
    n: Range
    k: tuple[Range, ...]
    a: Expr
    b: Expr
    body: tuple[Stmt, ...]
    origin: Origin | None = field(default=None, compare=False, repr=False)
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Way:
    """One dimension of a Transform: element `out` is the sum over `axis` of matrix[out][axis] times an element."""

    out: str
    axis: str
    matrix: Matrix

    @property
    def outs(self) -> Range:
        return Range(self.out, index_constant(0), index_constant(len(self.matrix)))

    @property
    def terms(self) -> Range:
        return Range(self.axis, index_constant(0), index_constant(len(self.matrix[0])))


@hashed_once
@dataclass(frozen=True, slots=True)
class Transform(Node):
    name: str
    rows: Way
    columns: Way
    value: Expr
    body: tuple[Stmt, ...]
    origin: Origin | None = field(default=None, compare=False, repr=False)


@hashed_once
@dataclass(frozen=True, slots=True)
class Store(Node):
    buffer: str
    index: tuple[Expr, ...]
    value: Expr
    origin: Origin | None = field(default=None, compare=False, repr=False)


@hashed_once
@dataclass(frozen=True, slots=True)
class Accumulate(Node):
    buffer: str
    index: tuple[Expr, ...]
    reducer: str
    value: Expr
    origin: Origin | None = field(default=None, compare=False, repr=False)


Stmt = For | If | Let | Fold | Contract | Transform | Store | Accumulate


@dataclass(frozen=True, slots=True)
class Program(Node):
    """Loops over buffers. `sizes` are the symbolic sizes, in the order in which the entry receives them."""

    name: str
    sizes: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    body: tuple[Stmt, ...]

    def buffer(self, name: str) -> Buffer:
        return _by_name(self)[name]


@once("_buffers")
def _by_name(program: Program) -> dict[str, Buffer]:
    return {b.name: b for b in program.buffers}


def fused_factors(fold: Fold) -> tuple[Expr, Expr] | None:
    """(a, b) where each term of the fold is accumulated as fma(a, b, acc); None where it is combined."""
    match fold:
        case Fold(reducer="sum", value=Op(fn="mul", args=(a, b), dtype="float32" | "float64")):
            return a, b
        case _:
            return None

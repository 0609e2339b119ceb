"""A program of a few hundred operations, written out one element at a time, for a loop that runs it again and again.

    w0, w1 = load w
    loop, carrying w0, w1:
      t = sigmoid(x[0]*w0 + x[1]*w1)        no loop, and nothing is loaded that was stored before
      w0' = w0 - 0.1*t*x[0];  store w0'     memory holds the state after each run all the same
      ...

Such a program is one chain of operations that wait for each other, from the state to the state of the next run. What
went from one kernel to the next through memory took 9 cycles more each time, and vectors of two or three elements save
none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod

from graphnn.emit.access import offset_of, prepared_statements, written_by
from graphnn.emit.environment import Bound, Unit
from graphnn.emit.loops import EmitContext
from graphnn.emit.writer import Value, Writer, constant
from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Program, Stmt, Store, Transform
from graphnn.lower.nests import loops
from graphnn.lower.scalars import scalar_function
from graphnn.schedule.affine import known_extent
from graphnn.schedule.cost import CHEAP, WEIGHTS
from graphnn.schedule.statements import bound_ranges, bounds, nested, own_expressions, statements
from graphnn.simplify.expr import Axis, Const, Expr, Load, Local, Op, Range, Size, index_constant, walk

# Instructions by the estimates of `schedule/cost.py`, and elements of states. Beyond, vectors save more than the way
# through memory costs: sigmoids of 2-4-1 have 338 (46.9 ns a step, 52.3 by kernels), of 2-2-2 by twos 356 (64, 59).
MOST = 340


def fits_registers(program: Program) -> bool:
    """Whether a program changes a state, is small, and knows every place that it reads or writes beforehand."""
    kept = _changed_states(program)
    if program.sizes or not kept or not all(map(_knows_places, statements(program.body))):
        return False
    return sum(prod(_extents(buffer)) for buffer in kept) + _length(program.body) <= MOST


def _changed_states(program: Program) -> list[Buffer]:
    written = written_by(program.body)
    return [b for b in program.buffers if b.role == "state" and f"@{b.name}" in written]


def _extents(buffer: Buffer) -> tuple[int, ...]:
    return tuple(int(extent.value) for extent in buffer.shape if isinstance(extent, Const))


def _knows_places(statement: Stmt) -> bool:
    """Whether the ranges of a statement are numbers, and its conditions and indices depend on axes alone."""
    places: list[Expr] = []
    match statement:
        case If(condition=condition):
            places.append(condition)
        case Fold(guard=guard) if guard is not None:
            places.append(guard)
        case Store(index=index) | Accumulate(index=index):
            places += index
        case Contract(lanes=lanes) | Fold(lanes=lanes) if lanes > 1:
            return False  # it adds in another order
        case Transform():
            return False
    parts = [e for root in own_expressions(statement) for e in walk(root)]
    places += [place for e in parts if isinstance(e, Load) for place in e.index]
    fixed = not any(isinstance(e, Load | Local | Size) for place in places for e in walk(place))
    return fixed and all(isinstance(end, Const) for end in bounds(bound_ranges(statement)))


def _length(body: Iterable[Stmt]) -> int:
    """How many instructions the statements are, element by element."""
    total = 0
    for statement in body:
        parts = [e for root in own_expressions(statement) for e in walk(root) if isinstance(e, Op)]
        own = 1 + sum(WEIGHTS.get(e.fn, CHEAP) for e in parts if e.dtype != "int64")
        total += (own + _length(nested(statement))) * prod(known_extent(r) or 0 for r in bound_ranges(statement))
    return total


class Registers(EmitContext):
    """Writes the runs of a program that fits. `table` points to the pointers of its buffers, as in an entry."""

    def __init__(self, unit: Unit, w: Writer, program: Program, table: Value) -> None:
        super().__init__(unit, w, {}, {})
        self.program, self.table = program, table
        self.declared = {b.name: b for b in program.buffers}
        self.states = _changed_states(program)
        # By buffer and offset; of inputs, other states and prepared buffers nothing.
        self.held: dict[str, dict[int, Value]] = {}

    def begin(self) -> list[Value]:
        """The elements of all states that the program changes."""
        for buffer in self.program.buffers:
            if buffer.role == "temp":
                self.buffers[buffer.name] = Bound(buffer, Value("ptr", "poison"))
        self._bind("state", "prepared", "output")
        places = [(b, tuple(map(index_constant, at))) for b in self.states for at in product(*map(range, _extents(b)))]
        return [self.load(Load(b.name, index, b.dtype)) for b, index in places]

    def run(self, state: Sequence[Value]) -> list[Value]:
        """Emit one run, and give the elements of the states after it. Inputs may lie elsewhere in each run."""
        self._bind("input")
        before = iter(state)
        self.held = {b.name: {} for b in self.program.buffers if b.role in ("temp", "output")}
        self.held |= {b.name: {k: next(before) for k in range(prod(_extents(b)))} for b in self.states}
        with self.scope():
            return self.rest(self.program.body[prepared_statements(self.program) :])

    def rest(self, body: tuple[Stmt, ...], decide: bool = True) -> list[Value]:
        """Emit the last statements of a run; the elements of the states after it.

        The first flag of the whole run, as the watch has it, is decided by a branch, after which it is a constant. The
        processor foresees it, so that no new state waits for the loss: with selects a step took 13 cycles more.
        """
        for count, statement in enumerate(body, 1):
            self.statement(statement)
            if decide and isinstance(statement, Store) and statement.value.dtype == "bool" and not statement.index:
                return self.decided(statement.buffer, body[count:])
        return [self.held[b.name][k] for b in self.states for k in range(prod(_extents(b)))]

    def decided(self, flag: str, body: tuple[Stmt, ...]) -> list[Value]:
        """`rest` where a flag is true, and where it is false."""
        w, number, held = self.writer, self.writer.fresh(""), self.held
        ends: list[tuple[str, list[Value]]] = []
        w.branch(held[flag][0], f"true{number}", f"false{number}")
        for value in (True, False):
            w.start(f"{str(value).lower()}{number}")
            self.held = {name: dict(elements) for name, elements in held.items()}
            self.held[flag][0] = constant("i1", value)
            with self.scope(frozenset((f"@{flag}",))):
                found = self.rest(body, decide=False)
            ends.append((w.block, found))
            w.jump(f"decided{number}")
        w.start(f"decided{number}")
        (yes, new), (no, old) = ends
        pairs = zip(new, old, strict=True)
        return [w.ins(a.type, f"phi {a.type} [{a.ref}, %{yes}], [{b.ref}, %{no}]") for a, b in pairs]

    def choose(self, condition: Expr, a: Expr, b: Expr) -> Value:
        test = self.value(condition)
        if test.ref in ("0", "1"):
            return self.value(a if test.ref == "1" else b)
        return super().choose(condition, a, b)

    def _bind(self, *roles: str) -> None:
        for position, buffer in enumerate(self.program.buffers):
            if buffer.role in roles:
                address = self.writer.gep("ptr", self.table, constant("i64", position))
                self.buffers[buffer.name] = Bound(buffer, self.writer.ins("ptr", f"load ptr, {address}"))

    def number(self, e: Expr) -> int:
        """The value of an expression of axes."""
        match e:
            case Const(value=value):
                return int(value)
            case Axis(name=name):
                return int(self.axes[name].ref)
            case Op(fn="select", args=(condition, a, b)):
                return self.number(a if self.number(condition) else b)
            case Op(fn=fn, args=args, dtype=dtype):
                return int(scalar_function(fn, dtype)(*map(self.number, args)))
        raise AssertionError(f"{e} in a place of a program that fits")

    def place(self, name: str, index: Iterable[Expr]) -> tuple[tuple[Expr, ...], int]:
        """An index as numbers, and its offset; -1 outside of the buffer."""
        numbers, buffer = tuple(map(self.number, index)), self.buffers[name].buffer
        places = tuple(map(index_constant, numbers))
        inside = all(0 <= at < extent for at, extent in zip(numbers, _extents(buffer), strict=True))
        return places, self.number(offset_of(buffer, places)) if inside else -1

    def each(self, ranges: Sequence[Range]) -> Iterator[None]:
        """Every point of the ranges in row-major order, its axes bound."""
        if not ranges:
            yield
            return
        first, *rest = ranges
        for at in range(self.number(first.lo), self.number(first.hi)):
            with self.axis(first.axis, constant("i64", at)):
                yield from self.each(rest)

    def statement(self, statement: Stmt) -> None:
        match statement:
            case For(body=body):
                for _ in self.each(bound_ranges(statement)):
                    self.statements(body)
            case If(condition=condition, body=body):
                if self.number(condition):
                    self.statements(body)
            case Contract(name=name, m=m, n=n, k=k, a=a, b=b, body=body, origin=origin):
                terms = Fold(name, "sum", k, None, Op("mul", (a, b), a.dtype), origin)
                self.statements(loops((m, n), (terms, *body)))
            case _:
                super().statement(statement)

    def fold_over(
        self, fold: Fold, ranges: tuple[Range, ...], total: Value, evaluate: Callable[[Expr], Value]
    ) -> Value:
        for _ in self.each(ranges):
            if fold.guard is None or self.number(fold.guard):
                total = self.fold_term(replace(fold, guard=None), total, evaluate)
        return total

    def reads(self, e: Expr) -> bool:
        """Never: a load of an arm that is not taken does no harm here."""
        return False

    def load(self, e: Load) -> Value:
        places, offset = self.place(e.buffer, e.index)
        if offset < 0:  # no run takes this arm
            return constant(self.type_of(e.dtype), 0)
        found = self.held.get(e.buffer, {}).get(offset)
        return super().load(replace(e, index=places)) if found is None else found

    def store(self, name: str, index: tuple[Expr, ...], value: Expr) -> None:
        places, offset = self.place(name, index)
        result = self.value(value)
        if self.buffers[name].buffer.role != "temp":
            super().store(name, places, value)
        self.forget(frozenset((f"@{name}",)))
        self.held[name][offset] = result

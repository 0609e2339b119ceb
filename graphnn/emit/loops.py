"""Statements of the loop IR -> LLVM: loops, vector loops with a masked end, folds, stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, reduce

from graphnn.emit.access import bound_by, expressions_in, invariants_in, offset_of, slope, written_by
from graphnn.emit.crossing import emit_by_rows
from graphnn.emit.environment import Mask
from graphnn.emit.expression import LINE
from graphnn.emit.folds import CHAINS, Folds
from graphnn.emit.local import parts_on_stack
from graphnn.emit.register_tile import lane_mask
from graphnn.emit.tile import emit_contract
from graphnn.emit.transform import emit_transform
from graphnn.emit.transpose import crossing_loads, emit_crossing
from graphnn.emit.writer import Value, constant, lanes_of
from graphnn.lower.ir import Accumulate, Contract, Fold, For, If, Let, Stmt, Store, Transform
from graphnn.lower.printer import header
from graphnn.schedule.affine import ONE, known_extent
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import COMBINE, Const, Expr, Load, Op, Range, walk


class EmitContext(Folds):
    """What an emitter of a statement works with.

    writer, target     where instructions go, and for which machine
    buffers, sizes     name -> Bound(buffer, base pointer), name -> i64 Value
    axis(name, v)      with: bind an axis to a scalar i64 Value
    loop(axis, lo, hi, carry, changed)
                       with: Writer.loop, its axis bound; `changed` = `access.written_by(body)`
    lockstep(name, first, lanes, mask)
                       with: vector code; axis `name` is first, first + 1, ... in the lanes. Mask(value, occupied=True)
                       for a ragged end (value: <lanes x i1>); lanes=1 is scalar code
    scope(changed)     with: any other block that may not run or runs repeatedly (say, inside writer.when)
    bind(name, v)      bind a Local to a Value, scalar or of `lanes` elements, until the scope ends
    at(origin)         with: debug location of what is written inside
    expr(e)            the Value of an expression, always of `lanes` elements
    value(e)           the same, but scalar where it does not vary by lane
    statements(body)   emit statements at the present lanes and mask
    """

    def statements(self, body: tuple[Stmt, ...]) -> None:
        """Emit statements in order, for the lanes that run now."""
        for statement in body:
            if self.checks is not None:
                self.checks.statement = header(statement)
            self.statement(statement)

    def statement(self, statement: Stmt) -> None:
        match statement:
            case For(kind="vector") if self.lanes == 1 and not holds_contract(statement.body):
                with self.around(statement):
                    self.vector_loop(statement)
            case For():
                # A bounds check stays with its load.
                plain = self.checks is not None or self.lanes != 1
                loads = () if plain else crossing_loads(self.declared, statement)
                if loads:
                    emit_crossing(self, statement, loads)
                else:
                    self.plain_loop(statement)
            case If(condition=condition, body=body):
                self.conditional(condition, body)
            case Let(name=name, value=value):
                self.bind(name, self.value(value))
            case Fold():
                with self.at(statement.origin):
                    self.bind(statement.name, self.fold(statement))
            case Contract():
                with self.at(statement.origin), self.scope(written_by((statement,))):
                    self.ahead_of(statement)
                    emit_contract(self, statement)
            case Transform():
                with self.at(statement.origin), self.scope():
                    emit_transform(self, statement)
            case Store(buffer=buffer, index=index, value=value):
                with self.at(statement.origin):
                    self.store(buffer, index, value)
            case Accumulate(buffer=buffer, index=index, reducer=reducer, value=value):
                old = Load(buffer, index, value.dtype, statement.origin)
                with self.at(statement.origin):
                    self.store(buffer, index, Op(COMBINE[reducer], (old, value), value.dtype, statement.origin))

    def plain_loop(self, loop: For) -> None:
        """One iteration after the other, whatever the kind of the loop."""
        if emit_by_rows(self, loop):
            return
        lo, hi = self.value(loop.lo), self.value(loop.hi)
        changed = written_by(loop.body)
        with self.around(loop), self.loop(loop.axis, lo, hi, changed=changed), parts_on_stack(self, loop):
            self.statements(loop.body)

    @contextmanager
    def around(self, loop: For) -> Iterator[None]:
        """Compute before a loop, if it runs at all, what each of its iterations would compute.

        for j: y[i, j] = exp(x[i])*w[j]  ->  t = exp(x[i]); for j: y[i, j] = t*w[j]

        What loops inside of it would compute, too, unless it loads from an array that may have no elements.
        """
        changing = written_by(loop.body) | bound_by((loop,))
        found = list(invariants_in(loop.body, changing, nested=False))
        if not found or self.checks is not None:  # a bounds check stays with its statement
            yield
            return
        with self.writer.when(self.writer.compare("icmp slt", self.value(loop.lo), self.value(loop.hi))), self.scope():
            for part in found:
                self.value(part)
            yield

    def ahead_of(self, contract: Contract) -> None:
        """Compute before a contraction what its epilogue would compute at each element, if it can do no harm there."""
        changing = written_by((contract,)) | bound_by((contract,))
        found = () if self.checks is not None else invariants_in((contract,), changing, nested=True)
        for part in found:
            if not any(isinstance(e, Op) and e.dtype == "int64" for e in walk(part)):  # it may divide by an extent, 0
                self.value(part)

    def vector_loop(self, loop: For) -> None:
        """for i in lo..hi -> for i in lo..lo+16n step 16: body in 16 lanes; then the body once, masked to i < hi.

        Body and end run the same instructions, so an element's bits do not depend on where it stands.
        """
        w, lanes, changed = self.writer, self.lanes_for(loop), written_by(loop.body)
        lo, hi = self.value(loop.lo), self.value(loop.hi)
        if isinstance(loop.lo, Const) and isinstance(loop.hi, Const):
            span = max(int(loop.hi.value) - int(loop.lo.value), 0)
            full = constant("i64", int(loop.lo.value) + span // lanes * lanes)
            bodies, ragged = span // lanes, span % lanes > 0
        else:
            span_value = w.intrinsic("smax.i64", "i64", w.binary("sub", hi, lo), constant("i64", 0))
            full = w.binary("add", lo, w.binary("and", span_value, constant("i64", -lanes)))
            bodies, ragged = 2, True
        if bodies:
            self.whole_vectors(loop, lo, full, lanes)
        if ragged:
            with (
                w.when(w.compare("icmp slt", full, hi)),
                self.scope(changed),
                self.lockstep(loop.axis, full, lanes),
                parts_on_stack(self, loop),
            ):
                left = w.binary("sub", hi, full)
                self.mask = Mask(lane_mask(w, left, lanes), occupied=True, first=left)
                self.statements(loop.body)

    def whole_vectors(self, loop: For, lo: Value, hi: Value, lanes: int) -> None:
        """Vectors without a mask. What goes past the caches does so if its first line begins with a vector."""
        offsets = {
            s.buffer: offset_of(self.declared[s.buffer], s.index)
            for s in loop.body
            if isinstance(s, Store) and self.declared[s.buffer].streamed
        }
        lines = all(lanes * BYTES[self.declared[name].stored] == LINE for name in offsets)
        if (
            self.checks is not None
            or not offsets
            or not lines
            or any(slope(offset, loop.axis) != ONE for offset in offsets.values())
        ):
            self.vectors(loop, lo, hi, lanes)
            return
        w = self.writer
        with self.axis(loop.axis, lo):
            starts = [self.address(name, offset) for name, offset in offsets.items()]
        rest = reduce(partial(w.binary, "or"), (w.convert("ptrtoint", start, "i64") for start in starts))
        whole = w.compare("icmp eq", w.binary("and", rest, constant("i64", LINE - 1)), constant("i64", 0))
        for test, past in (
            (whole, frozenset(offsets)),
            (w.binary("xor", whole, constant("i1", 1)), frozenset[str]()),
        ):
            with w.when(test), self.scope():
                self.past_cache = past
                self.vectors(loop, lo, hi, lanes)
        self.past_cache = frozenset()

    def vectors(self, loop: For, lo: Value, hi: Value, lanes: int) -> None:
        with (
            self.scope(written_by(loop.body)),
            self.writer.loop(lo, hi, step=lanes) as handle,
            self.lockstep(loop.axis, handle.index, lanes),
            parts_on_stack(self, loop),
        ):
            self.statements(loop.body)

    def lanes_for(self, loop: For) -> int:
        """As many lanes as a vector of the widest float in the nest has; no more than a short loop can fill."""
        dtypes = {e.dtype for root in expressions_in(loop.body) for e in walk(root)}
        dtypes |= {self.buffers[name.removeprefix("@")].buffer.dtype for name in written_by(loop.body)}
        floats = [self.target.lanes(dtype) for dtype in ("float64", "float32") if dtype in dtypes]
        lanes = floats[0] if floats else self.target.lanes("int64")
        length = known_extent(Range(loop.axis, loop.lo, loop.hi))
        if length is None:
            return lanes
        while lanes > 1 and lanes // 2 >= length:
            lanes //= 2
        return lanes if length < CHAINS * lanes or not self.folds_along(loop) else CHAINS * lanes

    def conditional(self, condition: Expr, body: tuple[Stmt, ...]) -> None:
        """Where the condition varies by lane: a branch around lanes that agree on no, a mask for the others."""
        w, changed = self.writer, written_by(body)
        test = self.value(condition)
        if lanes_of(test.type) == 1:
            with w.when(test), self.scope(changed):
                self.statements(body)
            return
        active = test if self.mask is None else w.binary("and", test, self.mask.value)
        with w.when(self.any_lane(active)), self.scope(changed), self.masked(test, occupied=True):
            self.statements(body)


def holds_contract(body: tuple[Stmt, ...]) -> bool:
    """Whether a contraction, which brings vectors of its own, is in the statements."""
    return any(isinstance(s, Contract) or (isinstance(s, For | If) and holds_contract(s.body)) for s in body)

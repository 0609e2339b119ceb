"""Expressions -> LLVM values: scalars where every lane agrees, vectors where they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graphnn.emit.access import names_in
from graphnn.emit.address import MEMORY, Addresses
from graphnn.emit.environment import Mask
from graphnn.emit.scalar import emit_cast, emit_scalar
from graphnn.emit.writer import KNOWN, TRUE, Value, constant, lanes_of, mangle, vector_type
from graphnn.errors import CompileError
from graphnn.lower.ir import Buffer
from graphnn.schedule.crossing import always_loaded
from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import Axis, Const, Expr, Load, Local, Op, Size, children

LINE = 64  # bytes of a cache line


class Expressions(Addresses):
    """An Environment that evaluates expressions, and loads and stores."""

    def expr(self, e: Expr) -> Value:
        """The value of an expression, with `lanes` elements."""
        return self.widen(self.value(e))

    def widen(self, value: Value) -> Value:
        """A uniform value in every lane."""
        if self.lanes == 1 or value.type.startswith("<"):
            return value
        if value.ref.startswith("%"):
            return self.writer.splat(value, self.lanes)
        return Value(vector_type(value.type, self.lanes), f"splat ({value})")

    def value(self, e: Expr) -> Value:
        """The value of an expression: a scalar if it does not vary by lane.

        Common subexpressions are computed once: what is known holds until an axis, local or buffer changes.
        """
        match e:
            case Const(value=number, dtype=dtype):
                return constant(self.type_of(dtype), number)
            case Size(name=name):
                return self.sizes[name]
            case Local(name=name):
                return self.locals[name]
            case Axis(name=name) if name not in self.varying:
                return self.axes[name]
        names = names_in(e)
        key = (e, 1 if self.varying.isdisjoint(names) else self.lanes)  # the same for vector and scalar code: one lane
        found = self.known.get(key)
        if found is None:
            outer = self.writer.location
            if e.origin is not None:
                self.writer.location = self.locations.of(e.origin)
            value = self.compute(e)
            self.writer.location = outer
            self.remember(key, value, names)
            return value
        return found[0]

    def reads(self, e: Expr) -> bool:
        """Whether evaluating `e` here loads something that is not known yet."""
        if (e, self.lanes if self.varies(e) else 1) in self.known:
            return False
        return isinstance(e, Load) or any(map(self.reads, children(e)))

    def compute(self, e: Expr) -> Value:
        """Emit the instructions of an expression whose value is not known yet."""
        match e:
            case Axis(name=name):
                return self.writer.binary("add", self.widen(self.axes[name]), self.iota())
            case Load():
                return self.load(e)
            case Op(fn="select", args=(condition, a, b)):
                return self.choose(condition, a, b)
            case Op(fn="or", args=(a, _)) if self.value(a).ref == TRUE:
                return self.value(a)
            case Op(fn="cast", args=(a,), dtype=dtype):
                return emit_cast(self.writer, self.value(a), self.type_of(dtype))
            case Op(fn=fn, args=args):
                values = self.agreeing(*map(self.value, args))
                exponent = args[1].value if fn == "pow" and isinstance(args[1], Const) else None
                return emit_scalar(self.writer, fn, values, None if exponent is None else float(exponent))
        raise CompileError(f"the loop IR holds no {type(e).__name__}; lower it first")

    def agreeing(self, *values: Value) -> tuple[Value, ...]:
        """The values as they are if all are scalars, else all of them as vectors."""
        for value in values:
            if value.type[0] == "<":
                return tuple(map(self.widen, values))
        return values

    # -- conditions ------------------------------------------------------------------------------------------------

    def choose(self, condition: Expr, a: Expr, b: Expr) -> Value:
        """select: an arm that loads is run only where it is taken, by a branch or under a mask.

        What both arms load is loaded in any case: select(c, W[i] - s, W[i]) needs no branch.
        """
        w, test = self.writer, self.value(condition)
        if test.ref in KNOWN:
            return self.value(a if test.ref == TRUE else b)
        loaded = set(always_loaded(b))
        for load in always_loaded(a):
            if load in loaded:
                self.value(load)
        if not self.reads(a) and not self.reads(b):
            left, right = self.agreeing(self.value(a), self.value(b))
            if test.type.startswith("<"):
                left, right = self.widen(left), self.widen(right)
            return w.select(test, left, right)
        if test.type.startswith("<"):
            with self.masked(test):
                left = self.expr(a)
            with self.masked(w.binary("xor", test, constant(test.type, 1))):
                right = self.expr(b)
            return w.select(test, left, right)
        arm = self.expr if self.varies(a) or self.varies(b) else self.value
        return self.guarded(test, lambda: arm(a), lambda: arm(b))

    def guarded(self, test: Value, compute: Callable[[], Value], otherwise: Callable[[], Value]) -> Value:
        """A branch on a scalar condition: compute() where it holds, else otherwise()."""
        w, number = self.writer, self.writer.fresh("")
        arms = []
        w.branch(test, f"yes{number}", f"no{number}")
        for label, emit in ((f"yes{number}", compute), (f"no{number}", otherwise)):
            w.start(label)
            with self.scope():
                arms.append((emit(), w.block))
            w.jump(f"either{number}")
        w.start(f"either{number}")
        type_ = arms[0][0].type
        return w.ins(type_, f"phi {type_} {', '.join(f'[{value.ref}, %{block}]' for value, block in arms)}")

    @contextmanager
    def masked(self, condition: Value, occupied: bool = False) -> Iterator[None]:
        """Run only the lanes where a vector condition holds."""
        outer = self.mask
        inner = condition if outer is None else self.writer.binary("and", outer.value, condition)
        self.mask = Mask(inner, occupied)
        with self.scope():
            yield
        self.mask = outer

    def any_lane(self, value: Value) -> Value:
        return self.writer.intrinsic(f"vector.reduce.or.{mangle(value.type)}", "i1", value)

    # -- memory ----------------------------------------------------------------------------------------------------

    def load(self, e: Load) -> Value:
        """Uniform index: a scalar load. Unit stride: a vector load. Else a gather. A mask is honoured by each."""
        buffer = self.buffers[e.buffer].buffer
        offset = self.offset(buffer, e.index)
        element, mask = MEMORY[buffer.stored], self.mask
        lanes = self.lanes if self.varies(offset) else 1
        memory, align = vector_type(element, lanes), BYTES[buffer.stored]
        self.check_bounds(buffer.name, e.index)

        def plain() -> Value:
            return self.writer.ins(memory, f"load {memory}, {self.address(buffer.name, offset)}, align {align}")

        if lanes == 1:
            if mask is None or mask.occupied:
                raw = plain()
            else:  # no lane may want it, and then it may be out of range
                raw = self.guarded(self.any_lane(mask.value), plain, lambda: constant(memory, 0))
        elif self.is_contiguous(offset):
            return self.load_from(self.address(buffer.name, offset), buffer)
        else:
            raw = self.masked_load(memory, self.addresses(buffer.name, offset), align)
        return self.from_memory(raw, buffer)

    def load_from(self, address: Value, buffer: Buffer) -> Value:
        """Consecutive elements, one a lane that runs."""
        memory, align = vector_type(MEMORY[buffer.stored], self.lanes), BYTES[buffer.stored]
        if self.mask is not None:
            return self.from_memory(self.masked_load(memory, address, align), buffer)
        return self.from_memory(self.writer.ins(memory, f"load {memory}, {address}, align {align}"), buffer)

    def from_memory(self, raw: Value, buffer: Buffer) -> Value:
        """What is loaded as it is in registers."""
        if buffer.narrow:
            return self.writer.convert("sext", raw, vector_type("i64", lanes_of(raw.type)))
        return raw if buffer.dtype != "bool" else emit_cast(self.writer, raw, "i1")

    def store(self, name: str, index: tuple[Expr, ...], value: Expr) -> None:
        """Store one element a lane. A uniform index in vector code would make the lanes depend on each other."""
        w, buffer = self.writer, self.buffers[name].buffer
        offset = self.offset(buffer, index)
        element, align = MEMORY[buffer.stored], BYTES[buffer.stored]
        if self.lanes > 1 and not self.varies(offset):
            raise CompileError(f"the lanes of vector axis {self.vector_axis!r} all store to one element of {name!r}")
        result = self.expr(value)
        if buffer.narrow:
            result = w.convert("trunc", result, vector_type(element, self.lanes))
        elif buffer.dtype == "bool":
            result = w.convert("zext", result, vector_type(element, self.lanes))
        self.check_bounds(name, index)
        if name in self.past_cache:
            w.do(f"store {result}, {self.address(name, offset)}, align {LINE}, !nontemporal !{{i32 1}}")
        elif self.lanes == 1 or (self.mask is None and self.is_contiguous(offset)):
            w.do(f"store {result}, {self.address(name, offset)}, align {align}")
        elif self.is_contiguous(offset):
            self.masked_store(result, self.address(name, offset), align)
        else:
            self.masked_store(result, self.addresses(name, offset), align)
        self.forget(frozenset((f"@{name}",)))

    def active(self) -> Value:
        return constant(vector_type("i1", self.lanes), 1) if self.mask is None else self.mask.value

    def masked_load(self, type_: str, address: Value, align: int) -> Value:
        """The active lanes from consecutive elements, or from an address each; 0 in the other lanes."""
        kind = "gather" if address.type.startswith("<") else "load"
        name = f"masked.{kind}.{mangle(type_)}.{mangle(address.type)}"
        return self.writer.intrinsic(
            name, type_, address, Value("i32", str(align)), self.active(), Value(type_, "zeroinitializer")
        )

    def masked_store(self, value: Value, address: Value, align: int) -> None:
        kind = "scatter" if address.type.startswith("<") else "store"
        name = f"llvm.masked.{kind}.{mangle(value.type)}.{mangle(address.type)}"
        arguments = (value, address, Value("i32", str(align)), self.active())
        self.writer.module.declare(name, "void", [a.type for a in arguments])
        self.writer.do(f"call void @{name}({', '.join(map(str, arguments))})")

    def check_bounds(self, name: str, index: tuple[Expr, ...]) -> None:
        """In debug mode: return a code of its own where an active lane's index is outside its dimension."""
        if self.checks is None:
            return
        w = self.writer
        for dimension, (position, extent) in enumerate(zip(index, self.buffers[name].buffer.shape, strict=True)):
            at, end = self.agreeing(self.value(position), self.value(extent))
            outside = w.compare("icmp uge", at, end)
            if outside.type.startswith("<"):
                outside = self.any_lane(w.binary("and", outside, self.active()))
            elif self.mask is not None and not self.mask.occupied:
                outside = w.binary("and", outside, self.any_lane(self.mask.value))
            number = w.fresh("")
            w.branch(outside, f"outside{number}", f"inside{number}")
            w.start(f"outside{number}")
            w.do(f"ret i64 {self.checks.add(name, dimension)}")
            w.start(f"inside{number}")

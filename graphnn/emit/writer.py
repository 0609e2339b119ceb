"""A small writer of LLVM text: one SSA value per line, loops with carried values, debug locations.

Text, because building it is several times faster than llvmlite's object model and LLVM parses it anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from graphnn.emit.folding import fold, fold_comparison, fold_logic

TRUE, KNOWN = "1", ("0", "1")  # of an i1


class Value(NamedTuple):  # thousands are made, and a tuple is made in half the time
    """A typed LLVM operand: str(Value("i64", "%7")) is "i64 %7"."""

    type: str
    ref: str

    def __str__(self) -> str:
        return f"{self.type} {self.ref}"


@lru_cache(1024)
def vector_type(element: str, lanes: int) -> str:
    """The LLVM type of `lanes` elements; one lane is the scalar itself."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


@lru_cache(1024)
def element_type(type_: str) -> str:
    """<16 x float> -> float; float -> float."""
    return type_.split(" x ")[1].rstrip(">") if type_.startswith("<") else type_


@lru_cache(1024)
def lanes_of(type_: str) -> int:
    """<16 x float> -> 16; float -> 1."""
    return int(type_[1:].split(" x ", maxsplit=1)[0]) if type_.startswith("<") else 1


@lru_cache(1024)
def _mask_of(picked: tuple[int, ...]) -> str:
    """The mask of a shuffle."""
    return f"<{len(picked)} x i32> <{', '.join(f'i32 {lane}' for lane in picked)}>"


def literal(element: str, value: float | int | bool) -> str:
    """The text of a scalar constant. Floats are written in hexadecimal, so that no digit is lost."""
    if element == "float":
        (value,) = struct.unpack("f", struct.pack("f", value))  # rounds to the nearest float32
    if element in ("float", "double"):
        return "0x{:016X}".format(*struct.unpack(">Q", struct.pack(">d", value)))
    return str(int(value))


def constants(element: str, values: Sequence[float]) -> Value:
    """The constant vector of these numbers."""
    items = ", ".join(f"{element} {literal(element, value)}" for value in values)
    return Value(vector_type(element, len(values)), f"<{items}>")


def constant(type_: str, value: float | int | bool) -> Value:
    """A constant of a scalar type, or the same constant in every lane."""
    element, lanes = element_type(type_), lanes_of(type_)
    scalar = literal(element, value)
    return Value(type_, scalar if lanes == 1 else f"splat ({element} {scalar})")


@dataclass(slots=True)
class Loop:
    """The handle of an open loop: read `index` and `carried`, set `next` before it closes, then read `results`.

    `step` may be replaced by a larger value of the body, for a loop whose strides differ.
    """

    index: Value
    carried: list[Value]
    step: Value
    next: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)


class Module:
    """Collects the text of functions, the declarations they need, and metadata lines.

    `register_tables` is `Target.register_tables`: code may pick numbers from tables in registers.
    """

    def __init__(self, name: str, triple: str, register_tables: bool = False) -> None:
        self.register_tables = register_tables
        self.head = [f'source_filename = "{name}"', f'target triple = "{triple}"']
        self.declarations: dict[str, str] = {}
        self.constants: dict[str, str] = {}  # tables, by name
        self.functions: list[str] = []
        self.shared: set[str] = set()  # names of functions that several callers use
        self.metadata: list[str] = []

    def declare(self, name: str, result: str, arguments: Sequence[str]) -> None:
        """Declare an intrinsic or an outside function once."""
        self.declarations[name] = f"declare {result} @{name}({', '.join(arguments)})"

    def text(self) -> str:
        parts = (self.head, self.declarations.values(), self.constants.values(), self.functions, self.metadata)
        return "\n".join(line for part in parts for line in part) + "\n"


class Writer:
    """Writes the body of one function, block after block. `location` is attached to every instruction."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.block = "entry"
        self.location: str | None = None  # for example "!7"
        self.count = 0
        self.allocas = 0  # lines at the start of the entry block

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def do(self, instruction: str) -> None:
        """Append an instruction without a result."""
        location = self.location
        self.lines.append(f"  {instruction}, !dbg {location}" if location else f"  {instruction}")

    def ins(self, type_: str, instruction: str) -> Value:
        """Append `%v = instruction` and return its value, whose type is `type_`."""
        self.count += 1
        name = f"%v{self.count}"
        self.do(f"{name} = {instruction}")
        return Value(type_, name)

    def binary(self, opcode: str, a: Value, b: Value) -> Value:
        """add, fmul, and ... : both operands and the result have one type."""
        if a.type == "i64" and (known := fold(opcode, a.ref, b.ref)) is not None:
            return Value("i64", known)
        if a.type == "i1" and (known := fold_logic(opcode, a.ref, b.ref)) is not None:
            return Value("i1", known)
        return self.ins(a.type, f"{opcode} {a}, {b.ref}")

    def compare(self, predicate: str, a: Value, b: Value) -> Value:
        """`predicate` with its opcode: "fcmp olt" or "icmp slt". The result is i1, or a vector of i1."""
        if a.type == "i64" and (known := fold_comparison(predicate, a.ref, b.ref)) is not None:
            return Value("i1", known)
        return self.ins(vector_type("i1", lanes_of(a.type)), f"{predicate} {a}, {b.ref}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        if condition.ref in KNOWN or a == b:
            return b if condition.ref != TRUE else a
        return self.ins(a.type, f"select {condition}, {a}, {b}")

    def convert(self, opcode: str, a: Value, type_: str) -> Value:
        """sitofp, fptosi, bitcast, zext ..."""
        return self.ins(type_, f"{opcode} {a} to {type_}")

    def intrinsic(self, name: str, result: str, *arguments: Value) -> Value:
        """Call @llvm.<name>, declared on first use: intrinsic("fma.v16f32", V, a, b, c)."""
        if result == "i64" and len(arguments) == 2:
            known = fold(name.removesuffix(".i64"), *(argument.ref for argument in arguments))
            if known is not None:
                return Value("i64", known)
        self.module.declare(f"llvm.{name}", result, [a.type for a in arguments])
        return self.ins(result, f"call {result} @llvm.{name}({', '.join(map(str, arguments))})")

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a*b + c with one rounding."""
        return self.intrinsic(f"fma.{mangle(a.type)}", a.type, a, b, c)

    def splat(self, scalar: Value, lanes: int) -> Value:
        """The scalar in every lane."""
        if lanes == 1:
            return scalar
        type_ = vector_type(scalar.type, lanes)
        single = self.ins(type_, f"insertelement {type_} poison, {scalar}, i32 0")
        return self.ins(type_, f"shufflevector {type_} {single.ref}, {type_} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, a: Value, b: Value, picked: Sequence[int]) -> Value:
        """Those lanes of two vectors, counted through both."""
        type_ = vector_type(element_type(a.type), len(picked))
        return self.ins(type_, f"shufflevector {a}, {b}, {_mask_of(tuple(picked))}")

    def gep(self, element: str, base: Value, index: Value) -> Value:
        """The address base + index elements. Addresses are only ever made by getelementptr."""
        if index.ref == "0":
            return base
        return self.ins("ptr", f"getelementptr {element}, {base}, {index}")

    def prefetch(self, address: Value, stored: bool = False, level: int = 1) -> None:
        """Ask for a cache line that will be read, or `stored` to, into a cache of this level. No address traps."""
        self.module.declare("llvm.prefetch.p0", "void", ["ptr", "i32", "i32", "i32"])
        self.do(f"call void @llvm.prefetch.p0({address}, i32 {int(stored)}, i32 {4 - level}, i32 1)")

    def alloca(self, element: str, count: int, align: int) -> Value:
        """`count` elements on the stack, reserved once in the entry block however often this place is reached."""
        name = "%" + self.fresh("stack")
        self.lines.insert(self.allocas, f"  {name} = alloca {element}, i64 {count}, align {align}")
        self.allocas += 1
        return Value("ptr", name)

    def start(self, label: str) -> None:
        """Begin a basic block; the block before it must have ended in a branch."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch(self, condition: Value, then: str, otherwise: str) -> None:
        self.do(f"br {condition}, label %{then}, label %{otherwise}")

    @contextmanager
    def loop(self, lo: Value, hi: Value, step: int = 1, carry: Sequence[Value] = ()) -> Iterator[Loop]:
        """for index in lo, lo+step, ... while index < hi, with carried values. It may run no time at all.

        What is known to run once is written without a loop; where the first round is known to run, the test stands at
        the end of the body.

        with w.loop(zero, n, carry=[acc0]) as loop:
            loop.next = [w.binary("fadd", loop.carried[0], x)]
        total = loop.results[0]
        """
        runs = lo.ref[0] != "%" and hi.ref[0] != "%" and int(lo.ref) < int(hi.ref)
        if runs and int(hi.ref) - int(lo.ref) <= step:
            handle = Loop(lo, list(carry), constant("i64", step))
            yield handle
            handle.results = handle.next
            return
        number = self.fresh("")
        body, done = f"body{number}", f"done{number}"
        head = body if runs else f"loop{number}"
        before = self.block
        self.jump(head)
        self.start(head)
        index = Value("i64", f"%i{number}")
        carried = [Value(v.type, f"%c{number}.{k}") for k, v in enumerate(carry)]
        slot = len(self.lines) - self.allocas  # counted from the first line after them
        if not runs:
            self.branch(self.compare("icmp slt", index, hi), body, done)
            self.start(body)
        handle = Loop(index, carried, constant("i64", step))
        yield handle
        stepped = self.binary("add nsw", index, handle.step)
        latch = self.block
        if runs:
            self.branch(self.compare("icmp slt", stepped, hi), body, done)
        else:
            self.jump(head)
        if len(handle.next) != len(carried):
            raise AssertionError("a loop must set one next value per carried value")
        phis = [f"  {index.ref} = phi i64 [{lo.ref}, %{before}], [{stepped.ref}, %{latch}]"]
        for value, first, following in zip(carried, carry, handle.next, strict=True):
            phis.append(f"  {value.ref} = phi {value.type} [{first.ref}, %{before}], [{following.ref}, %{latch}]")
        slot += self.allocas
        self.lines[slot:slot] = phis
        self.start(done)
        handle.results = handle.next if runs else carried

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run what is written inside only where a scalar condition holds."""
        if condition.ref == TRUE:
            yield
            return
        number = self.fresh("")
        self.branch(condition, f"then{number}", f"after{number}")
        self.start(f"then{number}")
        yield
        self.jump(f"after{number}")
        self.start(f"after{number}")


@lru_cache(1024)
def mangle(type_: str) -> str:
    """The suffix of an overloaded intrinsic: <16 x float> -> v16f32."""
    element, lanes = element_type(type_), lanes_of(type_)
    short = {"float": "f32", "double": "f64", "ptr": "p0"}.get(element, element)
    return short if lanes == 1 else f"v{lanes}{short}"

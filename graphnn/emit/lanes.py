"""Floating-point arithmetic in lanes, for code that is written once for float and double, scalars and vectors."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from graphnn.emit.coefficients import DOUBLE, FLOAT, Coefficients
from graphnn.emit.writer import Value, Writer, constant, constants, element_type, lanes_of, literal, mangle, vector_type


@dataclass(frozen=True, slots=True)
class Format:
    """A binary format: the integer type of its width, the bits of its mantissa, its exponent bias."""

    integer: str
    mantissa: int
    bias: int
    numbers: Coefficients

    @property
    def bytes(self) -> int:
        return int(self.integer[1:]) // 8

    @property
    def rounder(self) -> float:
        """Added to a number below 2^(mantissa-1), it leaves the nearest integer in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def tiny(self) -> float:
        """Below this |x|, expm1(x) and log1p(x) are x to half a unit in the last place."""
        return 2.0 ** -(self.mantissa + 2)

    def bits(self, value: float) -> int:
        """The bit pattern of a positive number."""
        code = ("f", "I") if self.integer == "i32" else ("d", "Q")
        return int(struct.unpack(code[1], struct.pack(code[0], value))[0])


FORMATS = {"float": Format("i32", 23, 127, FLOAT), "double": Format("i64", 52, 1023, DOUBLE)}

REGISTER = 16  # float32 of an AVX-512 register


class Lanes:
    """Arithmetic on one floating type with Python numbers as constants."""

    def __init__(self, w: Writer, type_: str) -> None:
        self.w = w
        self.type = type_
        self.format = FORMATS[element_type(type_)]
        self.integers = vector_type(self.format.integer, lanes_of(type_))

    def number(self, value: Value | float) -> Value:
        return value if isinstance(value, Value) else constant(self.type, value)

    def integer(self, value: Value | int) -> Value:
        """An integer operand; Python integers wrap to the width."""
        if isinstance(value, Value):
            return value
        width = int(self.format.integer[1:])
        return constant(self.integers, (value + 2 ** (width - 1)) % 2**width - 2 ** (width - 1))

    def op(self, opcode: str, a: Value | float, b: Value | float) -> Value:
        return self.w.binary(opcode, self.number(a), self.number(b))

    def iop(self, opcode: str, a: Value | int, b: Value | int) -> Value:
        return self.w.binary(opcode, self.integer(a), self.integer(b))

    def fma(self, a: Value | float, b: Value | float, c: Value | float) -> Value:
        return self.w.fma(self.number(a), self.number(b), self.number(c))

    def holds(self, predicate: str, a: Value | float, b: Value | float) -> Value:
        """Whether a `predicate` b in each lane. Ordered predicates are false on NaN."""
        return self.w.compare(f"fcmp {predicate}", self.number(a), self.number(b))

    def where(
        self, predicate: str, a: Value | float, b: Value | float, then: Value | float, other: Value | float
    ) -> Value:
        """then where a `predicate` b, else other."""
        return self.w.select(self.holds(predicate, a, b), self.number(then), self.number(other))

    def at_least(self, x: Value, bound: float) -> Value:
        return self.where("ogt", bound, x, bound, x)

    def at_most(self, x: Value, bound: float) -> Value:
        return self.where("olt", bound, x, bound, x)

    def intrinsic(self, name: str, *arguments: Value) -> Value:
        """The LLVM intrinsic of one to three numbers that gives a number."""
        return self.w.intrinsic(f"{name}.{mangle(self.type)}", self.type, *arguments)

    def absolute(self, x: Value) -> Value:
        return self.intrinsic("fabs", x)

    def copysign(self, size: Value, sign: Value) -> Value:
        return self.intrinsic("copysign", size, sign)

    def square_root(self, x: Value) -> Value:
        return self.intrinsic("sqrt", x)

    def truncate(self, x: Value) -> Value:
        """The nearest integer towards zero."""
        return self.intrinsic("trunc", x)

    def round(self, x: Value) -> Value:
        """The nearest integer, for a number of any size."""
        return self.intrinsic("roundeven", x)

    def to_bits(self, x: Value) -> Value:
        return self.w.convert("bitcast", x, self.integers)

    def from_bits(self, x: Value) -> Value:
        return self.w.convert("bitcast", x, self.type)

    def polynomial(self, r: Value, coefficients: Sequence[float]) -> Value:
        """Horner's rule, lowest coefficient first: the fewest instructions. Other iterations hide its latency."""
        total = self.number(coefficients[-1])
        for c in coefficients[-2::-1]:
            total = self.fma(total, r, c)
        return total

    def tail(self, r: Value, coefficients: Sequence[float], rest: Value | float) -> Value:
        """r^2 P(r) + rest."""
        return self.fma(self.op("fmul", r, r), self.polynomial(r, coefficients), rest)

    def paired_tail(self, r: Value, coefficients: Sequence[float], rest: Value | float) -> Value:
        """r^2 P(r) + rest, P as a polynomial of r^2 whose coefficients are a + b r (Knuth 4.6.4).

        These are as many instructions, since r^2 is needed anyway, and half as many wait for each other: for functions
        on which the next layer waits in small networks.
        """
        square = self.op("fmul", r, r)
        pairs = [self.fma(b, r, a) for a, b in zip(coefficients[::2], coefficients[1::2], strict=False)]
        total = pairs.pop() if len(coefficients) % 2 == 0 else self.number(coefficients[-1])
        for pair in reversed(pairs):
            total = self.fma(total, square, pair)
        return self.fma(square, total, rest)

    def fraction(self, x: Value) -> Value:
        """x less the nearest integer, exactly."""
        return self.op("fsub", x, self.round(x))

    def look_up(self, name: str, numbers: Sequence[float], at: Value) -> Value:
        """numbers[at] in each lane, from a constant table of the module."""
        element, lanes = element_type(self.type), lanes_of(self.type)
        items = ", ".join(f"{element} {literal(element, number)}" for number in numbers)
        self.w.module.constants[name] = (
            f"@{name} = private unnamed_addr constant [{len(numbers)} x {element}] [{items}]"
        )
        address = self.w.ins(vector_type("ptr", lanes), f"getelementptr {element}, ptr @{name}, {at}")
        align = FORMATS[element].bytes
        if lanes == 1:
            return self.w.ins(element, f"load {element}, {address}, align {align}")
        every, zero = constant(vector_type("i1", lanes), 1), constant(self.type, 0.0)
        kind = f"masked.gather.{mangle(self.type)}.{mangle(address.type)}"
        return self.w.intrinsic(kind, self.type, address, Value("i32", str(align)), every, zero)

    def pick(self, name: str, numbers: Sequence[float], at: Value) -> Value:
        """numbers[at mod 32] in each lane, out of 32 of float32: vectors find them in two registers (AVX-512)."""
        w, lanes = self.w, lanes_of(self.type)
        if lanes == 1:
            return self.look_up(name, numbers, self.iop("and", at, 2 * REGISTER - 1))
        low, high = (constants("float", numbers[k : k + REGISTER]) for k in (0, REGISTER))
        found = []
        for start in range(0, lanes, REGISTER):
            lane = [start + k % lanes for k in range(REGISTER)]  # of a narrow vector, each several times
            places = at if lanes == REGISTER else w.shuffle(at, at, lane)
            found.append(w.intrinsic(f"x86.avx512.vpermi2var.ps.{8 * 4 * REGISTER}", low.type, low, places, high))
        while len(found) > 1:
            found = [w.shuffle(a, b, range(2 * lanes_of(a.type))) for a, b in zip(found[::2], found[1::2], strict=True)]
        return found[0] if lanes >= REGISTER else w.shuffle(found[0], found[0], range(lanes))

    def product(self, a: Value | float, b: Value | float) -> tuple[Value, Value]:
        """a*b, rounded, and what the rounding left over."""
        high = self.op("fmul", a, b)
        return high, self.fma(a, b, self.op("fmul", high, -1.0))

    def sum(self, a: Value, b: Value) -> tuple[Value, Value]:
        """a + b, rounded, and what the rounding left over (Knuth 1969)."""
        high = self.op("fadd", a, b)
        part = self.op("fsub", high, a)
        return high, self.op("fadd", self.op("fsub", a, self.op("fsub", high, part)), self.op("fsub", b, part))

    def ordered_sum(self, a: Value, b: Value | float) -> tuple[Value, Value]:
        """The same for |a| >= |b| (Dekker 1971)."""
        high = self.op("fadd", a, b)
        return high, self.op("fsub", b, self.op("fsub", high, a))

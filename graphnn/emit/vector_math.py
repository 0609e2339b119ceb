"""exp, log, log1p, expm1, tanh and sigmoid as straight-line LLVM instructions, scalar or in lanes.

    %y = exp(%x)  ->  about 18 instructions: reduce, polynomial, scale; no call, no branch, no table

Argument reductions (Cody and Waite 1980; Tang 1989):

- e^x = 2^n e^r, n = round(x log2 e), r = x - n ln2. Adding 1.5 * 2^mantissa rounds to an integer on
  every instruction set, and leaves n in the low bits, from where a shift makes the exponent. A result may need an
  exponent outside the normal range, so it is scaled in two steps.
- log x = k ln2 + log1p(f), 1 + f = x / 2^k in [sqrt(1/2), sqrt(2)).

Both kernels are r + r^2 P(r) with P from `coefficients.py`. All other functions are written in terms of these, so
that no digits cancel. Without a hardware fused multiply-add `llvm.fma` becomes a library call: right, but slow.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphnn.emit.coefficients import DOUBLE, FLOAT, Coefficients
from graphnn.emit.writer import Value, Writer, constant, element_type, lanes_of, mangle, vector_type
from graphnn.errors import CompileError


@dataclass(frozen=True, slots=True)
class Format:
    """A binary format: the integer type of its width, the bits of its mantissa, its exponent bias."""

    integer: str
    mantissa: int
    bias: int
    numbers: Coefficients

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


def emit_function(w: Writer, name: str, x: Value) -> Value:
    """Append name(x), elementwise, for x a float or double or a vector of any number of them.

    Special values are those of IEEE 754. Largest errors: docs/vector-math.md.
    Raises CompileError for an unknown name or another type.
    """
    if name not in FUNCTIONS:
        raise CompileError(f"no code for the function {name!r}; there is code for {', '.join(FUNCTIONS)}")
    if element_type(x.type) not in FORMATS:
        raise CompileError(f"{name} needs a float or double operand, got {x.type}")
    return FUNCTIONS[name](Lanes(w, x.type), x)


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

    def where(
        self, predicate: str, a: Value | float, b: Value | float, then: Value | float, other: Value | float
    ) -> Value:
        """then where a `predicate` b, else other. Ordered predicates are false on NaN."""
        condition = self.w.compare(f"fcmp {predicate}", self.number(a), self.number(b))
        return self.w.select(condition, self.number(then), self.number(other))

    def at_least(self, x: Value, bound: float) -> Value:
        return self.where("ogt", bound, x, bound, x)

    def at_most(self, x: Value, bound: float) -> Value:
        return self.where("olt", bound, x, bound, x)

    def absolute(self, x: Value) -> Value:
        return self.w.intrinsic(f"fabs.{mangle(self.type)}", self.type, x)

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


def reduce_exponent(v: Lanes, x: Value, shift: int) -> tuple[Value, Value]:
    """e^x = 2^n e^r  ->  the bits of 2^(n + shift), modulo the width, and r in [-ln2/2, ln2/2]."""
    f, numbers = v.format, v.format.numbers
    rounder = f.rounder + f.bias + shift
    rounded = v.fma(x, numbers.log2e, rounder)
    n = v.op("fsub", rounded, rounder)
    r = v.fma(n, -numbers.ln2_lo, v.fma(n, -numbers.ln2_hi, x))
    return v.iop("shl", v.to_bits(rounded), f.mantissa), r


def scaled_exp(v: Lanes, scale: Value, r: Value) -> Value:
    """scale * e^r = scale + scale r (1 + r P(r)), for a power of two."""
    series = v.fma(v.polynomial(r, v.format.numbers.exp), r, 1.0)
    return v.fma(v.op("fmul", scale, r), series, scale)


def exp(v: Lanes, x: Value) -> Value:
    """2^n e^r, as (2^(n-m) e^r) 2^m with m = +-(bias + 1) / 2: only the last product leaves the normal range."""
    f = v.format
    x = exp_ceiling(v, exp_floor(v, x))
    half = 2.0 ** ((f.bias + 1) // 2)
    outer = v.where("olt", x, 0.0, 1 / half, half)
    bits, r = reduce_exponent(v, x, f.bias)
    inner = v.from_bits(v.iop("sub", bits, v.to_bits(outer)))
    return v.op("fmul", scaled_exp(v, inner, r), outer)


def exp_ceiling(v: Lanes, x: Value) -> Value:
    """x, or if that is smaller a number whose e^x overflows, with n one above the largest exponent."""
    return v.at_most(x, math.log(2) * (v.format.bias + 1.25))


def exp_floor(v: Lanes, x: Value) -> Value:
    """x, or if that is larger the number below which e^x rounds to zero."""
    return v.at_least(x, -math.log(2) * (v.format.bias + v.format.mantissa + 1))


def expm1_floor(v: Lanes, x: Value) -> Value:
    """x, or if that is larger the number below which e^x is lost beside 1."""
    return v.at_least(x, -math.log(2) * (v.format.mantissa + 4))


def expm1(v: Lanes, x: Value) -> Value:
    """2^n q + (2^n - 1) with q = expm1(r), halved until the end because 2^n may overflow where the result does not."""
    bits, r = reduce_exponent(v, exp_ceiling(v, expm1_floor(v, x)), -1)
    scale = v.from_bits(bits)
    halved = v.fma(scale, v.tail(r, v.format.numbers.exp, r), v.op("fsub", scale, 0.5))
    return v.where("olt", v.absolute(x), v.format.tiny, x, v.op("fadd", halved, halved))


def tanh(v: Lanes, x: Value) -> Value:
    """(1 - e^y) / (1 + e^y) with y = -2|x|: numerator and denominator each keep all their digits."""
    y = expm1_floor(v, v.op("fmul", v.absolute(x), -2.0))
    bits, r = reduce_exponent(v, y, 0)
    scale, q = v.from_bits(bits), v.tail(r, v.format.numbers.exp, r)
    above = v.fma(scale, q, v.op("fsub", scale, 1.0))
    below = v.fma(scale, q, v.op("fadd", scale, 1.0))
    return v.w.intrinsic(f"copysign.{mangle(v.type)}", v.type, v.op("fdiv", above, below), x)


def sigmoid(v: Lanes, x: Value) -> Value:
    """a (1 - y) with t = e^-|x|, y = t / (1 + t) and a = t for x < 0, else 1.

    Nothing overflows, and the rounding of 1 + t counts only in proportion to t: t / (1 + t) alone was off by 2.4 ulp.
    """
    f = v.format
    y = exp_floor(v, v.op("fmul", v.absolute(x), -1.0))
    half = (f.bias + 1) // 2
    bits, r = reduce_exponent(v, y, half)
    t = v.op("fmul", scaled_exp(v, v.from_bits(bits), r), 2.0**-half)
    a = v.where("olt", x, 0.0, t, 1.0)
    return v.fma(v.op("fmul", a, -1.0), v.op("fdiv", t, v.op("fadd", t, 1.0)), a)


def split_exponent(v: Lanes, x: Value) -> tuple[Value, Value]:
    """x = 2^k m with m in [sqrt(1/2), sqrt(2))  ->  the bits of 2^k, and how far the bits of m are above sqrt(1/2)'s.

    The shift by 1 - sqrt(1/2), made on bit patterns, moves the cut from powers of two to sqrt(1/2) times them.
    """
    f = v.format
    moved = v.iop("add", v.to_bits(x), f.bits(1.0) - f.bits(math.sqrt(0.5)))
    low = v.iop("and", moved, (1 << f.mantissa) - 1)
    return v.iop("sub", moved, low), low


def to_number(v: Lanes, power: Value, origin: Value | float) -> Value:
    """The bits of 2^k  ->  k + bias + 2^mantissa - origin.

    An integer put into the mantissa of 2^mantissa is added to it: AVX2 has no conversion from 64-bit integers.
    """
    f = v.format
    exponent = v.iop("lshr", power, f.mantissa)
    return v.op("fsub", v.from_bits(v.iop("or", exponent, f.bits(2.0**f.mantissa))), origin)


def scaled_log(v: Lanes, k: Value, f: Value) -> Value:
    """k ln2 + log1p(f). The outer sum is exact for k = +-1, where it cancels."""
    numbers = v.format.numbers
    low = v.tail(f, numbers.log, v.op("fmul", k, numbers.ln2_lo))
    return v.fma(k, numbers.ln2_hi, v.op("fadd", f, low))


def outside_domain(v: Lanes, x: Value, pole: float, y: Value) -> Value:
    """y for pole < x < inf; -inf at the pole, NaN below it; x itself for inf and NaN."""
    y = v.where("olt", x, math.inf, y, x)
    y = v.where("oeq", x, pole, -math.inf, y)
    return v.where("olt", x, pole, math.nan, y)


def log(v: Lanes, x: Value) -> Value:
    """k ln2 + log1p(m - 1) with x = 2^k m; a subnormal x is scaled up first."""
    f = v.format
    origin, up = 2.0**f.mantissa + f.bias, f.mantissa + 1
    subnormal = v.w.compare("fcmp olt", x, v.number(2.0 ** (1 - f.bias)))
    normal = v.w.select(subnormal, v.op("fmul", x, 2.0**up), x)
    power, low = split_exponent(v, normal)
    k = to_number(v, power, v.w.select(subnormal, v.number(origin + up), v.number(origin)))
    m = v.from_bits(v.iop("add", low, f.bits(math.sqrt(0.5))))
    return outside_domain(v, x, 0.0, scaled_log(v, k, v.op("fsub", m, 1.0)))


def log1p(v: Lanes, x: Value) -> Value:
    """k ln2 + log1p(f) with 1 + x = 2^k (1 + f) and f = x 2^-k + (2^-k - 1), rounded once.

    k is read off the rounded 1 + x. 2^-k may be subnormal, so 4 * 2^-k is made, and x divided by 4.
    """
    f = v.format
    power, _ = split_exponent(v, v.op("fadd", x, 1.0))
    k = to_number(v, power, 2.0**f.mantissa + f.bias)
    scale = v.from_bits(v.iop("sub", (2 * f.bias + 2) << f.mantissa, power))
    reduced = v.fma(v.op("fmul", x, 0.25), scale, v.fma(scale, 0.25, -1.0))
    y = v.where("olt", v.absolute(x), f.tiny, x, scaled_log(v, k, reduced))
    return outside_domain(v, x, -1.0, y)


FUNCTIONS: dict[str, Callable[[Lanes, Value], Value]] = {
    "exp": exp,
    "log": log,
    "log1p": log1p,
    "expm1": expm1,
    "tanh": tanh,
    "sigmoid": sigmoid,
}

"""exp, log, log1p, expm1, tanh and sigmoid, from two polynomials.

    %y = exp(%x)  ->  about 18 instructions: reduce, polynomial, scale; no call, no branch, no table

Argument reductions (Cody and Waite 1980; Tang 1989):

- e^x = 2^n e^r, n = round(x log2 e), r = x - n ln2. Adding 1.5 * 2^mantissa rounds to an integer on
  every instruction set, and leaves n in the low bits, from where a shift makes the exponent. A result may need an
  exponent outside the normal range, so it is scaled in two steps.
- log x = k ln2 + log1p(f), 1 + f = x / 2^k in [sqrt(1/2), sqrt(2)).

Both kernels are r + r^2 P(r) with P from `coefficients.py`. All other functions of this file are written in terms of
these, so that no digits cancel.
"""

from __future__ import annotations

import math

from graphnn.emit.lanes import Lanes
from graphnn.emit.writer import Value


def reduce_exponent(v: Lanes, x: Value, shift: int, rest: Value | None = None) -> tuple[Value, Value]:
    """e^x = 2^n e^r  ->  the bits of 2^(n + shift), modulo the width, and r in [-ln2/2, ln2/2].

    `rest` are digits of x beyond its last one.
    """
    numbers = v.format.numbers
    bits, n = nearest_power(v, x, numbers.log2e, shift)
    r = v.fma(n, -numbers.ln2_hi, x)
    r = v.fma(n, -numbers.ln2_lo, r) if rest is None else v.op("fadd", r, v.fma(n, -numbers.ln2_lo, rest))
    return bits, r


def reduce_early(v: Lanes, x: Value, shift: int) -> tuple[Value, Value, Value]:
    """e^x = 2^n e^(r + d), d = -n ln2_lo  ->  the bits as in `reduce_exponent`, r, and h = r + d (1 + r).

    e^(r + d) - 1 = h + r^2 P(r) + d r^2/2 + ...: the polynomial does not wait for d. What is left out is below 2^-25 in
    float32. In float64, where |n| is up to 1075, it would be several ulp: there d is 0 and r complete.
    """
    numbers = v.format.numbers
    if v.format.mantissa > 23:
        bits, r = reduce_exponent(v, x, shift)
        return bits, r, r
    bits, n = nearest_power(v, x, numbers.log2e, shift)
    r = v.fma(n, -numbers.ln2_hi, x)
    return bits, r, v.fma(n, v.fma(r, -numbers.ln2_lo, -numbers.ln2_lo), r)


def reduce_square(v: Lanes, x: Value, shift: int) -> tuple[Value, Value]:
    """e^(-x^2) = 2^n e^r, where x^2 is not rounded before n ln2 is taken from it."""
    numbers = v.format.numbers
    bits, n = nearest_power(v, x, v.op("fmul", x, -numbers.log2e), shift)
    r = v.fma(v.op("fmul", x, -1.0), x, v.op("fmul", n, -numbers.ln2_hi_exact))
    return bits, v.fma(n, -numbers.ln2_lo_exact, r)


def nearest_power(v: Lanes, a: Value, b: Value | float, shift: int) -> tuple[Value, Value]:
    """The bits of 2^(n + shift), modulo the width, and n, the integer nearest to a*b."""
    f = v.format
    rounder = f.rounder + f.bias + shift
    rounded = v.fma(a, b, rounder)
    return v.iop("shl", v.to_bits(rounded), f.mantissa), v.op("fsub", rounded, rounder)


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
    scale, q = v.from_bits(bits), v.paired_tail(r, v.format.numbers.exp, r)
    above = v.fma(scale, q, v.op("fsub", scale, 1.0))
    below = v.fma(scale, q, v.op("fadd", scale, 1.0))
    return v.copysign(v.op("fdiv", above, below), x)


def sigmoid(v: Lanes, x: Value) -> Value:
    """a (1 - y) with t = e^-|x|, y = t / (1 + t) and a = t for x < 0, else 1.

    Nothing overflows, and the rounding of 1 + t counts only in proportion to t: t / (1 + t) alone was off by 2.4 ulp.
    1 + t does not wait for t.
    """
    f = v.format
    y = exp_floor(v, v.op("fmul", v.absolute(x), -1.0))
    half = (f.bias + 1) // 2
    bits, r, head = reduce_early(v, y, half)
    scale = v.op("fmul", v.from_bits(bits), 2.0**-half)  # 2^n may be subnormal
    q = v.paired_tail(r, f.numbers.exp, head)
    t = v.fma(scale, q, scale)
    a = v.where("olt", x, 0.0, t, 1.0)
    return v.fma(v.op("fmul", a, -1.0), v.op("fdiv", t, v.fma(scale, q, v.op("fadd", scale, 1.0))), a)


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


def exponent_and_mantissa(v: Lanes, x: Value) -> tuple[Value, Value]:
    """x = 2^k m  ->  k, and m in [sqrt(1/2), sqrt(2)), for finite x > 0; a subnormal x is scaled up first."""
    f = v.format
    origin, up = 2.0**f.mantissa + f.bias, f.mantissa + 1
    subnormal = v.w.compare("fcmp olt", x, v.number(2.0 ** (1 - f.bias)))
    normal = v.w.select(subnormal, v.op("fmul", x, 2.0**up), x)
    power, low = split_exponent(v, normal)
    k = to_number(v, power, v.w.select(subnormal, v.number(origin + up), v.number(origin)))
    return k, v.from_bits(v.iop("add", low, f.bits(math.sqrt(0.5))))


def log(v: Lanes, x: Value) -> Value:
    """k ln2 + log1p(m - 1) with x = 2^k m."""
    k, m = exponent_and_mantissa(v, x)
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

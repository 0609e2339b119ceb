"""erf and erfc: a polynomial near zero, and e^(-x^2) times another function beyond.

    erf(x) = x + x P(x^2)                                               |x| < ERF_END
    erfc(x) = e^(-x^2) erfcx(x)                                         x >= 0
    erfcx(x) = (l + P((x - c)/(x + c))) / (1 + 2x)

The last form (Shepherd and Laframboise 1981) has one polynomial for all x >= 0, whose values stay between 1 and 1.3.
Where registers are tables, float32 has 32 short polynomials for erfcx instead, and no division: a lane picks its
coefficients by the leading bits of x + 1.

x^2 is not rounded, and digits that a rounding of the polynomial or of the quotient would lose are carried along to the
last operation, so that erfc is accurate relative to its value down to where it underflows.
"""

from __future__ import annotations

import math

from graphnn.emit.coefficients import ERF_END, ERFC_CENTRE, ERFC_LEAD, OCTAVE_BITS
from graphnn.emit.exponential import reduce_square
from graphnn.emit.lanes import Lanes
from graphnn.emit.writer import Value

ERF_SMALL = 0.5  # below, 1 - erf loses no digits


def erf(v: Lanes, x: Value) -> Value:
    """x + x P(x^2) near zero, else 1 - erfc(|x|) with the sign of x."""
    size = v.absolute(x)
    far = v.copysign(v.op("fsub", 1.0, erfc_of_positive(v, size)), x)
    return v.where("olt", size, ERF_END, erf_near_zero(v, x), far)


def erfc(v: Lanes, x: Value) -> Value:
    """That of |x|, or 2 less it; with the quotient 1 - erf(x) near zero."""
    size = v.absolute(x)
    y = erfc_of_positive(v, size)
    far = v.where("olt", x, 0.0, v.op("fsub", 2.0, y), y)
    if has_pieces(v):
        return far
    return v.where("olt", size, ERF_SMALL, v.op("fsub", 1.0, erf_near_zero(v, x)), far)


def erf_near_zero(v: Lanes, x: Value) -> Value:
    """x + x P(x^2)."""
    return v.fma(x, v.polynomial(v.op("fmul", x, x), v.format.numbers.erf), x)


def erfc_of_positive(v: Lanes, x: Value) -> Value:
    """2^n (1 + s) y with e^(-x^2) = 2^n (1 + s) and y = erfcx(x), which is a sum of two numbers."""
    f, numbers = v.format, v.format.numbers
    x = v.at_most(x, math.sqrt(math.log(2) * (f.bias + f.mantissa + 1)))  # there, e^(-x^2) is zero
    half = (f.bias + 1) // 2
    bits, r = reduce_square(v, x, half)
    s = v.tail(r, numbers.exp, r)
    high, low = pieces(v, x) if has_pieces(v) else quotient(v, x)
    y = v.op("fadd", high, v.fma(high, s, v.fma(low, s, low)))
    return v.op("fmul", v.op("fmul", v.from_bits(bits), y), 2.0**-half)


def has_pieces(v: Lanes) -> bool:
    """Whether erfcx comes from a table in registers."""
    return v.w.module.register_tables and bool(v.format.numbers.erfcx)


def pieces(v: Lanes, x: Value) -> tuple[Value, Value]:
    """erfcx as erfcx(c) and what it is above that, for 0 <= x < 15; c is one of 32 by the leading bits of x + 1."""
    centres, leads, *coefficients = v.format.numbers.erfcx
    k = v.iop("lshr", v.to_bits(v.op("fadd", x, 1.0)), v.format.mantissa - OCTAVE_BITS)
    t = v.op("fsub", x, v.pick("erfcx_centre", centres, k))
    *others, slope = (v.pick(f"erfcx_{n}", table, k) for n, table in enumerate(coefficients))
    for coefficient in reversed(others):
        slope = v.fma(slope, t, coefficient)
    return v.pick("erfcx_lead", leads, k), v.op("fmul", slope, t)


def quotient(v: Lanes, x: Value) -> tuple[Value, Value]:
    """(l + P((x - c)/(x + c))) / (1 + 2x), rounded, and what the roundings left over, for x >= 1/2."""
    q = v.op("fdiv", v.op("fsub", x, ERFC_CENTRE), v.op("fadd", x, ERFC_CENTRE))
    above, above_rest = v.ordered_sum(v.number(ERFC_LEAD), v.polynomial(q, v.format.numbers.erfc))
    below, below_rest = v.ordered_sum(v.op("fadd", x, x), 1.0)
    divisor = v.op("fdiv", 1.0, below)
    y = v.op("fmul", above, divisor)
    less = v.op("fmul", y, -1.0)
    rest = v.fma(less, below_rest, v.op("fadd", v.fma(less, below, above), above_rest))
    return y, v.op("fmul", rest, divisor)

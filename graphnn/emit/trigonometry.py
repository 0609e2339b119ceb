"""sin and cos of any finite number, reduced to within an eighth of a turn without an error that grows with it.

    x/(2 pi) = whole turns + q/4 + s,   |s| <= 1/8    ->    sin(x) = sin, cos, -sin or -cos of 2 pi s, by q

The whole turns are dropped product by product: x times the leading bits of 1/(2 pi) is exact, so its whole part can be
taken away exactly (Payne and Hanek 1983). A sum of what is left keeps its digits however much of it cancels, because
the quarter turns go first and the largest terms next: a sum of two multiples of one unit that comes out small is exact.

A float32 is multiplied, in double, by all seven pieces of 1/(2 pi). A double takes four windows of 48 bits from a
table, beginning where the products begin to be fractions: bits before them make whole turns only.
"""

from __future__ import annotations

import math
from functools import reduce

from graphnn.emit.coefficients import DOUBLE, FLOAT, STRIDE, WINDOW
from graphnn.emit.lanes import Lanes
from graphnn.emit.writer import Value, lanes_of, mangle, vector_type

TURN = 2 * math.pi
TURN_REST = 2.4492935982947064e-16  # 2 pi - TURN
STRIDE_BITS = STRIDE.bit_length() - 1


def sin(v: Lanes, x: Value) -> Value:
    """Of x and of its quarter turns q: the sine, or for odd q the cosine, of the rest; negative where q & 2."""
    quarter, rest = reduce_angle(v, x)
    y = circle(v, quarter, rest)
    return v.where("olt", v.absolute(x), v.format.tiny, x, finite_only(v, x, y))


def cos(v: Lanes, x: Value) -> Value:
    """cos(x) = sin(x + a quarter turn)."""
    quarter, rest = reduce_angle(v, x)
    return finite_only(v, x, circle(v, v.iop("add", quarter, 1), rest))


def finite_only(v: Lanes, x: Value, y: Value) -> Value:
    """y, and NaN for infinities and NaN."""
    return v.where("olt", v.absolute(x), math.inf, y, math.nan)


def circle(v: Lanes, quarter: Value, r: Value) -> Value:
    """sin(r + quarter turns), |r| <= pi/4."""
    numbers, square = v.format.numbers, v.op("fmul", r, r)
    sine = v.fma(v.op("fmul", square, r), v.polynomial(square, numbers.sin), r)
    cosine = v.tail(square, numbers.cos, v.fma(square, -0.5, 1.0))
    odd = v.w.compare("icmp ne", v.iop("and", quarter, 1), v.integer(0))
    sign = v.iop("shl", v.iop("and", quarter, 2), int(v.format.integer[1:]) - 2)
    return v.from_bits(v.iop("xor", v.to_bits(v.w.select(odd, cosine, sine)), sign))


def reduce_angle(v: Lanes, x: Value) -> tuple[Value, Value]:
    """x  ->  the number of quarter turns, in the low bits of an integer, and the rest in [-pi/4, pi/4]."""
    if v.format.integer == "i64":
        quarters, rest = turns_of_double(v, x)
    else:
        wide = Lanes(v.w, vector_type("double", lanes_of(x.type)))
        quarters, rest = (v.w.convert("fptrunc", y, x.type) for y in turns_of_float(wide, x))
    return v.to_bits(v.op("fadd", quarters, v.format.rounder)), rest


def turns_of_float(v: Lanes, x: Value) -> tuple[Value, Value]:
    """Quarter turns and the rest, in double, of a float32."""
    wide = v.w.convert("fpext", x, v.type)
    parts = [v.fraction(v.op("fmul", wide, piece)) for piece in FLOAT.turn]
    quarters = v.round(v.op("fmul", reduce(lambda a, b: v.op("fadd", a, b), parts), 4.0))
    rest = v.fma(quarters, -0.25, parts[0])
    for part in parts[1:]:
        rest = v.op("fadd", rest, part)
    return quarters, v.op("fmul", rest, TURN)


def turns_of_double(v: Lanes, x: Value) -> tuple[Value, Value]:
    """Quarter turns and the rest of a double: x/(2 pi) is the sum of four products, each exact as two doubles."""
    f, bits = v.format, v.to_bits(x)
    exponent = v.iop("and", v.iop("lshr", bits, f.mantissa), 2 * f.bias + 1)
    above = v.iop("sub", exponent, f.bias + f.mantissa)  # the exponent of the last digit
    start = v.iop("lshr", v.w.intrinsic(f"smax.{mangle(v.integers)}", v.integers, above, v.integer(0)), STRIDE_BITS)
    scaled = v.from_bits(v.iop("sub", bits, v.iop("shl", start, f.mantissa + STRIDE_BITS)))
    windows = [v.look_up("turn", DOUBLE.turn, v.iop("add", start, WINDOW // STRIDE * k)) for k in range(4)]
    (p0, e0), (p1, e1), (p2, e2), (p3, _) = (
        v.product(v.op("fmul", scaled, 2.0 ** (-WINDOW * k)), window) for k, window in enumerate(windows)
    )
    parts = [v.fraction(part) for part in (p0, e0, p1)]
    quarters = v.round(v.op("fmul", reduce(lambda a, b: v.op("fadd", a, b), parts), 4.0))
    rest = v.fma(quarters, -0.25, parts[0])
    below = v.op("fadd", p3, e2)
    for part in (*parts[1:], p2, e1):
        rest, lost = v.sum(rest, part)
        below = v.op("fadd", below, lost)
    return quarters, v.fma(rest, TURN, v.fma(rest, TURN_REST, v.op("fmul", below, TURN)))

"""x**y as NumPy and C99 have it: e^(y log x), with as many digits of the logarithm as the exponential needs.

    a small whole or half-whole constant y      a product, with a square root
    float32                                     exp(y*log|x|) in double
    float64                                     log|x| and its product with y as sums of two doubles

log m = 2 atanh(s) with s = (m - 1)/(m + 1), x = 2^k m. In atanh(s) = s (1 + s^2/3 + s^4 P(s^2)) only the last term is
small enough, against the first, for a double to hold all the digits that count: an error of y*log(x) is one of the
result relative to itself, and y*log(x) may be 745.
"""

from __future__ import annotations

import math

from graphnn.emit.exponential import (
    exp,
    exp_ceiling,
    exp_floor,
    exponent_and_mantissa,
    log,
    reduce_exponent,
    scaled_exp,
)
from graphnn.emit.lanes import Lanes
from graphnn.emit.writer import Value, Writer, lanes_of, vector_type

LONGEST_CHAIN = 16  # |n| up to which x**n is a product; its error grows as n/2 ulp
THIRD_REST = 1 / 3 / 2**54  # 1/3 less its double: the bits of a third repeat


def power(w: Writer, x: Value, y: Value, exponent: float | None) -> Value:
    """x**y. `exponent` is y where that is a constant."""
    if exponent is not None and abs(exponent) <= LONGEST_CHAIN and (2 * exponent).is_integer():
        return of_small_constant(Lanes(w, x.type), x, exponent)
    v = Lanes(w, vector_type("double", lanes_of(x.type)))
    if v.type == x.type:
        return with_sign(v, x, y, exp_of_product(v, v.absolute(x), y))
    base, to = (w.convert("fpext", a, v.type) for a in (x, y))
    grown = exp(v, v.op("fmul", to, log(v, v.absolute(base))))
    return w.convert("fptrunc", with_sign(v, base, to, grown), x.type)


def of_small_constant(v: Lanes, x: Value, exponent: float) -> Value:
    """x**2.5 -> x*x*sqrt(x)."""
    whole, half = divmod(abs(exponent), 1)
    result = chain(v, x, int(whole))
    if half:
        root = v.square_root(x)
        result = root if whole == 0 else v.op("fmul", result, root)
    return result if exponent >= 0 else v.op("fdiv", 1.0, result)


def chain(v: Lanes, x: Value, n: int) -> Value:
    """x**n by repeated squaring, n >= 0."""
    result: Value | None = None
    while n:
        if n & 1:
            result = x if result is None else v.op("fmul", result, x)
        n >>= 1
        if n:
            x = v.op("fmul", x, x)
    return v.number(1.0) if result is None else result


def exp_of_product(v: Lanes, x: Value, y: Value) -> Value:
    """e^(y log x) for x >= 0."""
    f = v.format
    high, low = long_log(v, x)
    whole, rest = v.product(high, y)
    rest = v.fma(low, y, rest)
    rest = v.where("olt", v.absolute(whole), 2.0 * f.bias, rest, 0.0)  # beyond, e^whole is 0 or inf by itself
    whole = exp_ceiling(v, exp_floor(v, whole))
    half = 2.0 ** ((f.bias + 1) // 2)
    outer = v.where("olt", whole, 0.0, 1 / half, half)
    bits, r = reduce_exponent(v, whole, f.bias, rest)
    inner = v.from_bits(v.iop("sub", bits, v.to_bits(outer)))
    return v.op("fmul", scaled_exp(v, inner, r), outer)


def long_log(v: Lanes, x: Value) -> tuple[Value, Value]:
    """log x for x >= 0, rounded, and what the rounding left over."""
    numbers = v.format.numbers
    k, m = exponent_and_mantissa(v, x)
    above, below = v.op("fsub", m, 1.0), v.op("fadd", m, 1.0)
    lost = v.op("fsub", m, v.op("fsub", below, 1.0))
    s = v.op("fdiv", above, below)
    s_rest = v.op("fdiv", v.fma(v.op("fmul", s, -1.0), lost, v.fma(v.op("fmul", s, -1.0), below, above)), below)
    z, z_rest = v.product(s, s)
    z_rest = v.fma(v.op("fadd", s, s), s_rest, z_rest)
    w, w_rest = v.product(z, 1 / 3)
    w_rest = v.op("fadd", w_rest, v.fma(z, THIRD_REST, v.op("fmul", z_rest, 1 / 3)))
    w_rest = v.tail(z, numbers.atanh, w_rest)  # atanh(s)/s = 1 + w + w_rest
    twice, twice_rest = v.op("fadd", s, s), v.op("fadd", s_rest, s_rest)
    t, t_rest = v.product(twice, w)
    t_rest = v.op("fadd", v.fma(twice, w_rest, t_rest), v.fma(twice_rest, w, twice_rest))
    part, part_rest = v.ordered_sum(twice, t)
    scaled, scaled_rest = v.product(k, numbers.ln2_hi)
    high, lost = v.sum(scaled, part)
    rest = v.op("fadd", v.op("fadd", part_rest, t_rest), v.fma(k, numbers.ln2_lo, scaled_rest))
    high, low = v.ordered_sum(high, v.op("fadd", lost, rest))
    ends = v.where("oeq", x, 0.0, -math.inf, v.where("olt", x, math.inf, high, x))
    return ends, v.where("oeq", high, ends, low, 0.0)


def with_sign(v: Lanes, x: Value, y: Value, grown: Value) -> Value:
    """x**y, given |x|**y."""
    w = v.w
    whole, half = v.truncate(y), v.op("fmul", y, 0.5)
    odd = w.binary("and", v.holds("oeq", whole, y), v.holds("une", v.truncate(half), half))
    signed = w.select(odd, v.copysign(grown, x), grown)
    # A negative base has no real power of a broken exponent, except that -inf counts as inf there.
    size = v.absolute(x)
    undefined = w.binary("and", v.holds("olt", x, 0.0), v.holds("olt", size, math.inf))
    undefined = w.binary("and", undefined, v.holds("one", whole, y))
    real = w.select(undefined, v.number(math.nan), signed)
    # 1**y and x**0 are 1 whatever the other is; (-1)**inf too.
    endless = w.binary("and", v.holds("oeq", size, 1.0), v.holds("oeq", v.absolute(y), math.inf))
    unit = w.binary("or", v.holds("oeq", x, 1.0), v.holds("oeq", y, 0.0))
    return w.select(w.binary("or", unit, endless), v.number(1.0), real)

"""Tables of numbers: bits of 1/(2 pi), and polynomials of a function piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import mpmath
from mpmath import mpf

from graphnn.emit.remez import DIGITS, Kernel, Rounding, fit, to_float

Table = tuple[tuple[float, ...], ...]
LEADING_ZEROS, PIECE, PIECES = 2, 29, 7  # 2^128 times what they leave of 1/(2 pi) is 2^-77
STRIDE, WINDOW, WINDOWS = 16, 48, 70
OCTAVE_BITS, ERFCX_PIECES = 3, 32  # as many as two AVX-512 registers hold
ERFCX_DEGREE = 5  # with 4, float32 erfc is off by 3.1 ulp
CANDIDATES = 64  # centres to choose from: the best leaves some 1/64 of a rounding


def turn(element: str) -> tuple[float, ...]:
    """Bits of 1/(2 pi), from which an angle of any size is reduced (Payne and Hanek 1983).

    float: PIECES numbers of PIECE bits, whose sum it is; a product with a float32 is exact in a double.
    double: from every STRIDE-th bit on the next WINDOW bits, as a fraction.
    """
    with mpmath.workdps(DIGITS * 6):
        inverse = 1 / (2 * mpmath.pi)
        if element == "float":
            ends = [LEADING_ZEROS + PIECE * (n + 1) for n in range(PIECES)]
            return tuple(float(mpmath.ldexp(int(mpmath.ldexp(inverse, end)) % 2**PIECE, -end)) for end in ends)
        ends = [STRIDE * n + WINDOW for n in range(WINDOWS)]
        return tuple(float(mpmath.ldexp(int(mpmath.ldexp(inverse, end)) % 2**WINDOW, -WINDOW)) for end in ends)


def erfcx(x: mpf) -> mpf:
    """e^(x^2) erfc(x)."""
    return mpmath.exp(x * x) * mpmath.erfc(x)


def accurate_centre(function: Callable[[mpf], mpf], lo: mpf, hi: mpf, rounding: Rounding) -> float:
    """The c near the middle at which a function is closest to a number of the format.

    Gal and Bachelis, ACM Transactions on Mathematical Software 17 (1991).
    """
    step, half = (hi - lo) / 16 / CANDIDATES, CANDIDATES // 2
    centres = [rounding((lo + hi) / 2 + step * k) for k in range(-half, half)]
    return min(centres, key=lambda c: abs(rounding(function(mpf(c))) / function(mpf(c)) - 1))


def fit_erfcx() -> Table:
    """erfcx on [0, 10.3], where float32 erfc ends: centres c, then the coefficients of P(x - c), lowest first.

    Each is a table with a number a piece. Piece k is where the exponent of x + 1 and OCTAVE_BITS of its mantissa are k,
    modulo their number. The first has the centre 0, so that erfcx(0) is 1.
    """
    rows = [(0.0,) * (ERFCX_DEGREE + 2)] * ERFCX_PIECES
    with mpmath.workdps(DIGITS):
        last, count = mpmath.sqrt(mpmath.ln2 * (127 + 24)), 1 << OCTAVE_BITS
        for octave, step in product(range(ERFCX_PIECES // count), range(count)):
            lo, hi = (mpf(2) ** octave * (1 + mpf(step + k) / count) - 1 for k in (0, 1))
            if lo < last:
                rows[((127 + octave) * count + step) % ERFCX_PIECES] = fit_piece(erfcx, lo, hi)
    return tuple(zip(*rows, strict=True))


def fit_piece(function: Callable[[mpf], mpf], lo: mpf, hi: mpf) -> tuple[float, ...]:
    """A centre c, then the coefficients of the P(x - c) with the least relative error on [lo, hi]."""
    centre = accurate_centre(function, lo, hi, to_float) if lo > 0 else 0.0
    lead = to_float(function(mpf(centre)))
    first = mpf(2) ** -20 if centre == lo else lo - centre
    kernel = Kernel(lambda t: function(t + centre), first, hi - centre, lambda _: mpf(lead), 1)
    return (centre, lead, *fit(kernel, ERFCX_DEGREE - 1, to_float))

"""Where the numbers of `coefficients.py` come from: a Remez exchange in mpmath. Run it to print that file.

    python -m graphnn.emit.minimax > graphnn/emit/coefficients.py

Each kernel is approximated as g(x) = lead(x) + x^power P(x^step), where the lead keeps the digits of a small x: for
expm1, log1p, sin and erf it is x itself. P minimises the largest relative error of g.
`remez.py` makes P; tables of numbers are made in `tables.py`.
"""

from __future__ import annotations

import mpmath
from mpmath import mpf

from graphnn.emit.remez import DIGITS, Kernel, Rounding, fit, relative_error, to_double, to_float
from graphnn.emit.tables import OCTAVE_BITS, STRIDE, WINDOW, erfcx, fit_erfcx, turn


def scaled_erfc(q: mpf) -> mpf:
    """(1 + 2x) e^(x^2) erfc(x) with q = (x - c)/(x + c): between 1 and 1.3 for x >= 0.

    Shepherd and Laframboise, Mathematics of Computation 36 (1981).
    """
    x = ERFC_CENTRE * (1 + q) / (1 - q)
    return (1 + 2 * x) * erfcx(x)


def kernels() -> dict[str, Kernel]:
    """The functions that everything else is reduced to. The intervals are a little wider than the reduction leaves
    them, because it rounds."""
    with mpmath.workdps(DIGITS):
        half, root, margin = mpmath.ln2 / 2, mpmath.sqrt(2), mpf(1) + mpf(2) ** -12
        eighth, ratio = (mpmath.pi / 4) ** 2 * margin, ((root - 1) / (root + 1)) ** 2 * margin
        tiny, last = mpf(2) ** -20, mpf(ERFC_END - ERFC_CENTRE) / (ERFC_END + ERFC_CENTRE)
        return {
            "exp": Kernel(mpmath.expm1, -half * margin, half * margin),
            "log": Kernel(mpmath.log1p, (1 / root - 1) * margin, (root - 1) * margin),
            "sin": Kernel(mpmath.sin, tiny, eighth, power=3, step=2),
            "cos": Kernel(mpmath.cos, tiny, eighth, lambda x: 1 - x * x / 2, 4, 2),
            "erf": Kernel(mpmath.erf, tiny, mpf(ERF_END) ** 2, power=1, step=2),
            "erfc": Kernel(scaled_erfc, mpf(-1), last, lambda x: mpf(ERFC_LEAD), 0),
            "atanh": Kernel(mpmath.atanh, tiny, ratio, lambda x: x + x**3 / 3, 5, 2),
        }


ERFC_CENTRE = 2.75  # of the map from [0, inf) to [-1, 1]
ERFC_LEAD = 1.25  # the polynomial itself would lose a digit of its first coefficient
ERFC_END = 28  # erfc is zero beyond, in either format
ERF_END = 0.75  # below, erf is a polynomial; above, 1 - erfc loses no digits

# The degrees of P: the lowest with which the emitted functions keep their bounds (docs/vector-math.md).
# fmt: off
DEGREES = {
    ("exp", "float"): 4,   ("log", "float"): 8,    ("sin", "float"): 2,   ("cos", "float"): 2,
    ("erf", "float"): 5,   ("erfc", "float"): 10,
    ("exp", "double"): 9,  ("log", "double"): 19,  ("sin", "double"): 5,  ("cos", "double"): 5,
    ("erf", "double"): 10, ("erfc", "double"): 22, ("atanh", "double"): 7,
}
# fmt: on


def constants(rounding: Rounding) -> dict[str, float]:
    """log2(e), and ln 2 in two parts (Cody and Waite 1980), of which lo is what hi leaves, twice.

    With a fused multiply-add x - n*hi needs no trailing zeros in hi: n*hi is not rounded, and hi is ln 2 rounded.
    x*x - n*hi needs them: n*hi_exact is a number of the format for all n that e^(-x^2) comes to.
    """
    with mpmath.workdps(DIGITS):
        hi = rounding(mpmath.ln2)
        bits = EXACT_BITS[rounding]
        exact = float(mpmath.ldexp(mpmath.floor(mpmath.ldexp(mpmath.ln2, bits)), -bits))
        return {
            "log2e": rounding(1 / mpmath.ln2),
            "ln2_hi": hi,
            "ln2_lo": rounding(mpmath.ln2 - hi),
            "ln2_hi_exact": exact,
            "ln2_lo_exact": rounding(mpmath.ln2 - exact),
        }


EXACT_BITS: dict[Rounding, int] = {to_float: 24 - 8, to_double: 53 - 11}  # n is at most 151 or 1076

PER_LINE = 4  # numbers of a table

HEADER = '''"""The numbers of `vector_math.py`. Written by `python -m graphnn.emit.minimax`, which says how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Polynomials, lowest coefficient first; each is called P here.

    expm1(r) = r + r^2 P(r), log1p(r) = r + r^2 P(r), sin(r) = r + r^3 P(r^2), cos(r) = 1 - r^2/2 + r^4 P(r^2),
    erf(r) = r + r P(r^2), (1 + 2x) e^(x^2) erfc(x) = l + P((x - c)/(x + c)), atanh(r) = r + r^3/3 + r^5 P(r^2).
    `turn` is 1/(2 pi), in pieces or windows. `erfcx` is e^(x^2) erfc(x) in pieces: a table of centres c, then one for
    each coefficient of P(x - c).
    """

    log2e: float
    ln2_hi: float
    ln2_lo: float
    ln2_hi_exact: float
    ln2_lo_exact: float
    exp: tuple[float, ...]
    log: tuple[float, ...]
    sin: tuple[float, ...]
    cos: tuple[float, ...]
    erf: tuple[float, ...]
    erfc: tuple[float, ...]
    turn: tuple[float, ...]
    atanh: tuple[float, ...] = ()
    erfcx: tuple[tuple[float, ...], ...] = ()


ERF_END = {erf_end}  # the end of the interval of erf
ERFC_CENTRE, ERFC_LEAD = {erfc_centre}, {erfc_lead}  # c and l
OCTAVE_BITS = {octave_bits}  # bits of the mantissa of x + 1 that tell a piece of erfcx
STRIDE, WINDOW = {stride}, {window}  # of the windows: how far apart they begin, how long they are, in bits
'''


def main() -> None:
    """Print `coefficients.py`."""
    numbers = {"erf_end": ERF_END, "erfc_centre": ERFC_CENTRE, "erfc_lead": ERFC_LEAD, "octave_bits": OCTAVE_BITS}
    print(HEADER.format(**numbers, stride=STRIDE, window=WINDOW))
    print("\n# fmt: off\nERFCX = (")
    for table in fit_erfcx():
        lines = (", ".join(map(repr, table[at : at + PER_LINE])) for at in range(0, len(table), PER_LINE))
        print("    (" + ",\n     ".join(lines) + "),")
    print(")\n# fmt: on")
    for element, rounding in (("float", to_float), ("double", to_double)):
        print(f"\n{element.upper()} = Coefficients(")
        for name, value in constants(rounding).items():
            print(f"    {name}={value!r},")
        for name, kernel in kernels().items():
            if (name, element) not in DEGREES:
                continue
            coefficients = fit(kernel, DEGREES[name, element], rounding)
            error = mpmath.log(relative_error(kernel, coefficients), 2)
            print(f"    {name}=(  # relative error 2^{mpmath.nstr(error, 3)}")
            for value in coefficients:
                print(f"        {value!r},")
            print("    ),")
        print("    turn=(")
        for value in turn(element):
            print(f"        {value!r},")
        print("    ),")
        if element == "float":
            print("    erfcx=ERFCX,")
        print(")")


if __name__ == "__main__":
    main()

"""Where the numbers of `coefficients.py` come from: a Remez exchange in mpmath. Run it to print that file.

    python -m graphnn.emit.minimax > graphnn/emit/coefficients.py

Each kernel is approximated as g(x) = lead(x) + x^power P(x^step), where the lead keeps the digits of a small x: for
expm1, log1p, sin and erf it is x itself. P minimises the largest relative error of g.

The exchange is that of Remez (1934) on a fixed grid of points. Rounding follows Brisebarre and Muller's
observation that rounding all coefficients at the end loses digits: the lowest is rounded first, then the others are
fitted again to what it left over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import mpmath
from mpmath import mpf

Rounding = Callable[[mpf], float]
DIGITS = 80
POINTS_PER_COEFFICIENT = 12
ENOUGH = mpf("1.01")  # a largest error this close to the levelled one is minimal enough
NEARLY = 1 + mpf(2) ** -40  # forgives the rounding of the solver, which works with DIGITS digits


def to_float(x: mpf) -> float:
    """The nearest float32, as a Python float."""
    return float(struct.unpack("f", struct.pack("f", float(x)))[0])


def to_double(x: mpf) -> float:
    """The nearest float64."""
    return float(x)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function g = lead(x) + x^power P(x^step), P on [lo, hi] in u = x^step."""

    function: Callable[[mpf], mpf]
    lo: mpf
    hi: mpf
    lead: Callable[[mpf], mpf] = lambda x: x
    power: int = 2
    step: int = 1

    def at(self, u: mpf) -> mpf:
        """The x of a u."""
        return u if self.step == 1 else mpmath.sqrt(u)

    def value(self, u: mpf, coefficients: Sequence[mpf | float]) -> mpf:
        """The approximation, evaluated exactly."""
        x = self.at(u)
        return self.lead(x) + x**self.power * evaluate(coefficients, u)


def scaled_erfc(q: mpf) -> mpf:
    """(1 + 2x) e^(x^2) erfc(x) with q = (x - c)/(x + c): between 1 and 1.3 for x >= 0.

    Shepherd and Laframboise, Mathematics of Computation 36 (1981).
    """
    x = ERFC_CENTRE * (1 + q) / (1 - q)
    return (1 + 2 * x) * mpmath.exp(x * x) * mpmath.erfc(x)


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


def minimax(xs: Sequence[mpf], fs: Sequence[mpf], weights: Sequence[mpf], degree: int) -> list[mpf]:
    """Coefficients, lowest first, of the polynomial that minimises max |weight * (f - polynomial)| over the points."""
    count = degree + 2
    last = len(xs) - 1
    reference = [round(last * (1 - mpmath.cospi(mpf(k) / (count - 1))) / 2) for k in range(count)]
    while True:
        system = mpmath.matrix(count, count)
        for row, at in enumerate(reference):
            for power in range(count - 1):
                system[row, power] = xs[at] ** power
            system[row, count - 1] = (-1) ** row / weights[at]
        solution = list(mpmath.lu_solve(system, mpmath.matrix([fs[at] for at in reference])))
        level, coefficients = abs(solution.pop()), solution
        errors = [w * (f - evaluate(coefficients, x)) for x, f, w in zip(xs, fs, weights, strict=True)]
        sizes = [abs(error) for error in errors]
        if max(sizes) <= level * ENOUGH:
            return coefficients
        # Of the points above the level, the highest of each run of equal sign; the level then rises at every turn.
        above = [at for at in range(len(xs)) if sizes[at] * NEARLY >= level]
        runs = groupby(above, key=lambda at: errors[at] > 0)
        reference = [max(run, key=sizes.__getitem__) for _, run in runs]
        while len(reference) > count:
            reference.pop(0 if sizes[reference[0]] < sizes[reference[-1]] else -1)


def evaluate(coefficients: Sequence[mpf], x: mpf) -> mpf:
    """Horner's rule, lowest coefficient first."""
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def fit(kernel: Kernel, degree: int, rounding: Rounding) -> tuple[float, ...]:
    """The coefficients of P, lowest first, each a number of the format."""
    with mpmath.workdps(DIGITS):
        count = POINTS_PER_COEFFICIENT * (degree + 1) // 2 * 2  # even: 0 is not among the points
        centre, radius = (kernel.lo + kernel.hi) / 2, (kernel.hi - kernel.lo) / 2
        us = [centre - radius * mpmath.cospi(mpf(k) / (count - 1)) for k in range(count)]
        xs = [kernel.at(u) for u in us]
        gs = [kernel.function(x) for x in xs]
        fs = [(g - kernel.lead(x)) / x**kernel.power for g, x in zip(gs, xs, strict=True)]
        weights = [abs(x**kernel.power / g) for g, x in zip(gs, xs, strict=True)]
        rounded: list[float] = []
        for left in range(degree, -1, -1):
            rounded.append(rounding(minimax(us, fs, weights, left)[0]))
            fs = [(f - rounded[-1]) / u for f, u in zip(fs, us, strict=True)]
            weights = [w * abs(u) for w, u in zip(weights, us, strict=True)]
        return tuple(rounded)


def relative_error(kernel: Kernel, coefficients: Sequence[float], points: int = 2000) -> float:
    """The largest relative error of the approximation, evaluated exactly, over evenly spaced points."""
    with mpmath.workdps(DIGITS):
        step = (kernel.hi - kernel.lo) / (2 * points)
        us = [kernel.lo + step * (2 * k + 1) for k in range(points)]
        return float(max(abs(kernel.value(u, coefficients) / kernel.function(kernel.at(u)) - 1) for u in us))


def constants(rounding: Rounding) -> dict[str, float]:
    """log2(e), and ln 2 in two parts (Cody and Waite 1980): hi is ln 2 rounded, lo is what hi leaves.

    With a fused multiply-add x - n*hi needs no trailing zeros in hi: n*hi is not rounded.
    """
    with mpmath.workdps(DIGITS):
        hi = rounding(mpmath.ln2)
        return {"log2e": rounding(1 / mpmath.ln2), "ln2_hi": hi, "ln2_lo": rounding(mpmath.ln2 - hi)}


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


LEADING_ZEROS, PIECE, PIECES = 2, 29, 7  # 2^128 times what they leave of 1/(2 pi) is 2^-77
STRIDE, WINDOW, WINDOWS = 16, 48, 70

HEADER = '''"""The numbers of `vector_math.py`. Written by `python -m graphnn.emit.minimax`, which says how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Polynomials, lowest coefficient first; each is called P here.

    expm1(r) = r + r^2 P(r), log1p(r) = r + r^2 P(r), sin(r) = r + r^3 P(r^2), cos(r) = 1 - r^2/2 + r^4 P(r^2),
    erf(r) = r + r P(r^2), (1 + 2x) e^(x^2) erfc(x) = l + P((x - c)/(x + c)), atanh(r) = r + r^3/3 + r^5 P(r^2).
    `turn` is 1/(2 pi), in pieces or windows.
    """

    log2e: float
    ln2_hi: float
    ln2_lo: float
    exp: tuple[float, ...]
    log: tuple[float, ...]
    sin: tuple[float, ...]
    cos: tuple[float, ...]
    erf: tuple[float, ...]
    erfc: tuple[float, ...]
    turn: tuple[float, ...]
    atanh: tuple[float, ...] = ()


ERF_END = {erf_end}  # the end of the interval of erf
ERFC_CENTRE, ERFC_LEAD = {erfc_centre}, {erfc_lead}  # c and l
STRIDE, WINDOW = {stride}, {window}  # of the windows: how far apart they begin, how long they are, in bits
'''


def main() -> None:
    """Print `coefficients.py`."""
    print(HEADER.format(**{name.lower(): value for name, value in globals().items() if name.isupper()}))
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
        print(")")


if __name__ == "__main__":
    main()

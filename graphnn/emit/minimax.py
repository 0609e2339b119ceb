"""Where the numbers of `coefficients.py` come from: a Remez exchange in mpmath. Run it to print that file.

    python -m graphnn.emit.minimax > graphnn/emit/coefficients.py

Both kernels are approximated as g(r) = r + r^2 P(r), so that a small r keeps all of its digits: expm1 on
[-ln2/2, ln2/2] and log1p on [sqrt(1/2) - 1, sqrt(2) - 1]. P minimises the largest relative error of g.

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
    """A function g with g(0) = 0 and g'(0) = 1 on an interval about 0."""

    function: Callable[[mpf], mpf]
    lo: mpf
    hi: mpf


def kernels() -> dict[str, Kernel]:
    """The two functions that everything else is reduced to. The intervals are a little wider than the reduction
    leaves them, because it rounds."""
    with mpmath.workdps(DIGITS):
        half, root, margin = mpmath.ln2 / 2, mpmath.sqrt(2), mpf(1) + mpf(2) ** -12
        return {
            "exp": Kernel(mpmath.expm1, -half * margin, half * margin),
            "log": Kernel(mpmath.log1p, (1 / root - 1) * margin, (root - 1) * margin),
        }


# The degrees of P: the lowest with which the emitted functions keep their bounds (docs/vector-math.md).
DEGREES = {("exp", "float"): 4, ("log", "float"): 8, ("exp", "double"): 9, ("log", "double"): 19}


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
    """The coefficients of P in g(r) = r + r^2 P(r), lowest first, each a number of the format."""
    with mpmath.workdps(DIGITS):
        count = POINTS_PER_COEFFICIENT * (degree + 1) // 2 * 2  # even: 0 is not among the points
        centre, radius = (kernel.lo + kernel.hi) / 2, (kernel.hi - kernel.lo) / 2
        xs = [centre - radius * mpmath.cospi(mpf(k) / (count - 1)) for k in range(count)]
        gs = [kernel.function(x) for x in xs]
        fs = [(g - x) / x**2 for g, x in zip(gs, xs, strict=True)]
        weights = [abs(x**2 / g) for g, x in zip(gs, xs, strict=True)]
        rounded: list[float] = []
        for left in range(degree, -1, -1):
            rounded.append(rounding(minimax(xs, fs, weights, left)[0]))
            fs = [(f - rounded[-1]) / x for f, x in zip(fs, xs, strict=True)]
            weights = [w * abs(x) for w, x in zip(weights, xs, strict=True)]
        return tuple(rounded)


def relative_error(kernel: Kernel, coefficients: Sequence[float], points: int = 2000) -> float:
    """The largest relative error of r + r^2 P(r), evaluated exactly, over evenly spaced points."""
    with mpmath.workdps(DIGITS):
        step = (kernel.hi - kernel.lo) / (2 * points)
        xs = [kernel.lo + step * (2 * k + 1) for k in range(points)]
        return float(max(abs((x + x**2 * evaluate(coefficients, x)) / kernel.function(x) - 1) for x in xs))


def constants(rounding: Rounding) -> dict[str, float]:
    """log2(e), and ln 2 in two parts (Cody and Waite 1980): hi is ln 2 rounded, lo is what hi leaves.

    With a fused multiply-add x - n*hi needs no trailing zeros in hi: n*hi is not rounded.
    """
    with mpmath.workdps(DIGITS):
        hi = rounding(mpmath.ln2)
        return {"log2e": rounding(1 / mpmath.ln2), "ln2_hi": hi, "ln2_lo": rounding(mpmath.ln2 - hi)}


HEADER = '''"""The numbers of `vector_math.py`. Written by `python -m graphnn.emit.minimax`, which says how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coefficients:
    """expm1(r) = r + r^2 exp(r), log1p(r) = r + r^2 log(r): polynomials, lowest coefficient first."""

    log2e: float
    ln2_hi: float
    ln2_lo: float
    exp: tuple[float, ...]
    log: tuple[float, ...]
'''


def main() -> None:
    """Print `coefficients.py`."""
    print(HEADER)
    for element, rounding in (("float", to_float), ("double", to_double)):
        print(f"\n{element.upper()} = Coefficients(")
        for name, value in constants(rounding).items():
            print(f"    {name}={value!r},")
        for name, kernel in kernels().items():
            coefficients = fit(kernel, DEGREES[name, element], rounding)
            error = mpmath.log(relative_error(kernel, coefficients), 2)
            print(f"    {name}=(  # relative error 2^{mpmath.nstr(error, 3)}")
            for value in coefficients:
                print(f"        {value!r},")
            print("    ),")
        print(")")


if __name__ == "__main__":
    main()

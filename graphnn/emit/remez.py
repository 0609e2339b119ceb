"""Polynomials of least relative error, with coefficients in a format: a Remez exchange in mpmath.

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

"""Numeric derivatives by one element of an array: central and one-sided differences, and the complex step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Sample = tuple[float, float]
Function = Callable[[Array], Any]  # of the whole array to one number, real or complex as the array is

STEPS = tuple(10.0**-n for n in range(1, 13))
# Squire and Trapp, SIAM Review 40 (1998): nothing is subtracted, so the step may be as small as one likes. The error
# is of order step**2, far below an ulp.
COMPLEX_STEP = 1e-20
SMALL_STEP = 1e-4  # steps up to here rarely cross a kink
CURVATURE = 0.1  # how far a smooth function's one-sided slopes may be from differing in proportion to the step
NOISE = 32  # ulps of the function's value that summation may be off by


@dataclass(frozen=True, slots=True)
class Slopes:
    """The slopes of a function at one element: to the left, to the right, and across.

    `noise` is what rounding may have changed in them; `kinked` says that left and right disagree beyond noise and
    curvature, so that every value between them is a derivative in the generalised sense (Clarke).
    """

    left: float
    right: float
    central: float
    noise: float
    kinked: bool

    def distance(self, value: float) -> float:
        """How far `value` is from the central difference, at a kink from the interval of the one-sided ones."""
        if not self.kinked:
            return abs(value - self.central)
        low, high = sorted((self.left, self.right))
        return max(low - value, value - high, 0.0)


def measure_slopes(function: Function, at: Array, index: tuple[int, ...], step: float, kinks: bool) -> Slopes:
    """The slopes of `function` by at[index]. Without kinks, those to the left and right are not told apart.

    The step that counts is the one between the numbers that are really representable. Curvature, too, makes left and
    right differ, but in proportion to the step; a kink between a quarter of the step and the step shows at one of the
    two, one at the point itself at both alike.
    """
    low, high = _ends(function, at, index, step)
    noise = NOISE * float(np.finfo(np.float64).eps) * max(abs(low[1]), abs(high[1])) / step
    central = _slope(low, high)
    if not kinks:
        return Slopes(central, central, central, noise, False)
    middle = float(at[index]), float(function(at))
    left, right = _slope(low, middle), _slope(middle, high)
    near_low, near_high = _ends(function, at, index, step / 4)
    bend, near_bend = right - left, _slope(middle, near_high) - _slope(near_low, middle)
    kinked = abs(bend - 4 * near_bend) > CURVATURE * abs(bend) + 2 * (1 + 4 * 4) * noise
    return Slopes(left, right, central, noise, kinked)


def _ends(function: Function, at: Array, index: tuple[int, ...], step: float) -> tuple[Sample, Sample]:
    """(place, value) at a step below and above at[index]."""
    below, above = float(at[index] - step), float(at[index] + step)
    low, high = (float(function(_replaced(at, index, x))) for x in (below, above))
    return (below, low), (above, high)


def _slope(a: Sample, b: Sample) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def complex_step(function: Function, at: Array, index: tuple[int, ...]) -> float:
    """The derivative of an analytic `function` by at[index], to the last bits: Im f(x + ih) / h."""
    return float(np.imag(function(_replaced(at, index, at[index] + 1j * COMPLEX_STEP)))) / COMPLEX_STEP


def _replaced(array: Array, index: tuple[int, ...], value: complex) -> Array:
    changed = array.astype(type(value)) if isinstance(value, complex | np.complexfloating) else array.copy()
    changed[index] = value
    return changed

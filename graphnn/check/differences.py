"""Numeric derivatives by one element of an array: central and one-sided differences, and the complex step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]  # of the whole array to one number, real or complex as the array is

STEPS = tuple(10.0**-n for n in range(1, 13))
# Squire and Trapp, SIAM Review 40 (1998): nothing is subtracted, so the step may be as small as one likes. The error
# is of order step**2, far below an ulp.
COMPLEX_STEP = 1e-20
SMALL_STEP = 1e-4  # where curvature does not look like a kink any more
JUMP = 1e-3  # the relative difference of one-sided slopes that makes a kink
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

    The step that counts is the one between the numbers that are really representable. Curvature makes left and right
    differ by step * f'', so that only a step of at most SMALL_STEP can tell a kink.
    """
    centre = at[index]
    below, above = centre - step, centre + step
    low, high = (float(function(_replaced(at, index, x))) for x in (below, above))
    noise = NOISE * float(np.finfo(np.float64).eps) * max(abs(low), abs(high)) / step
    left = right = central = (high - low) / float(above - below)
    if kinks:
        middle = float(function(at))
        left, right = (middle - low) / float(centre - below), (high - middle) / float(above - centre)
    kinked = abs(right - left) > JUMP * max(abs(left), abs(right)) + 2 * noise
    return Slopes(left, right, central, noise, kinked)


def complex_step(function: Function, at: Array, index: tuple[int, ...]) -> float:
    """The derivative of an analytic `function` by at[index], to the last bits: Im f(x + ih) / h."""
    return float(np.imag(function(_replaced(at, index, at[index] + 1j * COMPLEX_STEP)))) / COMPLEX_STEP


def _replaced(array: Array, index: tuple[int, ...], value: complex) -> Array:
    changed = array.astype(type(value)) if isinstance(value, complex | np.complexfloating) else array.copy()
    changed[index] = value
    return changed

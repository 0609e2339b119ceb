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
    """The slopes of `function` by at[index], from its values at -step, 0 and +step; `kinks` says whether it has any.

    The step that counts is the one between the numbers that are really representable.
    """
    centre = at[index]
    below, above = centre - step, centre + step
    low, middle, high = (float(function(_replaced(at, index, x))) for x in (below, centre, above))
    left, right = (middle - low) / (centre - below), (high - middle) / (above - centre)
    noise = NOISE * np.finfo(np.float64).eps * max(abs(low), abs(middle), abs(high)) / step
    # Curvature alone makes left and right differ by step * f'', a kink by what does not shrink with the step.
    jump = abs(right - left)
    kinked = kinks and jump > 1e-3 * max(abs(left), abs(right)) + 2 * noise
    return Slopes(left, right, (high - low) / (above - below), float(noise), bool(kinked))


def complex_step(function: Function, at: Array, index: tuple[int, ...]) -> float:
    """The derivative of an analytic `function` by at[index], to the last bits: Im f(x + ih) / h."""
    return float(np.imag(function(_replaced(at, index, at[index] + 1j * COMPLEX_STEP)))) / COMPLEX_STEP


def _replaced(array: Array, index: tuple[int, ...], value: complex) -> Array:
    changed = array.astype(type(value)) if isinstance(value, complex | np.complexfloating) else array.copy()
    changed[index] = value
    return changed

"""erf and erfc of complex numbers near the real line, for derivatives by a complex step.

    erf(z) = 2 z e^(-z^2)/sqrt(pi) * (1 + 2 z^2/3 + (2 z^2)^2/15 + ...)       |Re z| < JOIN
    erfc(z) = e^(-z^2)/sqrt(pi) / (z + 1/2/(z + 1/(z + 3/2/(z + ...))))        Re z >= JOIN

Abramowitz and Stegun 7.1.6 and 7.1.14. Nothing cancels, neither in the real nor in the imaginary part: the derivative
that a complex step finds has all its digits, far out as well.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex128]

JOIN = 2.0
TERMS = 60  # of either, for 16 digits at the join


def complex_erf(z: Any) -> Complex:
    """erf where the imaginary part is small; inf and NaN give NaN."""
    z, sign = _folded(z)
    return np.asarray(sign * np.where(np.real(z) < JOIN, _series(z), 1 - _fraction(z)))


def complex_erfc(z: Any) -> Complex:
    """erfc where the imaginary part is small; inf and NaN give NaN."""
    z, sign = _folded(z)
    far = _fraction(z)
    return np.asarray(np.where(np.real(z) < JOIN, 1 - sign * _series(z), np.where(sign > 0, far, 2 - far)))


def _folded(z: Any) -> tuple[Complex, npt.NDArray[np.float64]]:
    """z or -z, whichever has a positive real part, and the sign."""
    z = np.asarray(z, np.complex128)
    sign = np.where(np.real(z) < 0, -1.0, 1.0)
    return sign * z, sign


def _series(z: Complex) -> Complex:
    z = np.where(np.real(z) < JOIN, z, 0)
    term, total, twice = z, z, 2 * z * z
    for n in range(1, TERMS):
        term = term * twice / (2 * n + 1)
        total = total + term
    return np.asarray(2 / math.sqrt(math.pi) * np.exp(-z * z) * total)


def _fraction(z: Complex) -> Complex:
    z = np.where(np.real(z) < JOIN, JOIN, z)
    below = z
    for n in range(TERMS, 0, -1):
        below = z + n / 2 / below
    return np.asarray(np.exp(-z * z) / (math.sqrt(math.pi) * below))

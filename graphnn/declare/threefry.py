"""Threefry-2x32 with 20 rounds on NumPy integers: what the scalar primitive `threefry` means.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). A key and a counter of two
32-bit words give two words that look random; for one key it is a bijection of the counters. Of each int64 the first
word is the low half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # of the even and the odd groups of four rounds
_PARITY = np.uint64(0x1BD11BDA)
_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def threefry_2x32(key: npt.ArrayLike, counter: npt.ArrayLike) -> npt.NDArray[Any]:
    """The int64 block of each int64 key and counter; the two broadcast."""
    k0, k1 = _words(key)
    x0, x1 = _words(counter)
    schedule = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = (x0 + k0) & _WORD, (x1 + k1) & _WORD
    for group in range(5):
        for rotation in map(np.uint64, _ROTATIONS[group % 2]):
            x0 = (x0 + x1) & _WORD
            x1 = ((x1 << rotation | x1 >> (_HALF - rotation)) & _WORD) ^ x0
        x0 = (x0 + schedule[(group + 1) % 3]) & _WORD
        x1 = (x1 + schedule[(group + 2) % 3] + np.uint64(group + 1)) & _WORD
    return np.asarray(x0 | x1 << _HALF).view(np.int64)


def _words(value: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The low and the high half of each int64, in 64 bits each so that no sum overflows."""
    bits = np.asarray(value, np.int64).view(np.uint64)
    return np.asarray(bits & _WORD), np.asarray(bits >> _HALF)

"""Threefry-2x32-20 from the paper's listing, on NumPy's uint32 with wrap-around; and its row."""

import numpy as np

from tests.oracle_rows.record import Array, Case, Oracle

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def words_of(numbers: Array) -> tuple[Array, Array]:
    """The low and high words of int64 numbers."""
    pairs = np.ascontiguousarray(numbers, "<i8").view("<u4").reshape(*np.shape(numbers), 2)
    return pairs[..., 0].copy(), pairs[..., 1].copy()


def threefry(key: Array, counter: Array) -> Array:
    """The int64 block of each int64 key and counter."""
    key, counter = np.broadcast_arrays(key, counter)
    k0, k1 = words_of(key)
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = words_of(counter)
    x0 += k0
    x1 += k1
    for number in range(20):
        turn = ROTATIONS[number % 8]
        x0 += x1
        x1[...] = (x1 << np.uint32(turn)) | (x1 >> np.uint32(32 - turn))
        x1 ^= x0
        if number % 4 == 3:
            injected = number // 4 + 1
            x0 += keys[injected % 3]
            x1 += keys[(injected + 1) % 3] + np.uint32(injected)
    return np.stack([x0, x1], -1).astype("<u4").view("<i8")[..., 0].astype(np.int64)


def sample(rng: np.random.Generator) -> list[Case]:
    """Keys and counters of all sizes, negative ones too; broadcasting."""

    def draw(*shape: int) -> Array:
        return rng.integers(-(2**63), 2**63 - 1, shape) >> rng.integers(0, 63, shape)

    return [((draw(40), draw(40)), {}), ((draw(3, 1), draw(1, 37)), {})]


RANDOM = [Oracle("threefry", sample, threefry)]

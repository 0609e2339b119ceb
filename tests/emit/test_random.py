"""Threefry in native code: the published vectors, and the same bits from any number of lanes."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.lower.ir import For, Store
from graphnn.simplify.expr import Axis, Op
from tests.emit.native import buffer, integer, load, program, run, without_vectors
from tests.oracle_rows.random import sample, threefry

# Random123's kat_vectors, "threefry2x32 20": counter, key, result, each as two words.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def number(words: tuple[int, int]) -> int:
    return int(np.array(words, "<u4").view("<i8")[0])


def native(keys: np.ndarray, counters: np.ndarray, vectors: bool) -> np.ndarray:
    i, count = Axis("i"), len(keys)
    key, counter, y = (buffer(n, (count,), "int64", r) for n, r in (("key", "input"), ("c", "input"), ("y", "output")))
    body = (Store("y", (i,), Op("threefry", (load(key, i), load(counter, i)), "int64")),)
    loop = (For("i", integer(0), integer(count), body, "vector"),)
    given = {"key": keys, "c": counters}
    return run(program(loop if vectors else without_vectors(loop), key, counter, y), given)["y"]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_the_published_vectors(counter, key, result):
    keys, counters = np.array([number(key)]), np.array([number(counter)])
    assert threefry(keys, counters).tolist() == [number(result)]
    assert native(keys, counters, vectors=False).tolist() == [number(result)]


@pytest.mark.parametrize("vectors", [True, False])
def test_every_lane_has_the_number_of_its_own_key_and_counter(vectors):
    keys, counters = sample(np.random.default_rng(5))[0][0]
    for count in (1, 7, 40):
        found = native(keys[:count], counters[:count], vectors)
        np.testing.assert_array_equal(found, threefry(keys[:count], counters[:count]))

"""Few rows and a large b: computed chain by chain across the rows, with the bits of one tile after the other."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.module import emit
from graphnn.emit.target import Target, host
from graphnn.schedule.cost import is_deep
from tests.emit.native import run
from tests.emit.test_tile import assert_is_product, assert_same_bits, chain_model, factors, product_program, targets


@pytest.mark.parametrize("m", [1, 2, 15, 16, 33, 64])
@pytest.mark.parametrize(("n", "k"), [(400, 600), (385, 513), (200, 1024)])
@pytest.mark.parametrize("layout", [(0, 1), (1, 0)])
def test_chains_and_their_order(m: int, n: int, k: int, layout: tuple[int, int]) -> None:
    p = product_program(m, n, k, layout=layout)
    assert is_deep(p.body[0])
    a, b = factors(m, n, k)
    assert_same_bits(run(p, {"A": a, "B": b})["C"], chain_model(a, b))


@pytest.mark.parametrize("target", targets(), ids=lambda t: f"{8 * t.vector_bytes}bit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_vector_width(target: Target, dtype: str) -> None:
    a, b = factors(9, 391, 1100, dtype)
    arrays = run(product_program(9, 391, 1100, dtype), {"A": a, "B": b}, target=target)
    assert_is_product(arrays["C"], a, b)


def test_b_is_prefetched_in_such_a_product_only() -> None:
    texts = [emit(product_program(m, 400, 600), host()).text for m in (16, 65)]
    assert [".ahead" in text for text in texts] == [True, False]


def test_threads_change_no_bit() -> None:
    net = gn.Network()
    z = gn.dense(net.input("x", (16, 1200)), 1000, activation=gn.relu)
    net.initialize(seed=0)
    x = np.random.default_rng(0).normal(size=(16, 1200)).astype(np.float32)
    results = [gn.compile(z, threads=threads)(x=x) for threads in (1, 2, 3)]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])

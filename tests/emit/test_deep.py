"""Few rows and a large b: computed chain by chain across the rows, with the bits of one tile after the other."""

from __future__ import annotations

from dataclasses import replace

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


@pytest.mark.parametrize(("m", "n", "k"), [(1, 700, 300), (25, 650, 512), (64, 1000, 203)])
def test_weights_are_prefetched_for_few_rows(m: int, n: int, k: int) -> None:
    """A b of fewer terms than a chain has, which comes from memory because it outlives the call."""
    p = product_program(m, n, k)
    weights = replace(p, buffers=tuple(replace(b, role="state") if b.name == "B" else b for b in p.buffers))
    assert not is_deep(p.body[0])
    assert [".ahead" in emit(made, host()).text for made in (p, weights)] == [False, True]
    a, b = factors(m, n, k)
    assert_same_bits(run(weights, {"A": a, "B": b})["C"], chain_model(a, b))


def test_threads_change_no_bit() -> None:
    net = gn.Network()
    z = gn.dense(net.input("x", (16, 1200)), 1000, activation=gn.relu)
    net.initialize(seed=0)
    x = np.random.default_rng(0).normal(size=(16, 1200)).astype(np.float32)
    results = [gn.compile(z, threads=threads)(x=x) for threads in (1, 2, 3)]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])

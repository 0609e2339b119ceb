"""One row times a matrix, along the rows of the matrix: a tile's bits at every width, in any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.module import emit
from graphnn.emit.target import Target, host
from graphnn.lower.ir import Contract, Program, Store
from graphnn.simplify.expr import Axis, DType, Local, Range
from tests.emit.native import buffer, integer, load, op, program, run
from tests.emit.test_tile import assert_is_product, assert_same_bits, chain_model, factors, targets

M, N, T, Q = map(Axis, "mntq")


def stream_program(columns: int, rows: int, streams: int, dtype: DType = "float32", first: int = 0) -> Program:
    """C[m, n] = 2*sum over t, q of A[m, rows*q + t]*B[rows*q + t, n], for n from `first`."""
    term = op("add", op("mul", integer(rows), Q), T)
    a, b = buffer("A", (1, rows * streams), dtype), buffer("B", (rows * streams, columns), dtype)
    value = op("add", Local("acc", dtype), Local("acc", dtype))
    k = Range("t", integer(0), integer(rows)), Range("q", integer(0), integer(streams))
    m, n = Range("m", integer(0), integer(1)), Range("n", integer(first), integer(columns))
    contract = Contract("acc", m, n, k, load(a, M, term), load(b, term, N), (Store("C", (M, N), value),))
    return program((contract,), a, b, buffer("C", (1, columns), dtype, "output"))


def interleaved(rows: int, streams: int) -> np.ndarray:
    """The terms in the order of the sum: the first of each stream, the second of each, ..."""
    return np.arange(rows * streams).reshape(streams, rows).T.ravel()


@pytest.mark.parametrize("target", targets(), ids=lambda t: f"{8 * t.vector_bytes}bit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 15, 16, 33, 64, 100, 4096, 5000])
def test_every_width(target: Target, dtype: DType, columns: int) -> None:
    a, b = factors(1, columns, 24, dtype)
    c = run(stream_program(columns, 6, 4, dtype), {"A": a, "B": b}, target=target)["C"]
    assert_is_product(c / 2, a, b)


@pytest.mark.parametrize(("rows", "streams"), [(0, 4), (1, 2), (128, 4), (129, 4), (300, 8), (700, 2)])
def test_chains_are_those_of_a_tile(rows: int, streams: int) -> None:
    a, b = factors(1, 40, rows * streams)
    order = interleaved(rows, streams)
    c = run(stream_program(40, rows, streams), {"A": a, "B": b})["C"]
    assert_same_bits(c, 2 * chain_model(a[:, order], b[order]))


def test_the_walk_is_taken_and_tiles_are_not() -> None:
    """Columns that are a part of b's row would leave gaps; such a product is what tiles are for."""
    whole, part = (emit(stream_program(64, 8, 4, first=first), host()).text for first in (0, 16))
    assert "@tile." not in whole
    assert "@tile." in part


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads: int) -> None:
    net = gn.Network()
    z = gn.dense(net.input("x", (1, 1024)), 1000, activation=gn.relu)
    net.initialize(seed=0)
    x = np.random.default_rng(0).normal(size=(1, 1024)).astype(np.float32)
    one, several = gn.compile(z, threads=1), gn.compile(z, threads=threads)
    assert "@tile." not in one.llvm
    assert np.array_equal(one(x=x), several(x=x))

"""Contractions against NumPy on one thread, in GF/s and per cent of what the multiply-add units can do.

    OPENBLAS_NUM_THREADS=1 pytest tests/benchmarks/bench_tile.py --benchmark-enable \
        --benchmark-columns=min,median --benchmark-group-by=group

The figures are in `extra_info`, and printed with -s. Only ratios within one run count on a shared machine.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Contract, Program, Range, Store
from graphnn.run.jit import compile_object
from graphnn.run.link import NativeFunction, load_object
from graphnn.simplify.expr import Axis, Load, Local
from tests.benchmarks.peak import peak
from tests.emit.native import buffer, integer, program

SHAPES = [
    pytest.param(64, 784, 128, False, id="64x784x128"),
    pytest.param(784, 64, 128, True, id="784x64x128-transposed"),
    pytest.param(512, 784, 512, False, id="512x784x512"),
    pytest.param(64, 64, 64, False, id="64x64x64"),
    pytest.param(64, 64, 10, False, id="64x64x10"),
    pytest.param(1, 784, 128, False, id="1x784x128"),
]


def product_program(m: int, k: int, n: int, transposed: bool) -> Program:
    """C[m, n] = sum over k of A[m, k]*B[k, n]; transposed: A lies in memory as (k, m)."""
    a = buffer("A", (m, k), layout=(1, 0) if transposed else (0, 1))
    ranges = {axis: Range(axis, integer(0), integer(extent)) for axis, extent in {"m": m, "n": n, "k": k}.items()}
    row, column, term = Axis("m"), Axis("n"), Axis("k")
    contract = Contract(
        "acc",
        ranges["m"],
        ranges["n"],
        (ranges["k"],),
        Load("A", (row, term), "float32"),
        Load("B", (term, column), "float32"),
        (Store("C", (row, column), Local("acc", "float32")),),
    )
    return program((contract,), a, buffer("B", (k, n)), buffer("C", (m, n), role="output"))


def aligned(*shape: int) -> np.ndarray:
    """Random numbers from a 64-byte boundary on, as the arena lays arrays out. Never time zeros."""
    count = int(np.prod(shape))
    block = np.empty(count + 16, np.float32)
    first = -block.ctypes.data // 4 % 16
    array = block[first : first + count].reshape(shape)
    array[...] = np.random.default_rng(0).random(shape, np.float32)
    return array


def report(benchmark: BenchmarkFixture, m: int, k: int, n: int) -> None:
    if benchmark.stats is not None:
        rate = 2e-9 * m * k * n / benchmark.stats.stats.min
        benchmark.extra_info |= {"GF/s": round(rate, 1), "per cent of peak": round(100 * rate / peak(), 1)}
        print(f"\n{benchmark.name}: {rate:.1f} GF/s, {100 * rate / peak():.0f}% of {peak():.0f}")


@pytest.mark.parametrize(("m", "k", "n", "transposed"), SHAPES)
def test_graphnn(benchmark: BenchmarkFixture, m: int, k: int, n: int, transposed: bool) -> None:
    emitted = emit(product_program(m, k, n, transposed), host())
    loaded: NativeFunction = load_object(compile_object(emitted.text, host()), emitted.entry)
    a, b, c = aligned(k, m) if transposed else aligned(m, k), aligned(k, n), aligned(m, n)
    pointers = (ctypes.c_void_p * 3)(a.ctypes.data, b.ctypes.data, c.ctypes.data)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(loaded.address)
    benchmark.group = f"{m}x{k}x{n}"
    benchmark(function, pointers, None)
    np.testing.assert_allclose(c, (a.T if transposed else a) @ b, rtol=1e-4)
    report(benchmark, m, k, n)


@pytest.mark.parametrize(("m", "k", "n", "transposed"), SHAPES)
def test_numpy(benchmark: BenchmarkFixture, m: int, k: int, n: int, transposed: bool) -> None:
    a, b, c = aligned(k, m).T if transposed else aligned(m, k), aligned(k, n), aligned(m, n)
    benchmark.group = f"{m}x{k}x{n}"
    benchmark(np.matmul, a, b, out=c)
    report(benchmark, m, k, n)

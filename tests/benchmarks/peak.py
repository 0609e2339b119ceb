"""What the multiply-add units and the memory of this machine can do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from graphnn.emit.target import host
from graphnn.emit.writer import Module, Value, Writer, constant, vector_type
from graphnn.run.jit import compile_object
from graphnn.run.link import NativeFunction, load_object
from tests.benchmarks.timing import seconds

TERMS = 2_000_000
COPIED = 1 << 28  # bytes, far more than any cache holds


@cache
def peak(threads: int = 1) -> float:
    """GF/s of multiply-adds on that many cores, the best of twenty runs."""
    return max(multiply_adds(threads, 20))


def multiply_adds(threads: int, runs: int) -> list[float]:
    """GF/s of independent chains of multiply-adds on each of that many cores, in each run."""
    chains, lanes = _chains()
    function = _multiply_add()
    memories = [np.full(chains * lanes, 1e-3, np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        times = [seconds(lambda: list(pool.map(lambda m: function(m.ctypes.data, 0), memories))) for _ in range(runs)]
    return [2e-9 * TERMS * chains * lanes * threads / t for t in times]


@cache
def copy_bandwidth(threads: int = 1) -> float:
    """GB/s read and written by copies of large arrays, one a thread; the best of seven runs."""
    size = COPIED // 4 // threads
    arrays = [(np.zeros(size, np.float32), np.ones(size, np.float32)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        best = min(seconds(lambda: list(pool.map(lambda pair: np.copyto(*pair), arrays))) for _ in range(7))
    return 2e-9 * COPIED / best


def _chains() -> tuple[int, int]:
    """Chains that fill the registers, and the lanes of each."""
    return 24 if host().vector_registers == 32 else 12, host().lanes("float32")


@cache
def _multiply_add() -> NativeFunction:
    target, (chains, lanes) = host(), _chains()
    w, vector = Writer(Module("peak", target.triple)), vector_type("float", lanes)
    data = Value("ptr", "%buffers")
    factor = w.ins(vector, f"load {vector}, {data}, align 4")
    with w.loop(constant("i64", 0), constant("i64", TERMS), carry=[constant(vector, 0.0)] * chains) as loop:
        loop.next = [w.fma(factor, factor, chain) for chain in loop.carried]
    for k, chain in enumerate(loop.results):
        w.do(f"store {chain}, {w.gep('float', data, constant('i64', k * lanes))}, align 4")
    w.do("ret i64 0")
    w.module.functions.append("\n".join(["define i64 @peak(ptr %buffers, ptr %sizes) {", "entry:", *w.lines, "}"]))
    return load_object(compile_object(w.module.text(), target), "peak")

"""What the multiply-add units of this machine can do."""

from __future__ import annotations

from functools import cache

import numpy as np

from graphnn.emit.target import host
from graphnn.emit.writer import Module, Value, Writer, constant, vector_type
from graphnn.run.jit import compile_object, load_object
from tests.benchmarks.timing import seconds


@cache
def peak() -> float:
    """GF/s of 24 independent chains of multiply-adds (12 where there are 16 registers), the best of five runs."""
    target, terms = host(), 2_000_000
    lanes, chains = target.lanes("float32"), 24 if target.vector_registers == 32 else 12
    w, vector = Writer(Module("peak", target.triple)), vector_type("float", target.lanes("float32"))
    data = Value("ptr", "%buffers")
    factor = w.ins(vector, f"load {vector}, {data}, align 4")
    with w.loop(constant("i64", 0), constant("i64", terms), carry=[constant(vector, 0.0)] * chains) as loop:
        loop.next = [w.fma(factor, factor, chain) for chain in loop.carried]
    for k, chain in enumerate(loop.results):
        w.do(f"store {chain}, {w.gep('float', data, constant('i64', k * lanes))}, align 4")
    w.do("ret i64 0")
    w.module.functions.append("\n".join(["define i64 @peak(ptr %buffers, ptr %sizes) {", "entry:", *w.lines, "}"]))
    function = load_object(compile_object(w.module.text(), target), "peak")
    memory = np.full(chains * lanes, 1e-3, np.float32)
    best = min(seconds(lambda: function(memory.ctypes.data, 0)) for _ in range(5))
    return 2e-9 * terms * chains * lanes / best

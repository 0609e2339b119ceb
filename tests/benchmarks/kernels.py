"""Each top-level statement of a work's training step alone: microseconds, and GF/s of its contractions.

    python -m tests.benchmarks.kernels mlp64

They take turns in one process, each on what the others leave in the caches; the figure is the best of its turns. About
0.3 us of each is the call through ctypes.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.builder import lower
from graphnn.lower.ir import Contract, Let, Program, Stmt, Store
from graphnn.lower.printer import header
from graphnn.run.arrays import address, aligned_empty
from graphnn.run.jit import compile_object, load_object
from graphnn.schedule.memory import evaluate, plan
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import statements
from graphnn.simplify.passes import simplify
from tests.benchmarks.networks import WORKS, Work, trainer
from tests.benchmarks.peak import peak
from tests.benchmarks.timing import seconds

TURNS, REPEATS = 40, 20


def scheduled(work: Work) -> tuple[Program, dict[str, np.ndarray[Any, Any]]]:
    """The scheduled step, and an array for each buffer that the caller owns."""
    loss = work.declare()
    updates = trainer(loss, work)._updates
    program = schedule(lower(simplify(loss.network, [loss], updates, {"N": work.batch}).program))
    arrays = {**work.data(), **{name: np.array(value) for name, value in loss.network.state.items()}}
    outputs = {
        b.name: np.zeros([evaluate(e, {}) for e in b.shape], b.dtype) for b in program.buffers if b.role == "output"
    }
    return program, {**arrays, **outputs}


def runner(program: Program, pointers: Any) -> Callable[[], int]:
    native = load_object(compile_object(emit(program, host()).text, host()), "graphnn_entry")
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(native.address)
    table, kept = ctypes.addressof(pointers), (native, pointers)
    return lambda: function(table, None) if kept else 0


def repeat(run: Callable[[], int]) -> Callable[[], object]:
    return lambda: [run() for _ in range(REPEATS)]


def flops(stmt: Stmt) -> int:
    """Of the contractions inside, whose extents are all constant."""
    contracts = [s for s in statements((stmt,)) if isinstance(s, Contract)]
    return sum(2 * prod(evaluate(r.hi, {}) - evaluate(r.lo, {}) for r in (c.m, c.n, *c.k)) for c in contracts)


def measure(work: Work) -> list[tuple[str, float, int]]:
    """(statement, seconds, flops) of the whole step, then of each of its statements."""
    program, arrays = scheduled(work)
    offsets, length = plan(program).offsets({})
    arena = aligned_empty((length,), np.dtype(np.uint8))
    places = [
        address(arena) + offsets[b.name] if b.role == "temp" else address(arrays[b.name]) for b in program.buffers
    ]
    pointers = (ctypes.c_void_p * len(places))(*places)
    # A statement by itself must not need a scalar that another one binds.
    alone = [s for s in program.body if not isinstance(s, Let | Store)]
    parts = [program, *(replace(program, body=(s,)) for s in alone)]
    runs = [runner(part, pointers) for part in parts]
    best = [float("inf")] * len(runs)
    for _ in range(TURNS):
        best = [min(t, seconds(repeat(run)) / REPEATS) for t, run in zip(best, runs, strict=True)]
    labels = ["the whole step", *map(header, alone)]
    return [(label, t, sum(map(flops, part.body))) for label, t, part in zip(labels, best, parts, strict=True)]


def main() -> None:
    print(f"multiply-add peak: {peak():.0f} GF/s\n\n     us   GF/s  statement")
    for label, best, count in measure(WORKS[sys.argv[1]]):
        print(f"{1e6 * best:7.2f} {1e-9 * count / best:6.1f}  {label}")


if __name__ == "__main__":
    main()

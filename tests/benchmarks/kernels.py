"""Each top-level statement of a work alone: microseconds, GF/s of its contractions, flops for each byte of its arrays.

    python -m tests.benchmarks.kernels vgg64 [--disable PASS...] [--seconds 0.02]

They take turns in one process, each on what the others leave in the caches; the figure is the best of its turns. About
0.3 us of each is the call through ctypes. Bytes are those of all arrays that a statement reads or writes, each once.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphnn.emit.module import emit, prepared_statements
from graphnn.emit.target import host
from graphnn.lower.builder import lower
from graphnn.lower.ir import Contract, For, Let, Program, Stmt, Store
from graphnn.lower.printer import header
from graphnn.run.arrays import address, aligned_empty
from graphnn.run.jit import compile_object
from graphnn.run.link import load_object
from graphnn.schedule.extents import volume
from graphnn.schedule.memory import evaluate, plan
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import own_expressions, statements
from graphnn.simplify.expr import Load, Range, walk
from graphnn.simplify.passes import simplify
from tests.benchmarks.peak import peak
from tests.benchmarks.peers.graphnn_peer import declare, trainer
from tests.benchmarks.timing import seconds
from tests.benchmarks.works import WORKS, Chain, Net

TURNS = 5
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Kernel:
    """One statement, or the whole program: seconds of a run, multiply-adds counted twice, and bytes of its arrays."""

    label: str
    seconds: float
    flops: int
    bytes: int


def scheduled(work: Net, disable: Collection[str] = ()) -> tuple[Program, Arrays]:
    """The scheduled program, and an array for each buffer outside of its arena."""
    result, loss = declare(work, work.weights())
    x, y = work.data()
    sizes, arrays = {"N": work.batch}, {"x": x, "y": y}
    if work.kind == "inference":
        simplified = simplify(loss.network, [result], {}, sizes)
    else:
        simplified = simplify(loss.network, [loss], trainer(loss, work)._updates, sizes)
    program = schedule(lower(simplified.program), disable=disable)
    arrays |= {name: np.array(value) for name, value in loss.network.state.items()}
    outputs = [b for b in program.buffers if b.role in ("output", "prepared")]
    return program, arrays | {b.name: np.zeros([evaluate(e, {}) for e in b.shape], b.dtype) for b in outputs}


def runner(program: Program, pointers: Any) -> Callable[[], int]:
    """What runs the statements of a call; those that prepare arrays where there are no others."""
    emitted = emit(program, host())
    once = len(program.body) == prepared_statements(program)
    native = load_object(compile_object(emitted.text, host()), emitted.prepare if once else emitted.entry)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(native.address)
    table, kept = ctypes.addressof(pointers), (native, pointers)
    return lambda: function(table, None) if kept else 0


def repeat(run: Callable[[], int], count: int) -> float:
    """Seconds of one of `count` runs."""
    return seconds(lambda: [run() for _ in range(count)]) / count


def count_flops(stmt: Stmt) -> int:
    """Of the contractions inside, whose extents are all constant."""
    if isinstance(stmt, Contract):
        return 2 * round(volume((stmt.m, stmt.n, *stmt.k)))
    if isinstance(stmt, For):
        return round(volume((Range(stmt.axis, stmt.lo, stmt.hi),)) * sum(map(count_flops, stmt.body)))
    return 0


def stored(*body: Stmt) -> list[str]:
    """The arrays that statements write."""
    return list(dict.fromkeys(s.buffer for s in statements(body) if isinstance(s, Store)))


def count_bytes(program: Program) -> int:
    """Of all arrays that the statements read or write, each once."""
    used = set(stored(*program.body))
    for stmt in statements(program.body):
        used |= {node.buffer for e in own_expressions(stmt) for node in walk(e) if isinstance(node, Load)}
    return sum(
        int(np.prod([evaluate(e, {}) for e in b.shape])) * np.dtype(b.dtype).itemsize
        for b in program.buffers
        if b.name in used
    )


def measure(work: Net, budget: float, disable: Collection[str] = ()) -> list[Kernel]:
    """The whole program, then each of its statements, `budget` seconds for each in each turn."""
    program, arrays = scheduled(work, disable)
    offsets, length = plan(program).offsets({})
    arena = aligned_empty((length,), np.dtype(np.uint8))
    places = [
        address(arena) + offsets.get(b.name, 0) if b.role == "temp" else address(arrays[b.name])
        for b in program.buffers
    ]
    pointers = (ctypes.c_void_p * len(places))(*places)
    # A statement by itself must not need a scalar that another one binds.
    alone = [s for s in program.body if not isinstance(s, Let | Store)]
    parts = [program, *(replace(program, body=(s,)) for s in alone)]
    runs = [runner(part, pointers) for part in parts]
    for run in (*runs[1 : 1 + prepared_statements(program)], runs[0]):  # so that each reads what the others wrote
        run()
    counts = [max(1, round(budget / max(seconds(run), 1e-7))) for run in runs]
    best = [float("inf")] * len(runs)
    for _ in range(TURNS):
        best = [min(t, repeat(run, n)) for t, run, n in zip(best, runs, counts, strict=True)]
    once = prepared_statements(program)
    labels = [
        "the whole program",
        *(f"{'once: ' * (n < once)}{', '.join(stored(s))} <- {header(s)}" for n, s in enumerate(alone)),
    ]
    moved = [count_bytes(part) for part in parts]
    moved[0] = sum(moved[1:])  # what it moves where no array stays in a cache between two statements
    return [
        Kernel(label, t, sum(map(count_flops, part.body)), size)
        for label, t, part, size in zip(labels, best, parts, moved, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    nets = {name: work for name, work in WORKS.items() if not isinstance(work, Chain) and work.kind != "epoch"}
    parser.add_argument("work", choices=list(nets))
    parser.add_argument("--disable", nargs="*", default=[], help="schedule passes to leave out")
    parser.add_argument("--seconds", type=float, default=0.02, help="that a statement runs in one turn")
    options = parser.parse_args()
    print(f"multiply-add peak: {peak():.0f} GF/s\n\n        us   GF/s  flops/B  statement")
    for k in measure(nets[options.work], options.seconds, options.disable):
        rates = f"{1e-9 * k.flops / k.seconds:6.1f} {k.flops / k.bytes:8.1f}"
        print(f"{1e6 * k.seconds:10.2f} {rates}  {k.label}")


if __name__ == "__main__":
    main()

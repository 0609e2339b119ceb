"""Tiles of a contraction among threads: each is one thread's, whatever the grid."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from graphnn.emit.grid import Grid
from graphnn.emit.target import host
from graphnn.emit.writer import Module, Value, Writer, constant
from graphnn.run.jit import compile_object
from graphnn.run.link import load_object

HEIGHT, WIDTH = 6, 64


def visits(m: int, n: int, threads: int, known: bool) -> np.ndarray:
    """How often all threads together come to each tile of an m x n result; `known`: its extents are constants."""
    module = Module("test", host().triple)
    w, zero = Writer(module), constant("i64", 0)
    thread, team, rows, columns = (Value("i64", f"%{name}") for name in ("thread", "threads", "m", "n"))
    extents = (constant("i64", m), constant("i64", n)) if known else (rows, columns)
    grid = Grid.of(w, thread, team, *extents, HEIGHT, WIDTH)
    wide = -(-n // WIDTH)
    with w.loop(*grid.columns(), step=WIDTH) as column, w.loop(*grid.rows(column.index), step=HEIGHT) as row:
        tile = w.binary("mul", w.binary("udiv", row.index, constant("i64", HEIGHT)), constant("i64", wide))
        place = w.gep("i64", Value("ptr", "%out"), w.binary("add", tile, w.binary("udiv", column.index, column.step)))
        w.do(f"store {w.binary('add', w.ins('i64', f'load i64, {place}'), constant('i64', 1))}, {place}")
    w.do(f"ret {zero}")
    module.functions.append(
        "\n".join([f"define i64 @f(ptr %out, {thread}, {team}, {rows}, {columns}) {{", "entry:", *w.lines, "}"])
    )
    function = load_object(compile_object(module.text(), host()), "f")
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_int64] * 4)(function.address)
    out = np.zeros((-(-m // HEIGHT), wide), np.int64)
    for number in range(threads):
        call(out.ctypes.data, number, threads, m, n)
    return out


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("m", "n"), [(128, 64), (128, 10), (6, 200), (5, 64), (6, 65), (7, 64), (100, 300), (1, 1)])
def test_each_tile_is_visited_once(m: int, n: int, threads: int, known: bool) -> None:
    assert (visits(m, n, threads, known) == 1).all()

"""Arrays that are written past the caches hold what others hold, wherever they begin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import For, Program, Store
from graphnn.run.arrays import aligned_empty
from graphnn.simplify.expr import Axis, Const
from tests.emit.native import buffer, integer, load, op, program, run_module

ROWS = 3
I, J = Axis("i"), Axis("j")


def doubled(columns: int, streamed: bool = True) -> Program:
    """y[i, j] = 2 x[i, j]"""
    x, y = buffer("x", (ROWS, columns)), buffer("y", (ROWS, columns), role="output")
    store = Store("y", (I, J), op("mul", load(x, I, J), Const(2.0, "float32")))
    rows = For(
        "i", integer(0), integer(ROWS), (For("j", integer(0), integer(columns), (store,), "vector"),), "parallel"
    )
    return program((rows,), x, replace(y, streamed=streamed))


def placed(columns: int, offset: int, fill: float) -> tuple[np.ndarray, np.ndarray]:
    """An array that begins some elements behind a cache line, and all of the memory around it."""
    memory = aligned_empty((ROWS * columns + 64,), np.dtype("f4"))
    memory[:] = fill
    return memory[offset : offset + ROWS * columns].reshape(ROWS, columns), memory


@pytest.mark.parametrize("offset", [0, 1, 16, 21])
@pytest.mark.parametrize("columns", [32, 40])
def test_every_element_is_written_and_no_other(columns: int, offset: int) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, columns)).astype("f4")
    y, memory = placed(columns, offset, fill=7.0)
    assert run_module(emit(doubled(columns), host()), host(), [x, y], []) == 0
    np.testing.assert_array_equal(y, 2 * x)
    assert np.count_nonzero(memory != 7.0) == x.size


@pytest.mark.skipif(host().vector_bytes != 64, reason="only vectors of a whole line go past the caches")
def test_only_what_is_marked_goes_past_the_caches() -> None:
    plain, past = (emit(doubled(32, streamed), host()).text for streamed in (False, True))
    assert "!nontemporal" not in plain
    assert "fence" not in plain
    assert past.count("!nontemporal") == 1
    assert past.index("!nontemporal") < past.index("fence seq_cst") < past.index("ret i64 0", past.index("fence"))


def test_kernels_of_one_form_but_for_the_mark_share_no_code() -> None:
    """The same statement on two arrays, of which one goes past the caches."""
    first = doubled(32)
    x, y = first.buffers
    (rows,) = first.body
    other = replace(y, name="z", streamed=False)
    inner = replace(rows.body[0], body=(replace(rows.body[0].body[0], buffer="z"),))
    both = Program("both", (), (x, y, other), (rows, replace(rows, body=(inner,))))
    assert len(set(emit(both, host()).kernels)) == 2

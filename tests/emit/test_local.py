"""Buffers of which each iteration has a part of its own: their values, and that they are nowhere but on the stack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Fold, For, Program, Stmt, Store
from graphnn.lower.verify import verify
from graphnn.schedule.statements import rename, rename_buffer
from graphnn.simplify.expr import Axis, Local, Range
from tests.emit.native import buffer, integer, load, op, program, run

I, J, K, R = map(Axis, "ijkr")
COLUMNS = 24


def loop(axis: str, extent: int, *body: Stmt, kind: str = "serial") -> For:
    return For(axis, integer(0), integer(extent), body, kind)  # type: ignore[arg-type]


def rows(count: int, kind: str, local: bool = True) -> Program:
    """t = 2x, y = t plus the row sums of t."""
    x, y = buffer("x", (count, COLUMNS)), buffer("y", (count, COLUMNS), role="output")
    t = replace(buffer("t", (count, COLUMNS), role="temp"), local_to="i" if local else "")
    body = (
        loop("j", COLUMNS, Store("t", (I, J), op("add", load(x, I, J), load(x, I, J)))),
        Fold("s", "sum", (Range("r", integer(0), integer(COLUMNS)),), None, load(t, I, R)),
        loop("k", COLUMNS, Store("y", (I, K), op("add", load(t, I, K), Local("s", "float32")))),
    )
    return program((loop("i", count, *body, kind=kind),), x, t, y)


@pytest.mark.parametrize("kind", ["serial", "parallel", "vector"])
@pytest.mark.parametrize("count", [1, 7, 16, 37])
def test_values_are_those_of_an_array_in_memory(kind: str, count: int) -> None:
    x = np.random.default_rng(0).normal(size=(count, COLUMNS)).astype("f4")
    given = rows(count, kind)
    verify(given)
    found, plain = (run(p, {"x": x}) for p in (given, rows(count, kind, local=False)))
    np.testing.assert_array_equal(found["y"], plain["y"])
    np.testing.assert_array_equal(plain["t"], 2 * x)
    assert np.all(found["t"] == -7), "nothing is written to memory"


def test_parts_in_loops_inside_of_loops() -> None:
    """t[i, j, k], of which each (i, j) has its k, in an order of memory that has i in the middle of the index."""
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("f4")
    a, y = buffer("x", (3, 5, 4)), buffer("y", (3, 5), role="output")
    t = replace(buffer("t", (4, 3, 5), role="temp", layout=(1, 2, 0)), local_to="j")
    fill = loop("k", 4, Store("t", (K, I, J), op("add", load(a, I, J, K), load(a, I, J, K))))
    fold = Fold("s", "sum", (Range("r", integer(0), integer(4)),), None, load(t, R, I, J))
    inner = loop("j", 5, fill, fold, Store("y", (I, J), Local("s", "float32")), kind="parallel")
    given = program((loop("i", 3, inner, kind="parallel"),), a, t, y)
    verify(given)
    np.testing.assert_allclose(run(given, {"x": x})["y"], 2 * x.sum(2), rtol=1e-6)


def test_kernels_of_one_form_share_code_only_if_both_have_parts() -> None:
    first, second = rows(8, "vector"), rows(8, "vector", local=False)
    (left,), x, y = first.body, first.buffer("x"), first.buffer("y")
    other = replace(second.buffer("t"), name="u")
    (right,) = rename(rename_buffer(second.body, "t", "u"), {"s": "z"})
    both = Program("both", (), (x, first.buffer("t"), other, y), (left, right))
    assert len(set(emit(both, host()).kernels)) == 2


@pytest.mark.parametrize("columns", [10, 64, 1000])
def test_threads_and_rows_change_no_bit(columns: int) -> None:
    net = gn.Network("rows")
    y = gn.softmax(net.input("x", ("N", columns)))
    x = np.random.default_rng(0).normal(size=(3000, columns)).astype("f4")
    one, two = (gn.compile(y, threads=threads) for threads in (1, 2))
    assert "on the stack" in one.stage("schedule")
    whole = one(x=x)
    np.testing.assert_array_equal(whole, two(x=x))
    np.testing.assert_array_equal(whole[:33], one(x=x[:33]))
    np.testing.assert_allclose(whole.sum(1), 1, rtol=1e-5)

"""Folds over a few terms stand in the code term by term: the windows of pooling have no loops."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Fold, Program, Store
from graphnn.simplify.expr import Axis, Expr, Local, Op, Range
from tests.emit.native import buffer, integer, load, op, program
from tests.emit.test_loops import both_ways, vector

I, U, V = Axis("i"), Axis("u"), Axis("v")
HEIGHT, PLACES = 10, 48  # whole vectors


def window(reducer: str, size: int, lo: int = 0, guard: Expr | None = None) -> Program:
    """y[i] = reduction over lo <= u, v < size of x[u, i + v]."""
    x, y = buffer("x", (HEIGHT, PLACES + size)), buffer("y", (PLACES,), role="output")
    ranges = (Range("u", integer(lo), integer(size)), Range("v", integer(lo), integer(size)))
    fold = Fold("t", reducer, ranges, guard, load(x, U, op("add", I, V)))
    return program((vector("i", integer(PLACES), fold, Store("y", (I,), Local("t", "float32"))),), x, y)


def loops(p: Program) -> int:
    return emit(p, host()).text.count("phi i64")


def data(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(HEIGHT, PLACES + size)).astype(np.float32)


@pytest.mark.parametrize(("reducer", "oracle"), [("max", np.max), ("min", np.min), ("sum", np.sum), ("prod", np.prod)])
@pytest.mark.parametrize(("size", "lo"), [(1, 0), (2, 0), (3, 0), (4, 0), (4, 2), (6, 0), (2, 2)])
def test_windows_of_all_sizes(reducer: str, oracle: object, size: int, lo: int) -> None:
    x = data(size)
    got = both_ways(window(reducer, size, lo), {"x": x})["y"]
    if lo < size:
        expected = [oracle(x[lo:size, i + lo : i + size].astype(float)) for i in range(PLACES)]  # type: ignore[operator]
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_nine_terms_have_no_loops() -> None:
    assert loops(window("max", 3)) == loops(window("max", 1))
    assert loops(window("max", 4)) == loops(window("max", 1)) + 1  # over rows of four terms
    assert loops(window("max", 10)) == loops(window("max", 1)) + 2


def test_guards_skip_single_terms() -> None:
    """Only the terms with u < v."""
    x = data(3)
    got = both_ways(window("sum", 3, guard=Op("lt", (U, V), "bool")), {"x": x})["y"]
    expected = [x[0, i + 1] + x[0, i + 2] + x[1, i + 2] for i in range(PLACES)]
    np.testing.assert_array_equal(got, np.array(expected, np.float32))


def test_terms_are_constant_distances_apart() -> None:
    """One address is computed for a window; its other terms lie so many elements further on."""
    text = emit(window("max", 3), host()).text.partition("@graphnn_entry")[0]
    assert " mul i64" not in text
    assert text.count("getelementptr") == 10  # eight terms that are not the first, where that lies, and y

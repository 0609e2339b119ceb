"""Blocks that are loaded along one axis and stored along the other, against NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Buffer, For, Program, Stmt, Store
from graphnn.simplify.expr import Axis, Const, DType, Expr, Size
from tests.emit.native import buffer, integer, load, op, program, run

R, I = Axis("r"), Axis("i")
RNG = np.random.default_rng(5)


def crossing(rows: Expr, columns: Expr, *body: Stmt, kind: str = "parallel") -> For:
    inner = For("i", integer(0), columns, body, "vector")
    return For("r", integer(0), rows, (inner,), kind)  # type: ignore[arg-type]


def copy(rows: int, columns: int, dtype: DType = "float32") -> Program:
    """t[r, i] = w[i, r]"""
    w, t = buffer("w", (columns, rows), dtype), buffer("t", (rows, columns), dtype, role="output")
    nest = crossing(integer(rows), integer(columns), Store("t", (R, I), load(w, I, R)))
    return program((nest,), w, t)


def is_blocked(p: Program, debug: bool = False) -> bool:
    """Shuffles of two different vectors are only ever written to exchange rows and columns."""
    return any(
        "shufflevector" in line and "zeroinitializer" not in line for line in emit(p, host(), debug).text.splitlines()
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rows", "columns"), [(16, 16), (32, 48), (40, 64), (64, 19), (35, 53), (7, 64), (64, 7), (1, 1)]
)
def test_a_copy(rows: int, columns: int, dtype: DType) -> None:
    data = RNG.normal(size=(columns, rows)).astype(dtype)
    np.testing.assert_array_equal(run(copy(rows, columns, dtype), {"w": data})["t"], data.T)


@pytest.mark.parametrize(("rows", "columns"), [(0, 5), (5, 0), (15, 33), (16, 16), (50, 34)])
def test_extents_of_the_call(rows: int, columns: int) -> None:
    w, t = buffer("w", ("C", "R")), buffer("t", ("R", "C"), role="output")
    nest = crossing(Size("R"), Size("C"), Store("t", (R, I), load(w, I, R)))
    p = program((nest,), w, t, sizes=("R", "C"))
    assert is_blocked(p)
    data = RNG.normal(size=(columns, rows)).astype("float32")
    np.testing.assert_array_equal(run(p, {"w": data}, {"R": rows, "C": columns})["t"], data.T)


def test_two_loads_beside_one_along_the_lanes() -> None:
    """t[r, i] = v[i, r + 1] - w[i, r]*t[r, i]: one load is shifted, one is of the array that is written."""
    v, w, t = buffer("v", (33, 41)), buffer("w", (33, 40)), buffer("t", (40, 33), role="state")
    shifted = load(v, I, op("add", R, integer(1)))
    value = op("sub", shifted, op("mul", load(w, I, R), load(t, R, I)))
    p = program((crossing(integer(40), integer(33), Store("t", (R, I), value)),), v, w, t)
    assert is_blocked(p)
    a, b, c = (RNG.normal(size=s).astype("float32") for s in ((33, 41), (33, 40), (40, 33)))
    np.testing.assert_array_equal(run(p, {"v": a, "w": b, "t": c})["t"], a[:, 1:].T - b.T * c)


def test_integers_in_bytes() -> None:
    """n[i, r] = x[i, r] in bytes; t[r, i] = n[i, r] + 1"""
    x, t = buffer("x", (35, 40), "int64"), buffer("t", (40, 35), "int64", role="output")
    n = replace(buffer("n", (35, 40), "int64", role="temp"), narrow=True)
    row = For("r", integer(0), integer(40), (Store("n", (I, R), load(x, I, R)),))
    narrowing = For("i", integer(0), integer(35), (row,))
    nest = crossing(integer(40), integer(35), Store("t", (R, I), op("add", load(n, I, R), integer(1))))
    p = program((narrowing, nest), x, n, t)
    assert is_blocked(p)
    data = RNG.integers(-128, 128, (35, 40))
    np.testing.assert_array_equal(run(p, {"x": data})["t"], data.T + 1)


def test_an_arm_that_may_be_out_of_range() -> None:
    """t[r, i] = w[i, r - 1] if 1 <= r else 0 keeps its condition around the load."""
    w, t = buffer("w", (32, 31)), buffer("t", (32, 32), role="output")
    guarded = op("select", op("le", integer(1), R), load(w, I, op("sub", R, integer(1))), Const(0.0, "float32"))
    p = program((crossing(integer(32), integer(32), Store("t", (R, I), guarded)),), w, t)
    data = RNG.normal(size=(32, 31)).astype("float32")
    assert not is_blocked(p)
    np.testing.assert_array_equal(run(p, {"w": data})["t"], np.vstack([np.zeros(32, "float32"), data.T]))


def heavy(b: Buffer) -> Expr:
    return op("exp", load(b, I, R))


def test_what_is_left_alone() -> None:
    w, t = buffer("w", (32, 32)), buffer("t", (32, 32), role="output")
    plain = Store("t", (R, I), load(w, I, R))
    extent = integer(32)
    assert is_blocked(program((crossing(extent, extent, plain),), w, t))
    assert not is_blocked(program((crossing(extent, extent, plain),), w, t), debug=True)  # each load has its check
    assert not is_blocked(program((crossing(extent, extent, plain, kind="serial"),), w, t))
    assert not is_blocked(program((crossing(extent, extent, Store("t", (R, I), heavy(w))),), w, t))
    assert not is_blocked(program((crossing(extent, extent, Store("t", (R, I), load(w, R, I))),), w, t))

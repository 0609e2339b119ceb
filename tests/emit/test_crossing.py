"""Rows in the lanes: folds in blocks of exchanged rows and columns, loops row by row, against NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Fold, For, If, Let, Program, Store
from graphnn.simplify.expr import Axis, Const, DType, Expr, Local, Op, Range, Size
from tests.emit.native import buffer, integer, load, op, program, run, run_module, without_vectors
from tests.emit.test_tile import at_the_end_of_memory

I, J, K, R = map(Axis, "ijkr")
RNG = np.random.default_rng(11)


def rows_of(n: Expr, *body: For | Fold | Let | Store | If) -> For:
    return For("i", integer(0), n, body, "vector")


def fold(name: str, reducer: str, value: Expr, hi: Expr, guard: Expr | None = None) -> Fold:
    return Fold(name, reducer, (Range("r", integer(0), hi),), guard, value)


def sums(n: int | str, columns: int | str, dtype: DType = "float32", reducer: str = "sum") -> Program:
    """y[i] = sum over r of x[i, r]"""
    x, y = buffer("x", (n, columns), dtype), buffer("y", (n,), dtype, role="output")
    sizes = tuple(s for s in (n, columns) if isinstance(s, str))
    extents = [Size(s) if isinstance(s, str) else integer(s) for s in (n, columns)]
    body = rows_of(extents[0], fold("s", reducer, load(x, I, R), extents[1]), Store("y", (I,), Local("s", dtype)))
    return program((body,), x, y, sizes=sizes)


def in_order(x: np.ndarray) -> np.ndarray:
    """Row sums, one term after the other, as a fold has them."""
    total = np.zeros(len(x), x.dtype)
    for column in x.T:
        total = total + column
    return total


def gathers(p: Program) -> bool:
    return "masked.gather" in emit(p, host()).text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "columns"), [(16, 16), (32, 64), (37, 10), (5, 50), (1, 4), (3, 3), (19, 33)])
def test_row_sums_in_the_order_of_the_terms(n: int, columns: int, dtype: DType) -> None:
    data = RNG.normal(size=(n, columns)).astype(dtype)
    np.testing.assert_array_equal(run(sums(n, columns, dtype), {"x": data})["y"], in_order(data))
    assert gathers(sums(n, columns, dtype)) == (columns < 4)


@pytest.mark.parametrize(("n", "columns"), [(0, 20), (20, 0), (15, 15), (16, 17), (33, 65), (2, 300)])
def test_extents_of_the_call(n: int, columns: int) -> None:
    data = RNG.normal(size=(n, columns)).astype("float32")
    found = run(sums("N", "C"), {"x": data}, {"N": n, "C": columns})["y"]
    np.testing.assert_array_equal(found, in_order(data))


@pytest.mark.parametrize(("n", "columns"), [(21, 10), (16, 15), (3, 16), (33, 50)])
def test_reads_nothing_behind_the_last_row(n: int, columns: int) -> None:
    x, y = at_the_end_of_memory((n, columns)), np.zeros(n, np.float32)
    x[...] = RNG.normal(size=x.shape)
    assert run_module(emit(sums(n, columns), host()), host(), [x, y], []) == 0
    np.testing.assert_array_equal(y, in_order(x))


@pytest.mark.parametrize("blocks", [1, 2])
def test_one_block_of_terms_is_exchanged_by_a_call(blocks: int) -> None:
    """Two folds share its function; longer ones have the shuffles in their loops."""
    columns = blocks * host().lanes("float32")
    x, y = buffer("x", (32, columns)), buffer("y", (32,), role="output")
    terms = [fold(name, name, load(x, I, R), integer(columns)) for name in ("sum", "max")]
    body = rows_of(integer(32), *terms, Store("y", (I,), op("add", *(Local(f.name, "float32") for f in terms))))
    text = emit(program((body,), x, y), host()).text
    assert text.count("call void @exchange.part") == (2 if blocks == 1 else 0)
    assert text.count("define hidden void @exchange.part") == (1 if blocks == 1 else 0)


def test_nan_goes_through_a_maximum() -> None:
    data = RNG.normal(size=(21, 40)).astype("float32")
    data[4, 39], data[20, 0] = np.nan, np.nan
    np.testing.assert_array_equal(run(sums(21, 40, reducer="max"), {"x": data})["y"], data.max(axis=1))


def test_two_loads_one_of_them_shifted_and_one_that_stays_in_its_row() -> None:
    """y[i] = sum over r of x[i, r + 1]*w[r] + v[i, r]"""
    x, v, w, y = buffer("x", (30, 41)), buffer("v", (30, 40)), buffer("w", (40,)), buffer("y", (30,), role="output")
    value = op("add", op("mul", load(x, I, op("add", R, integer(1))), load(w, R)), load(v, I, R))
    body = rows_of(integer(30), fold("s", "sum", value, integer(40)), Store("y", (I,), Local("s", "float32")))
    data = {b.name: RNG.normal(size=[int(d.value) for d in b.shape]).astype("float32") for b in (x, v, w)}  # type: ignore[union-attr]
    p = program((body,), x, v, w, y)
    assert not gathers(p)
    np.testing.assert_array_equal(run(p, data)["y"], in_order(data["x"][:, 1:] * data["w"] + data["v"]))


def test_rows_that_an_index_picks_are_gathered() -> None:
    """y[i] = sum over r of x[t[i], r]: rows do not follow the lanes."""
    x, t, y = buffer("x", (9, 24)), buffer("t", (18,), "int64"), buffer("y", (18,), role="output")
    body = rows_of(
        integer(18), fold("s", "sum", load(x, load(t, I), R), integer(24)), Store("y", (I,), Local("s", "float32"))
    )
    data, picked = RNG.normal(size=(9, 24)).astype("float32"), RNG.integers(0, 9, 18)
    np.testing.assert_array_equal(run(program((body,), x, t, y), {"x": data, "t": picked})["y"], in_order(data[picked]))


@pytest.mark.parametrize(("terms", "columns"), [(1000, 64), (40, 64), (64, 16), (129, 16), (3, 16)])
def test_terms_whose_guard_stops_holding(terms: int, columns: int) -> None:
    """y[i] = sum of x[r*columns + i] below `terms`: the last row is ragged, the others need no guard."""
    x, y = buffer("x", (terms,)), buffer("y", (columns,), role="output")
    place = op("add", op("mul", R, integer(columns)), I)
    guard = Op("lt", (place, integer(terms)), "bool")
    body = rows_of(
        integer(columns),
        fold("s", "sum", load(x, place), integer(-(-terms // columns)), guard),
        Store("y", (I,), Local("s", "float32")),
    )
    data = RNG.normal(size=terms).astype("float32")
    padded = np.zeros(-(-terms // columns) * columns, "float32")
    padded[:terms] = data
    found = run(program((body,), x, y), {"x": data})["y"]
    np.testing.assert_array_equal(found, in_order(padded.reshape(-1, columns).T))


def shifted(n: Expr, columns: Expr, shape: Sequence[int | str], *, condition: bool = False) -> Program:
    """y[i, j] = sqrt(abs(x[i, 0]))*x[i, j] - m[i], where the lanes hold rows; with a condition only where 0 < m[i]."""
    x, m, y = buffer("x", tuple(shape)), buffer("m", (shape[0],)), buffer("y", tuple(shape), role="output")
    size = op("sqrt", op("abs", load(x, I, integer(0))))
    value = op("sub", op("mul", size, load(x, I, J)), Local("v", "float32"))
    inner: For | If = For("j", integer(0), columns, (Store("y", (I, J), value),))
    if condition:
        inner = If(Op("lt", (Const(0.0, "float32"), load(m, I)), "bool"), (inner,))
    body = rows_of(n, Let("v", load(m, I)), inner)
    return program((body,), x, m, y, sizes=tuple(s for s in shape if isinstance(s, str)))


@pytest.mark.parametrize("condition", [False, True])
@pytest.mark.parametrize(("n", "columns"), [(16, 16), (37, 10), (5, 50), (1, 1), (20, 0), (0, 3)])
def test_stores_row_by_row(n: int, columns: int, condition: bool) -> None:
    p = shifted(Size("N"), Size("C"), ("N", "C"), condition=condition)
    assert "masked.scatter" not in emit(p, host()).text
    x, m = RNG.normal(size=(n, columns)).astype("float32"), RNG.normal(size=n).astype("float32")
    found = run(p, {"x": x, "m": m}, {"N": n, "C": columns})["y"]
    expected = np.sqrt(np.abs(x[:, :1])) * x - m[:, None] if columns else x
    if condition:
        expected = np.where(m[:, None] > 0, expected, np.float32(-7))
    np.testing.assert_array_equal(found, expected)


def test_the_same_bits_without_vectors() -> None:
    p = shifted(integer(23), integer(12), (23, 12))
    data = {"x": RNG.normal(size=(23, 12)).astype("float32"), "m": RNG.normal(size=23).astype("float32")}
    narrow = Program(p.name, p.sizes, p.buffers, without_vectors(p.body))
    assert run(p, data)["y"].tobytes() == run(narrow, data)["y"].tobytes()


def test_a_loop_that_reads_what_it_stores_stays_in_its_lanes() -> None:
    """y[i, j + 1] = y[i, j] + 1 carries a value from one iteration to the next."""
    y = buffer("y", (16, 9), role="state")
    carried = op("add", load(y, I, J), Const(1.0, "float32"))
    body = rows_of(integer(16), For("j", integer(0), integer(8), (Store("y", (I, op("add", J, integer(1))), carried),)))
    start = RNG.integers(0, 9, (16, 9)).astype("float32")
    found = run(program((body,), y), {"y": start})["y"]
    np.testing.assert_array_equal(found, start[:, :1] + np.arange(9, dtype="float32"))

"""Folds with their terms in lanes: bit for bit what the interpreter says, in scalar code and with rows in the lanes."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import Target, host
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Fold, For, Let, Program, Store
from graphnn.lower.verify import verify
from graphnn.simplify.expr import Axis, DType, Expr, Local, Range
from tests.emit.native import buffer, integer, load, op, program, run, run_module
from tests.emit.test_tile import targets

I, R = Axis("i"), Axis("r")
SIZES = {"M": 37, "N": 21}


def rows(columns: int | str, kind: str, lanes: int, reducer: str = "sum", dtype: DType = "float32") -> Program:
    """y[i] = the terms (x[i, r] - x[i, 0])^2 reduced by multiply-adds, or x[i, r] - x[i, 0] by another reducer."""
    x, y = buffer("x", ("M", columns), dtype), buffer("y", ("M",), dtype, "output")
    value: Expr = op("sub", load(x, I, R), Local("first", dtype))
    if reducer == "sum":
        value = op("mul", value, value)
    hi = x.shape[1]
    fold = Fold("s", reducer, (Range("r", integer(0), hi),), None, value, lanes=lanes)
    body = (Let("first", load(x, I, integer(0))), fold, Store("y", (I,), Local("s", dtype)))
    loop = For("i", integer(0), y.shape[0], body, kind)  # type: ignore[arg-type]
    return program((loop,), x, y, sizes=("M", "N"))


@pytest.mark.parametrize("target", targets(), ids=lambda t: f"{8 * t.vector_bytes}bit")
@pytest.mark.parametrize("kind", ["serial", "vector"])
@pytest.mark.parametrize("columns", [1, 16, 40, 200, "N"])
@pytest.mark.parametrize("lanes", [4, 16])
def test_the_bits_are_the_interpreters(target: Target, kind: str, columns: int | str, lanes: int) -> None:
    count = SIZES["N"] if columns == "N" else int(columns)
    x = np.random.default_rng(0).normal(size=(SIZES["M"], count)).astype("f4")
    given = rows(columns, kind, lanes)
    verify(given)
    expected = {"x": x, "y": np.zeros(SIZES["M"], "f4")}
    interpret(given, expected, SIZES)
    np.testing.assert_array_equal(run(given, {"x": x}, SIZES, target)["y"], expected["y"])


@pytest.mark.parametrize("reducer", ["max", "min", "sum", "prod"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_reducers_and_dtypes(reducer: str, dtype: DType) -> None:
    x = np.random.default_rng(0).integers(-3, 4, (SIZES["M"], 40)).astype(dtype)
    given = rows(40, "vector", 8, reducer, dtype)
    expected = {"x": x, "y": np.zeros(SIZES["M"], dtype)}
    interpret(given, expected, SIZES)
    np.testing.assert_array_equal(run(given, {"x": x}, SIZES)["y"], expected["y"])


@pytest.mark.parametrize("place", [0, 5, 39])
def test_nan_passes_through_a_largest(place: int) -> None:
    x = np.zeros((SIZES["M"], 40), np.float32)
    x[3, place] = np.nan
    y = run(rows(40, "vector", 16, "max"), {"x": x}, SIZES)["y"]
    assert np.isnan(y).tolist() == [n == 3 for n in range(SIZES["M"])]


def test_debug_mode_gives_the_same_bits() -> None:
    x = np.random.default_rng(0).normal(size=(SIZES["M"], 40)).astype("f4")
    given, found = rows(40, "vector", 16), np.zeros(SIZES["M"], np.float32)
    assert run_module(emit(given, host(), debug=True), host(), [x, found], list(SIZES.values())) == 0
    np.testing.assert_array_equal(found, run(given, {"x": x}, SIZES)["y"])

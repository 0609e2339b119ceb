"""The interpreter: scalar functions, dtypes, bounds, order of summation."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import numpy as np
import pytest

from graphnn.errors import CompileError
from graphnn.lower.ir import CHAIN, Accumulate, Buffer, Contract, Fold, For, If, Let, Program, Store, Transform, Way
from graphnn.simplify.expr import SCALARS, Local
from tests.lower.make import at, e, op, poison, run, span
from tests.oracle_rows.random import sample, threefry

NUMBERS = [-2.5, -1.0, -0.25, 0.0, 0.25, 1.0, 2.5]
POSITIVE = [0.125, 1.0, 7.5]
# fmt: off
ORACLES = {
    "add": lambda a, b: a + b,      "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,      "div": lambda a, b: a / b if b else math.copysign(math.inf, a) if a else math.nan,
    "neg": lambda a: 0 - a,         "abs": lambda a: max(a, -a),
    "floordiv": lambda a, b: math.floor(a / b), "mod": lambda a, b: a - b * math.floor(a / b),
    "max": max,                     "min": min,
    "sign": lambda a: (a > 0) - (a < 0),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)), "tanh": math.tanh,
    "exp": math.exp,                "expm1": math.expm1,
    "log": math.log,                "log1p": math.log1p,
    "sqrt": math.sqrt,              "pow": math.pow,
    "sin": math.sin,                "cos": math.cos,
    "erf": math.erf,                "erfc": math.erfc,
    "fma": lambda a, b, c: a * b + c,
    "lt": lambda a, b: a < b,       "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,      "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,    "or": lambda a, b: a or b,
    "not": lambda a: not a,
}
# fmt: on
POSITIVE_FIRST = {"log", "log1p", "sqrt", "pow"}
LOGICAL = {"and", "or", "not"}


def evaluate(fn, dtype, *columns):
    """y[i] = fn(a[i], b[i], ...) by the IR."""
    n = len(columns[0])
    args = [at(f"a{j}", "i", dtype=dtype) for j in range(len(columns))]
    result = "bool" if SCALARS[fn].result == "bool" else dtype
    buffers = [Buffer(f"a{j}", dtype, (e(n),), "input", (0,)) for j in range(len(columns))]
    buffers.append(Buffer("y", result, (e(n),), "output", (0,)))
    store = Store("y", (e("i"),), op(fn, *args, dtype=result))
    arrays = {f"a{j}": np.array(column, dtype) for j, column in enumerate(columns)}
    y = np.zeros(n, result)
    run(Program("p", (), tuple(buffers), (For("i", e(0), e(n), (store,)),)), {**arrays, "y": y})
    return y


def test_every_scalar_function_has_an_oracle():
    assert ORACLES.keys() | {"select", "cast", "threefry"} == SCALARS.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fn", sorted(ORACLES))
def test_scalar_function(fn, dtype):
    first = [False, True] if fn in LOGICAL else POSITIVE if fn in POSITIVE_FIRST else NUMBERS
    second = [False, True] if fn in LOGICAL else POSITIVE if fn in ("floordiv", "mod") else NUMBERS
    pools = [first, second, NUMBERS][: SCALARS[fn].arity]
    grid = [g.ravel() for g in np.meshgrid(*pools)]
    found = evaluate(fn, "bool" if fn in LOGICAL else dtype, *grid)
    rounded = [[float(np.array(x, dtype)) for x in column] for column in grid]
    expected = [ORACLES[fn](*point) for point in zip(*rounded, strict=True)]
    np.testing.assert_allclose(
        found.astype(float), expected, rtol=4e-7 if dtype == "float32" else 1e-15, atol=1e-6 if fn == "mod" else 3e-7
    )


@pytest.mark.parametrize(("fn", "expected"), [("floordiv", [-4, -1, 0, 3]), ("mod", [1, 1, 0, 1])])
def test_integers_round_towards_minus_infinity(fn, expected):
    assert evaluate(fn, "int64", [-7, -1, 0, 7], [2, 2, 2, 2]).tolist() == expected


def test_threefry_is_that_of_the_paper():
    key, counter = sample(np.random.default_rng(1))[0][0]
    assert evaluate("threefry", "int64", key, counter).tolist() == threefry(key, counter).tolist()


@pytest.mark.parametrize("fn", ["max", "min"])
def test_nan_propagates(fn):
    assert np.isnan(evaluate(fn, "float32", [np.nan, 1.0, np.nan], [1.0, np.nan, np.nan])).all()


def test_edges_are_quiet_and_right():
    assert evaluate("log", "float32", [0.0, -1.0])[0] == -np.inf
    assert evaluate("sigmoid", "float32", [-200.0, 200.0, -np.inf, np.inf]).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert evaluate("sigmoid", "float64", [-700.0])[0] == pytest.approx(math.exp(-700), rel=1e-12)
    assert np.isnan(evaluate("pow", "float32", [-8.0], [1 / 3]))
    assert evaluate("exp", "float32", [1000.0])[0] == np.inf
    assert np.isnan(evaluate("sign", "float32", [np.nan]))


def test_fma_rounds_once_in_float32():
    a = np.float32(1 + 2**-12)
    exact = Fraction(float(a)) ** 2 - 1
    assert evaluate("fma", "float32", [a], [a], [-1.0])[0] == np.float32(float(exact))
    assert np.float32(a * a) - np.float32(1) != np.float32(float(exact))


def program(*body, sizes=(), **shapes):
    """Buffers are float32, x an input and the rest outputs."""
    buffers = tuple(
        Buffer(name, "float32", tuple(map(e, shape)), "input" if name == "x" else "output", tuple(range(len(shape))))
        for name, shape in shapes.items()
    )
    return Program("p", sizes, buffers, body)


def test_float32_arithmetic_is_float32():
    fold = Fold("s", "sum", (span("r", 3),), None, at("x", "r"))
    y = poison()
    x = np.array([2**24, 1, 1], np.float32)
    run(program(fold, Store("y", (), Local("s", "float32")), x=(3,), y=()), {"x": x, "y": y})
    assert y == 2**24  # each 1 is rounded away; in float64 the sum would be 2**24 + 2


def test_fold_is_row_major_and_skips_where_its_guard_is_false():
    """acc = 10*acc + digit is not a reducer; max over an encoded position shows the points, fma the order."""
    guard = op("ne", op("mod", op("add", "r", "q"), 2), 0)
    fold = Fold("s", "sum", (span("r", 2), span("q", op("add", "r", 2))), guard, at("x", "r", "q"))
    x = np.array([[1e8, 1, 1e9], [-1e8, 7, -1e9]], np.float32)
    y = poison()
    run(program(fold, Store("y", (), Local("s", "float32")), x=(2, 3), y=()), {"x": x, "y": y})
    assert y == (np.float32(1) + np.float32(-1e8)) + np.float32(-1e9)


def test_select_reads_only_the_branch_it_takes():
    value = op("select", op("lt", "i", 2), at("x", "i"), 9.0)
    y = poison(4)
    run(program(For("i", e(0), e(4), (Store("y", (e("i"),), value),)), x=(2,), y=(4,)), {"x": np.ones(2, "f4"), "y": y})
    assert y.tolist() == [1, 1, 9, 9]


def test_if_let_and_accumulate():
    body = (
        Let("t", op("cast", "i", dtype="float32")),
        If(op("lt", 0, "i"), (Accumulate("y", (e(0),), "sum", Local("t", "float32")),)),
        Accumulate("y", (e(1),), "prod", op("add", Local("t", "float32"), 1.0)),
        Accumulate("y", (e(2),), "max", Local("t", "float32")),
        Accumulate("y", (e(3),), "min", Local("t", "float32")),
    )
    y = np.array([0, 1, -5, 5], np.float32)
    run(program(For("i", e(0), e(4), body), y=(4,)), {"y": y})
    assert y.tolist() == [6, 24, 3, 0]


@pytest.mark.parametrize("terms", [0, 1, CHAIN - 1, CHAIN, CHAIN + 1, 3 * CHAIN])
def test_contract_sums_in_chains(terms):
    """The first term dwarfs the rest of its chain; the other chains are summed before they meet it."""
    k = span("k", terms)
    store = Store("y", (e("m"), e("n")), Local("s", "float32"))
    stmt = Contract("s", span("m", 1), span("n", 1), (k,), at("x", "k", "m"), e(1.0), (store,))
    x, y = np.ones((terms, 1), np.float32), poison(1, 1)
    x[:1] = 2**25
    run(program(stmt, x=(terms, 1), y=(1, 1)), {"x": x, "y": y})
    chains = [2**25 if c == 0 else min(CHAIN, terms - c) for c in range(0, terms, CHAIN)]
    assert y[0, 0] == sum(chains)


@pytest.mark.parametrize("steps", [0, 1, CHAIN, CHAIN + 1])
def test_contract_in_lanes_adds_the_lanes_of_each_chain_in_halves(steps):
    """Lane 0 begins with a number that swallows what is added to it: lane 2 is added first, then lanes 1 and 3."""
    store = Store("y", (e("m"), e("n")), Local("s", "float32"))
    stmt = Contract(
        "s", span("m", 1), span("n", 1), (span("k", 4 * steps),), at("x", "k", "m"), e(1.0), (store,), lanes=4
    )
    x, y = np.zeros((4 * steps, 1), np.float32), poison(1, 1)
    if steps:
        x[:4, 0] = 2**25, 1, -(2**25), 1
        x[4::4] = 1  # lost in lane 0, but not in the next chain
    run(program(stmt, x=(4 * steps, 1), y=(1, 1)), {"x": x, "y": y})
    assert y[0, 0] == (0 if steps == 0 else 2 + (steps > CHAIN))


def test_fold_in_lanes_combines_the_lanes_in_halves():
    """Lane 0 begins with a number that swallows what is added to it: lane 2 is added first, then lanes 1 and 3."""
    x, y = np.array([2**25, 1, -(2**25), 1, 1, 1, 0], np.float32), poison()
    fold = Fold("s", "sum", (span("r", 7),), None, at("x", "r"), lanes=4)
    run(program(fold, Store("y", (), Local("s", "float32")), x=(7,), y=()), {"x": x, "y": y})
    assert y[()] == 3  # 2 of lane 1, 1 of lane 3; what lane 0 was given later is lost


def test_contract_is_a_matmul():
    a, b = np.random.default_rng(2).standard_normal((2, 5, 6)).astype(np.float32)
    x, y = np.stack([a, b]), poison(5, 5)
    store = Store("y", (e("m"), e("n")), Local("s", "float32"))
    stmt = Contract(
        "s", span("m", 5), span("n", 5), (span("k", 6),), at("x", 0, "m", "k"), at("x", 1, "n", "k"), (store,)
    )
    run(program(stmt, x=(2, 5, 6), y=(5, 5)), {"x": x, "y": y})
    np.testing.assert_allclose(y, a.astype(float) @ b.T, rtol=1e-5, atol=1e-6)


def test_a_transform_reads_all_before_it_writes():
    """In place: rows [1 1; 1 -1] and columns [1 0; 2 1] of what was there before."""
    x = np.array([[1, 2], [3, 4]], np.float32)
    ways = Way("p", "i", ((1.0, 1.0), (1.0, -1.0))), Way("q", "j", ((1.0, 0.0), (2.0, 1.0)))
    store = Store("x", (e("p"), e("q")), Local("v", "float32"))
    run(program(Transform("v", *ways, at("x", "i", "j"), (store,)), x=(2, 2)), {"x": x})
    assert x.tolist() == [[4, 14], [-2, -6]]


@pytest.mark.parametrize("index", [-1, 3])
def test_indices_are_checked(index):
    message = rf"\[.*\]: the index \({index},\) is outside the extents \(3,\)"
    bad_load = program(Store("y", (e(0),), at("x", index)), x=(3,), y=(3,))
    bad_store = program(Store("y", (e(index),), e(0.0)), y=(3,))
    for each in (bad_load, bad_store):
        with pytest.raises(CompileError, match=message):
            run(each, {"x": np.zeros(3, "f4"), "y": poison(3)})


def test_a_temp_that_is_read_before_it_is_written_shows():
    temp = Buffer("t", "float32", (e("N"),), "temp", (0,))
    made = program(Store("y", (), at("t", 0)), y=())
    y = poison()
    run(Program("p", ("N",), (*made.buffers, temp), made.body), {"y": y}, N=2)
    assert np.isnan(y)


def test_arrays_must_fit():
    made = program(Store("y", (e(0),), at("x", 0)), x=("N",), y=(1,), sizes=("N",))
    good = {"x": np.zeros(3, "f4"), "y": poison(1)}
    with pytest.raises(CompileError, match="no value for the size N"):
        run(made, good)
    with pytest.raises(CompileError, match="no array for the input x"):
        run(made, {"y": good["y"]}, N=3)
    with pytest.raises(CompileError, match=r"the input x must be float32\[4\], not float32\[3\]"):
        run(made, good, N=4)
    with pytest.raises(CompileError, match=r"the input x must be float32\[3\], not float64\[3\]"):
        run(made, {**good, "x": np.zeros(3)}, N=3)


def test_casts():
    value = op("cast", op("cast", at("x", "i"), dtype="int64"), dtype="float32")
    y = poison(4)
    x = np.array([-1.7, -0.2, 0.2, 1.7], np.float32)
    run(program(For("i", e(0), e(4), (Store("y", (e("i"),), value),)), x=(4,), y=(4,)), {"x": x, "y": y})
    assert y.tolist() == [-1, 0, 0, 1]


def test_a_hundred_thousand_terms_take_a_second_or_so():
    fold = Fold("s", "sum", (span("r", 1000),), None, op("mul", at("x", "r"), at("x", "r")))
    loop = For("i", e(0), e(100), (fold, Store("y", (e("i"),), Local("s", "float32"))))
    y = poison(100)
    start = time.process_time()
    run(program(loop, x=(1000,), y=(100,)), {"x": np.ones(1000, "f4"), "y": y})
    assert time.process_time() - start < 2
    assert (y == 1000).all()

"""Every scalar function against NumPy, in every dtype that has it; vectors against scalars, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from graphnn.errors import CompileError
from graphnn.lower.ir import For, Stmt, Store
from graphnn.simplify.expr import SCALARS, Axis, Const, DType, Op
from tests.emit.native import buffer, integer, load, program, run, without_vectors
from tests.oracle_rows.random import threefry


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of one number, for arrays of either float dtype."""
    return lambda x: np.array([function(float(a)) for a in x], x.dtype)


# fmt: off
FLOATS: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "fma": lambda a, b, c: (a.astype("longdouble") * b + c).astype(a.dtype), "pow": np.power, "sqrt": np.sqrt,
    "exp": np.exp, "log": np.log, "expm1": np.expm1, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": logistic,
    "sin": np.sin, "cos": np.cos, "erf": each(math.erf), "erfc": each(math.erfc),
    "abs": np.abs, "sign": np.sign, "max": np.maximum, "min": np.minimum,
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "select": np.where,
}
INTEGERS: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "floordiv": np.floor_divide,
    "mod": np.mod, "max": np.maximum, "min": np.minimum, "abs": np.abs,
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "select": np.where, "threefry": threefry,
}
BOOLS: dict[str, Callable[..., np.ndarray]] = {
    "and": np.logical_and, "or": np.logical_or, "not": np.logical_not, "eq": np.equal, "ne": np.not_equal,
    "select": np.where,
}
# fmt: on
APPROXIMATE = dict.fromkeys(("expm1", "log1p", "tanh", "sigmoid", "pow", "sin", "cos", "erf", "erfc"), 4)  # ulp
APPROXIMATE |= {"exp": 2, "log": 2}
COUNT = 16 * 23 + 5


def arguments(dtype: DType) -> list[np.ndarray]:
    """Three arrays: special values in all pairs, then random ones."""
    rng = np.random.default_rng(7)
    if dtype == "bool":
        return [rng.integers(0, 2, COUNT).astype(bool) for _ in range(3)]
    if dtype == "int64":
        a, b, c = (rng.integers(-50, 50, COUNT) for _ in range(3))
        return [a, np.abs(b) + 1, c]
    special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -3.0, np.inf, -np.inf, np.nan])
    pairs = np.array([(a, b) for a in special for b in special])
    rest = COUNT - len(pairs)
    a = np.concatenate([pairs[:, 0], rng.normal(0, 4, rest)])
    b = np.concatenate([pairs[:, 1], rng.normal(0, 4, rest)])
    return [x.astype(dtype) for x in (a, b, rng.normal(0, 4, COUNT))]


def results(dtype: DType, names: list[str], args: list[np.ndarray], vectors: bool) -> dict[str, np.ndarray]:
    i = Axis("i")
    inputs = [buffer(f"x{k}", (COUNT,), dtype) for k in range(3)]
    chooser = buffer("chooser", (COUNT,), "bool")
    outputs, body = [], []
    for name in names:
        scalar = SCALARS[name]
        loads = tuple(load(b, i) for b in inputs)
        operands = (load(chooser, i), *loads[:2]) if name == "select" else loads[: scalar.arity]
        result: DType = "bool" if scalar.result == "bool" else dtype
        outputs.append(buffer(name, (COUNT,), result, "output"))
        body.append(Store(name, (i,), Op(name, operands, result)))
    loop: tuple[Stmt, ...] = (For("i", integer(0), integer(COUNT), tuple(body), "vector"),)
    p = program(loop if vectors else without_vectors(loop), *inputs, chooser, *outputs)
    given = {b.name: a for b, a in zip(inputs, args, strict=True)}
    return run(p, given | {"chooser": np.arange(COUNT) % 3 == 0})


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a.view(np.uint8), b.view(np.uint8)))


@pytest.mark.parametrize(
    ("dtype", "table"), [("float32", FLOATS), ("float64", FLOATS), ("int64", INTEGERS), ("bool", BOOLS)]
)
def test_every_scalar_function_is_numpys(dtype: DType, table: dict[str, Callable[..., np.ndarray]]) -> None:
    args = arguments(dtype)
    vector, scalar = (results(dtype, list(table), args, vectors) for vectors in (True, False))
    for name, oracle in table.items():
        operands = args[: SCALARS[name].arity] if name != "select" else [np.arange(COUNT) % 3 == 0, *args[:2]]
        with np.errstate(all="ignore"):
            expected = np.asarray(oracle(*operands))
        if name == "fma" and dtype == "float64":  # longdouble rounds twice
            np.testing.assert_allclose(vector[name], expected, rtol=1e-15)
        elif name in APPROXIMATE:
            np.testing.assert_allclose(
                vector[name], expected, rtol=APPROXIMATE[name] * np.finfo(dtype).eps, err_msg=name
            )
        else:
            np.testing.assert_array_equal(vector[name], expected, err_msg=name)
        assert same_bits(vector[name], scalar[name]), name


def test_the_tables_leave_no_scalar_function_out() -> None:
    assert FLOATS.keys() | INTEGERS.keys() | BOOLS.keys() | {"cast"} == SCALARS.keys()


@pytest.mark.parametrize("source", ["float32", "float64", "int64", "bool"])
def test_cast_is_astype(source: DType) -> None:
    i = Axis("i")
    x = buffer("x", (37,), source)
    values = np.linspace(-9.5, 9.5, 37).astype(source)
    outputs = [buffer(f"to_{d}", (37,), d, "output") for d in ("float32", "float64", "int64", "bool")]
    body = tuple(Store(b.name, (i,), Op("cast", (load(x, i),), b.dtype)) for b in outputs)
    got = run(program((For("i", integer(0), integer(37), body, "vector"),), x, *outputs), {"x": values})
    for b in outputs:
        np.testing.assert_array_equal(got[b.name], values.astype(b.dtype), err_msg=b.name)


def test_a_float_outside_of_int64_casts_to_the_nearest() -> None:
    i = Axis("i")
    x, y = buffer("x", (4,), "float64"), buffer("y", (4,), "int64", "output")
    p = program((For("i", integer(0), integer(4), (Store("y", (i,), Op("cast", (load(x, i),), "int64")),)),), x, y)
    got = run(p, {"x": np.array([1e300, -1e300, np.inf, np.nan])})["y"]
    assert got.tolist() == [2**63 - 1, -(2**63), 2**63 - 1, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0, 7.0, -1.0, -2.0, 0.5, -0.5, 1.5, 20.0, 0.3])
def test_constant_exponents(dtype: DType, exponent: float) -> None:
    i = Axis("i")
    x, y = buffer("x", (21,), dtype), buffer("y", (21,), dtype, "output")
    value = Op("pow", (load(x, i), Const(exponent, dtype)), dtype)
    p = program((For("i", integer(0), integer(21), (Store("y", (i,), value),), "vector"),), x, y)
    base = np.linspace(0.25, 3.0, 21).astype(dtype) * (1 if exponent % 1 else -1)
    expected = np.power(base.astype("longdouble"), np.longdouble(exponent)).astype(dtype)
    np.testing.assert_allclose(run(p, {"x": base})["y"], expected, rtol=4 * np.finfo(dtype).eps)


def test_a_function_that_a_type_lacks_is_refused() -> None:
    x, y = buffer("x", (), "int64"), buffer("y", (), "int64", "output")
    with pytest.raises(CompileError, match="'sqrt' is not defined for i64"):
        run(program((Store("y", (), Op("sqrt", (load(x),), "int64")),), x, y), {"x": np.array(4)})

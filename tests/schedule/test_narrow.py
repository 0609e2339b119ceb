import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Buffer, Fold, For, Let, Program, Store
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import plan
from graphnn.schedule.narrow import narrow
from graphnn.simplify.expr import Axis, Const, Load, Local, Op, Range, Size, index_constant
from tests.emit.native import buffer, load, program, run
from tests.schedule.samples import condition, integer

I, R = Axis("i"), Axis("r")
TERMS = (Range("r", index_constant(0), index_constant(4)),)


def positions(value, reducer="min", guard=None, terms=TERMS, extent=37):
    """p[i] = the reduced values, y[i] = p[i] + i"""
    y, p = buffer("y", (extent,), "int64", role="output"), buffer("p", (extent,), "int64", role="temp")
    fold = Fold("s", reducer, terms, guard, value)
    first = For("i", index_constant(0), index_constant(extent), (fold, Store("p", (I,), Local("s", "int64"))), "vector")
    use = Store("y", (I,), integer("add", load(p, I), I))
    last = For("i", index_constant(0), index_constant(extent), (use,), "vector")
    return program((first, last), buffer("x", (extent * 4,)), y, p)


def found_at(x):
    """r where x[4i + r] is above 0, else 4."""
    place = integer("add", integer("mul", index_constant(4), I), R)
    return Op("select", (condition("lt", Const(0.0, "float32"), load(x, place)), R, index_constant(4)), "int64")


X = buffer("x", (37 * 4,))


def is_narrow(p):
    return narrow(p, Machine()).buffer("p").narrow


def test_docstring_example():
    """The position of a term is stored in a byte, and read back as it was."""
    before = positions(found_at(X))
    after = narrow(before, Machine())
    assert after.buffer("p").stored == "int8"
    assert [(x.name, x.item_bytes) for x in plan(after).lifetimes] == [("p", 1)]
    assert "i8" in emit(after, host()).text
    data = {"x": np.random.default_rng(0).normal(size=37 * 4).astype("float32")}
    windows = data["x"].reshape(-1, 4) > 0
    expected = np.where(windows.any(axis=1), windows.argmax(axis=1), 4) + np.arange(37)
    for p in (before, after):
        np.testing.assert_array_equal(run(p, data)["y"], expected)


@pytest.mark.parametrize("least", [-128, -129, 127, 124, 100])
def test_the_ends_of_a_byte(least):
    value = integer("add", R, index_constant(least))
    before = positions(value, reducer="max")
    assert is_narrow(before) == (least >= -128 and least + 3 <= 127)
    found = run(narrow(before, Machine()), {"x": np.zeros(37 * 4, "float32")})["y"]
    np.testing.assert_array_equal(found, least + 3 + np.arange(37))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"guard": condition("lt", R, I)}, id="over nothing a minimum is the largest number"),
        pytest.param({"terms": (Range("r", index_constant(0), I),)}, id="unknown extent"),
        pytest.param({"reducer": "sum"}, id="a sum"),
        pytest.param({"value": integer("mul", I, index_constant(4))}, id="too large"),
        pytest.param({"value": Load("p", (I,), "int64")}, id="loaded"),
    ],
)
def test_what_may_not_fit_keeps_its_size(changed):
    assert is_narrow(positions(**{"value": R, **changed})) is False


def test_a_size_of_the_call_is_not_known():
    p = Buffer("p", "int64", (Size("N"),), "temp", (0,))
    body = For("i", index_constant(0), Size("N"), (Let("v", I), Store("p", (I,), Local("v", "int64"))))
    assert not is_narrow(Program("sample", ("N",), (p,), (body,)))


def test_max_pooling_keeps_bytes_for_its_gradient():
    net = gn.Network()
    x = net.input("x", (2, 3, 8, 8))
    y = gn.max_pool(gn.exp(x), 2)
    (slope,) = gn.gradients(gn.sum(y * y * y), [x])
    program = gn.compile(slope, disable=["local"], cache=False)
    assert "int8[" in program.memory
    data = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype("float32")
    h = np.exp(data).reshape(2, 3, 4, 2, 4, 2)
    top = h.max(axis=(3, 5), keepdims=True)
    np.testing.assert_allclose(program(x=data), ((h == top) * 3 * top**3).reshape(data.shape), rtol=1e-5)

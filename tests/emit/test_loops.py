"""Loops, folds, gathers, guards and stores, built by hand, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.emit.module import emit, split_kernels
from graphnn.emit.target import host
from graphnn.errors import CompileError
from graphnn.lower.ir import Accumulate, Fold, For, If, Let, Store
from graphnn.simplify.expr import Axis, Local, Op, Range, Size
from tests.emit.native import both_ways, buffer, f32, integer, load, op, program, run, serial, vector

I, J, K = Axis("i"), Axis("j"), Axis("k")
N = Size("N")
RNG = np.random.default_rng(3)


def test_every_length_up_to_forty() -> None:
    x, y = buffer("x", ("N",)), buffer("y", ("N",), role="output")
    p = program((vector("i", N, Store("y", (I,), op("sqrt", op("abs", load(x, I))))),), x, y, sizes=("N",))
    for n in range(41):
        data = RNG.normal(size=n).astype("float32")
        np.testing.assert_array_equal(run(p, {"x": data}, {"N": n})["y"], np.sqrt(np.abs(data)))


@pytest.mark.parametrize("extent", [0, 1, 2, 3, 5, 8, 16, 17, 48])
def test_constant_extents(extent: int) -> None:
    x, y = buffer("x", (extent,)), buffer("y", (extent,), role="output")
    p = program((vector("i", integer(extent), Store("y", (I,), op("mul", load(x, I), f32(3.0)))),), x, y)
    data = RNG.normal(size=extent).astype("float32")
    np.testing.assert_array_equal(run(p, {"x": data})["y"], data * np.float32(3))


def test_bits_do_not_depend_on_the_position() -> None:
    """The same numbers at every position of body and tail have the same results."""
    x, y = buffer("x", ("N",)), buffer("y", ("N",), role="output")
    value = op("div", op("exp", load(x, I)), op("add", op("tanh", load(x, I)), f32(1.7)))
    p = program((vector("i", N, Store("y", (I,), value)),), x, y, sizes=("N",))
    for number in RNG.normal(size=5):
        results = [run(p, {"x": np.full(n, number, "float32")}, {"N": n})["y"] for n in (1, 16, 37)]
        assert len({r.tobytes() for array in results for r in array}) == 1


@pytest.mark.parametrize("layout", [(0, 1), (1, 0)])
@pytest.mark.parametrize("lanes_axis", ["i", "j"])
def test_layouts_and_strides(layout: tuple[int, int], lanes_axis: str) -> None:
    """z[i, j] = 2*x[i, j] - w[j, 2*i + 1] with the lanes along either axis of either layout."""
    x, z = buffer("x", (19, 23), layout=layout), buffer("z", (19, 23), role="output", layout=layout)
    w = buffer("w", (23, 40))
    strided = op("add", op("mul", integer(2), I), integer(1))
    body = Store("z", (I, J), op("sub", op("mul", f32(2.0), load(x, I, J)), load(w, J, strided)))
    if lanes_axis == "i":
        loops = serial("j", integer(23), vector("i", integer(19), body))
    else:
        loops = serial("i", integer(19), vector("j", integer(23), body))
    a, b = RNG.normal(size=(19, 23)).astype("float32"), RNG.normal(size=(23, 40)).astype("float32")
    got = both_ways(program((loops,), x, w, z), {"x": a, "w": b})
    np.testing.assert_array_equal(got["z"], 2 * a - b[:, 1:39:2].T)


def test_gather_by_an_integer_operand() -> None:
    table, token, y = buffer("t", (7, 5)), buffer("token", ("N",), "int64"), buffer("y", ("N", 5), role="output")
    e, n = RNG.normal(size=(7, 5)).astype("float32"), RNG.integers(0, 7, 33)
    copy = Store("y", (I, J), load(table, load(token, I), J))
    for loops in (vector("i", N, serial("j", integer(5), copy)), serial("i", N, vector("j", integer(5), copy))):
        got = both_ways(program((loops,), table, token, y, sizes=("N",)), {"t": e, "token": n}, N=33)
        np.testing.assert_array_equal(got["y"], e[n])


@pytest.mark.parametrize(("reducer", "oracle"), [("max", np.max), ("min", np.min), ("prod", np.prod)])
def test_fold_in_lanes(reducer: str, oracle: object) -> None:
    x, y = buffer("x", ("N", 9)), buffer("y", ("N",), role="output")
    fold = Fold("t", reducer, (Range("j", integer(0), integer(9)),), None, load(x, I, J))
    p = program((vector("i", N, fold, Store("y", (I,), Local("t", "float32"))),), x, y, sizes=("N",))
    data = RNG.normal(size=(21, 9)).astype("float32")
    got = both_ways(p, {"x": data}, N=21)["y"]
    np.testing.assert_allclose(got, oracle(data, axis=1), rtol=1e-6)  # type: ignore[operator]
    if reducer != "prod":
        np.testing.assert_array_equal(got, oracle(data, axis=1))  # type: ignore[operator]
        data[4, 0] = data[7, 8] = np.nan
        assert np.isnan(both_ways(p, {"x": data}, N=21)["y"]).nonzero()[0].tolist() == [4, 7]


def test_fold_over_nothing_is_the_identity() -> None:
    ys = [buffer(name, (3,), role="output") for name in ("sum", "prod", "max", "min")]
    x = buffer("x", ("N",))
    body = [
        s
        for y in ys
        for s in (
            Fold("t", y.name, (Range("j", integer(0), N),), None, load(x, J)),
            Store(y.name, (I,), Local("t", "float32")),
        )
    ]
    got = run(program((serial("i", integer(3), *body),), x, *ys, sizes=("N",)), {"x": np.ones(0, "f")}, {"N": 0})
    assert [got[y.name][0] for y in ys] == [0, 1, -np.inf, np.inf]


def test_sum_of_products_is_one_fma_chain() -> None:
    """Row-major order, one rounding a term: the chain computed in exact arithmetic gives the same bits."""
    a, b, y = buffer("a", (6, 11)), buffer("b", (11, 4, 18)), buffer("y", (6, 18), role="output")
    value = op("mul", load(a, I, K), load(b, K, J, Axis("l")))
    fold = Fold("t", "sum", (Range("k", integer(0), integer(11)), Range("j", integer(0), integer(4))), None, value)
    loops = serial("i", integer(6), vector("l", integer(18), fold, Store("y", (I, Axis("l")), Local("t", "float32"))))
    p, q = RNG.normal(size=(6, 11)).astype("float32"), RNG.normal(size=(11, 4, 18)).astype("float32")
    got = both_ways(program((loops,), a, b, y), {"a": p, "b": q})["y"]
    total = np.zeros((6, 18), "float32")
    for k in range(11):
        for j in range(4):  # a product of two float32 is exact in float64, its sum nearly always
            total = (total.astype("float64") + p[:, k, None].astype("float64") * q[k, j]).astype("float32")
    np.testing.assert_array_equal(got, total)


@pytest.mark.parametrize("uniform", [True, False])
def test_guard_skips_terms(uniform: bool) -> None:
    """y[i] = sum of x[i + j - 2] where that lies inside; or of the terms with j even."""
    x, y = buffer("x", (30,)), buffer("y", (30,), role="output")
    at = op("sub", op("add", I, J), integer(2))
    inside = op("and", op("le", integer(0), at), op("lt", at, integer(30)))
    if uniform:
        at, inside = J, op("eq", op("mod", J, integer(2)), integer(0))
    fold = Fold("t", "sum", (Range("j", integer(0), integer(5)),), inside, load(x, at))
    p = program((vector("i", integer(30), fold, Store("y", (I,), Local("t", "float32"))),), x, y)
    data = RNG.integers(-99, 99, 30).astype("float32")
    expected = np.convolve(data, np.ones(5), "same") if not uniform else np.full(30, data[0] + data[2] + data[4])
    np.testing.assert_array_equal(both_ways(p, {"x": data})["y"], expected)


def test_nested_loops_lets_and_conditions_in_lanes() -> None:
    """for i in lanes: for j < 3: d = x[i] + j; if d > 0: y[j, i] = d*d."""
    x, y = buffer("x", (29,)), buffer("y", (3, 29), role="state")
    d = Local("d", "float32")
    inner = serial(
        "j",
        integer(3),
        Let("d", op("add", load(x, I), Op("cast", (J,), "float32"))),
        If(op("lt", f32(0.0), d), (Store("y", (J, I), op("mul", d, d)),)),
    )
    data, old = RNG.normal(0, 3, 29).astype("float32"), RNG.normal(size=(3, 29)).astype("float32")
    got = both_ways(program((vector("i", integer(29), inner),), x, y), {"x": data, "y": old})
    shifted = data + np.arange(3, dtype="float32")[:, None]
    np.testing.assert_array_equal(got["y"], np.where(shifted > 0, shifted * shifted, old))


def test_a_condition_that_all_lanes_share() -> None:
    y = buffer("y", (4, 20), role="state")
    body = If(op("lt", I, integer(2)), (Store("y", (I, J), Op("cast", (op("add", I, J),), "float32")),))
    p = program((serial("i", integer(4), vector("j", integer(20), body)),), y)
    got = both_ways(p, {"y": np.full((4, 20), 5, "float32")})["y"]
    np.testing.assert_array_equal(got, np.where(np.arange(4)[:, None] < 2, np.add.outer(range(4), range(20)), 5))


def test_update_of_a_state_and_stale_loads() -> None:
    """w = w - g; v = w: the second load sees the store, though the expression is the same."""
    w, g, v = buffer("w", (21,), role="state"), buffer("g", (21,)), buffer("v", (21,), role="output")
    first = Store("w", (I,), op("sub", load(w, I), load(g, I)))
    p = program((vector("i", integer(21), first, Store("v", (I,), op("sub", load(w, I), load(g, I)))),), w, g, v)
    a, b = RNG.normal(size=21).astype("float32"), RNG.normal(size=21).astype("float32")
    got = both_ways(p, {"w": a, "g": b})
    np.testing.assert_array_equal(got["w"], a - b)
    np.testing.assert_array_equal(got["v"], (a - b) - b)


def test_a_load_before_a_loop_that_stores() -> None:
    """s[0] = x; for i < 4: s[0] = s[0] + s[0]: what was known before the loop is not known in it."""
    s = buffer("s", (1,), role="state")
    zero = integer(0)
    double = Store("s", (zero,), op("add", load(s, zero), load(s, zero)))
    p = program((double, serial("i", integer(4), double), double), s)
    assert run(p, {"s": np.array([1.5], "float32")})["s"] == [1.5 * 2**6]


def test_a_load_after_a_loop_that_stores() -> None:
    """v[0] = s[0]; for i < N: s[0] = sqrt(x[0]) + i; v[1] = s[0]: the loop stands in a block with its invariants."""
    s, x, v = buffer("s", (1,), role="state"), buffer("x", (1,)), buffer("v", (2,), role="output")
    zero = integer(0)
    grow = Store("s", (zero,), op("add", op("sqrt", load(x, zero)), Op("cast", (I,), "float32")))
    copies = tuple(Store("v", (integer(k),), load(s, zero)) for k in range(2))
    once = serial("j", integer(1), copies[0], serial("i", N, grow), copies[1])
    got = both_ways(program((once,), s, x, v, sizes=("N",)), {"s": np.ones(1, "f"), "x": np.full(1, 4, "f")}, N=3)
    assert got["v"].tolist() == [1, 4]


def test_accumulate_scatters() -> None:
    """d[token[n], j] += g[n, j] with repeated tokens, in ascending n; and the running maximum of them."""
    d, m = buffer("d", (5, 18), role="state"), buffer("m", (5, 18), role="state")
    token, g = buffer("token", ("N",), "int64"), buffer("g", ("N", 18))
    row = load(token, I)
    adds = (Accumulate("d", (row, J), "sum", load(g, I, J)), Accumulate("m", (row, J), "max", load(g, I, J)))
    p = program((serial("i", N, vector("j", integer(18), *adds)),), d, m, token, g, sizes=("N",))
    tokens, grads = RNG.integers(0, 5, 25), RNG.normal(size=(25, 18)).astype("float32")
    start = np.zeros((5, 18), "float32")
    expected, largest = start.copy(), start.copy()
    np.add.at(expected, tokens, grads)
    np.maximum.at(largest, tokens, grads)
    got = both_ways(p, {"d": start, "m": start, "token": tokens, "g": grads}, N=25)
    np.testing.assert_array_equal(got["d"], expected)
    np.testing.assert_array_equal(got["m"], largest)


def test_scatter_in_lanes_and_bool_buffers() -> None:
    """y[p[i]] = not x[i] for a permutation p: the lanes write different elements."""
    x, y = buffer("x", (35,), "bool"), buffer("y", (35,), "bool", "output")
    p = buffer("p", (35,), "int64")
    loops = vector("i", integer(35), Store("y", (load(p, I),), op("not", load(x, I))))
    order, data = RNG.permutation(35), RNG.integers(0, 2, 35).astype(bool)
    expected = np.empty(35, bool)
    expected[order] = ~data
    np.testing.assert_array_equal(both_ways(program((loops,), x, p, y), {"x": data, "p": order})["y"], expected)


def test_mixed_dtypes_take_the_widest_floats_lanes() -> None:
    x, y = buffer("x", (27,), "float64"), buffer("y", (27,), role="output")
    value = Op("cast", (op("mul", load(x, I), Op("cast", (I,), "float64")),), "float32")
    p = program((vector("i", integer(27), Store("y", (I,), value)),), x, y)
    data = RNG.normal(size=27)
    np.testing.assert_array_equal(both_ways(p, {"x": data})["y"], (data * np.arange(27)).astype("float32"))
    lanes = host().lanes("float64")
    assert f"<{lanes} x double>" in emit(p, host()).text


def test_lanes_that_store_to_one_element_are_refused() -> None:
    y = buffer("y", (3,), role="output")
    with pytest.raises(CompileError, match=r"'i' all store to one element of 'y'"):
        emit(program((vector("i", integer(9), Store("y", (integer(0),), f32(1.0))),), y), host())


def test_an_index_through_a_local_of_the_lanes() -> None:
    """j = 34 - i; y[i] = x[j]: the index varies though it does not name the axis."""
    x, y = buffer("x", (35,)), buffer("y", (35,), role="output")
    body = (Let("j", op("sub", integer(34), I)), Store("y", (I,), load(x, Local("j", "int64"))))
    data = RNG.normal(size=35).astype("float32")
    got = both_ways(program((vector("i", integer(35), *body),), x, y), {"x": data})
    np.testing.assert_array_equal(got["y"], data[::-1])


def test_a_local_of_the_top_level_stays_in_its_kernel() -> None:
    """t = sum(...); y[0] = t; for ...  ->  (t = sum(...); y[0] = t), (for ...)"""
    x, y, z = buffer("x", (8,)), buffer("y", (1,), role="output"), buffer("z", (8,), role="output")
    fold = Fold("t", "sum", (Range("j", integer(0), integer(8)),), None, load(x, J))
    store = Store("y", (integer(0),), Local("t", "float32"))
    loop = vector("i", integer(8), Store("z", (I,), load(x, I)))
    assert split_kernels((fold, store, loop)) == ((fold, store), (loop,))
    assert split_kernels((fold, loop, store)) == ((fold, loop, store),)
    p = program((fold, store, loop), x, y, z)
    data = RNG.integers(0, 9, 8).astype("float32")
    assert run(p, {"x": data})["y"] == [data.sum()]
    assert emit(p, host()).kernels == ("graphnn_kernel0", "graphnn_kernel1")


def test_a_common_subexpression_is_computed_once() -> None:
    x, y = buffer("x", (32,)), buffer("y", (32,), role="output")
    root = op("sqrt", load(x, I))
    p = program((vector("i", integer(32), Store("y", (I,), op("add", op("mul", root, root), root))),), x, y)
    text = emit(p, host()).text
    assert text.count("call <16 x float> @llvm.sqrt") == 1 or host().vector_bytes != 64
    assert text.count(" = load <") == 1


def test_no_flag_lets_llvm_change_the_arithmetic() -> None:
    x, y = buffer("x", ("N",)), buffer("y", ("N",), role="output")
    value = op("add", op("mul", load(x, I), load(x, I)), op("exp", load(x, I)))
    text = emit(program((vector("i", N, Store("y", (I,), value)),), x, y, sizes=("N",)), host()).text
    assert not {"fast", "contract", "reassoc", "nnan", "ninf", "nsz", "arcp", "afn", "fmuladd"} & set(text.split())
    assert "inttoptr" not in text
    assert "ptrtoint" not in text


def test_emission_is_deterministic_and_noalias() -> None:
    x, y = buffer("x", ("N",)), buffer("y", ("N",), role="output")
    p = program((vector("i", N, Store("y", (I,), load(x, I))),), x, y, sizes=("N",))
    text = emit(p, host()).text
    assert text == emit(p, host()).text
    assert "ptr noalias %b0, ptr noalias readonly %b1" in text


def test_what_does_not_change_in_a_loop_is_computed_before_it() -> None:
    """for j: y[i, j] = sqrt(x[i])*w[j]  ->  t = sqrt(x[i]); for j: y[i, j] = t*w[j]; not if the loop stores to x."""
    x, w, y = buffer("x", (4,)), buffer("w", ("N",)), buffer("y", (4, "N"), role="output")
    root = op("sqrt", load(x, I))
    p = program(
        (serial("i", integer(4), vector("j", N, Store("y", (I, J), op("mul", root, load(w, J))))),),
        x, w, y, sizes=("N",),
    )  # fmt: skip
    assert emit(p, host()).text.count("call float @llvm.sqrt.f32") == 1
    a, b = RNG.uniform(1, 2, 4).astype("float32"), RNG.normal(size=33).astype("float32")
    np.testing.assert_array_equal(both_ways(p, {"x": a, "w": b}, N=33)["y"], np.outer(np.sqrt(a), b))
    both_ways(p, {"x": a, "w": b[:0]}, N=0)

    s = buffer("s", (2,), role="state")
    growing = serial("j", N, Store("s", (integer(1),), op("add", load(s, integer(1)), load(s, integer(0)))))
    got = both_ways(program((growing,), s, sizes=("N",)), {"s": np.array([1, 1], "float32")}, N=5)
    assert got["s"].tolist() == [1, 6]


def test_an_invariant_load_of_a_loop_that_does_not_run_is_not_read() -> None:
    x, y = buffer("x", (1,)), buffer("y", ("N",), role="output")
    p = program((vector("i", N, Store("y", (I,), load(x, integer(10**12)))),), x, y, sizes=("N",))
    assert both_ways(p, {"x": np.ones(1, "float32")}, N=0)["y"].size == 0


@pytest.mark.parametrize(("n", "columns"), [(0, 3), (3, 0), (5, 20)])
def test_scalars_are_computed_outside_of_all_loops(n: int, columns: int) -> None:
    """y[i, j] = x[i, j]*exp(t[]) + sqrt(w[0]): exp once, before the loops; w may be empty: inside."""
    x, t, w, y = buffer("x", ("N", "C")), buffer("t", ()), buffer("w", ("C",)), buffer("y", ("N", "C"), role="output")
    value = op("add", op("mul", load(x, I, J), op("exp", load(t))), op("sqrt", load(w, integer(0))))
    nest = For("i", integer(0), N, (vector("j", Size("C"), Store("y", (I, J), value)),), "parallel")
    p = program((nest,), x, t, w, y, sizes=("N", "C"))
    before, _, inside = emit(p, host()).text.partition("= phi i64")
    assert "@llvm.fma.f32" in before
    assert "@llvm.fma" not in inside.split("\ndefine")[0].replace("declare", "")
    assert "@llvm.sqrt.f32" in inside
    arrays = {
        "x": RNG.normal(size=(n, columns)).astype("float32"),
        "t": np.array(0.5, "float32"),
        "w": RNG.uniform(1, 2, columns).astype("float32"),
    }
    both_ways(p, arrays, N=n, C=columns)

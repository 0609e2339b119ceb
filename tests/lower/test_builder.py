"""Formulas lowered and interpreted, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.errors import CompileError
from graphnn.lower.builder import lower
from graphnn.lower.ir import Fold, For, Store
from graphnn.lower.printer import print_program
from graphnn.simplify.expr import Origin, Reduce, Size
from graphnn.simplify.formula import Formula
from tests.lower.make import array, at, e, formulas, op, poison, run, span, total

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def layer_program():
    product = total("sum", [span("k", 4)], op("mul", at("x", "i", "k"), at("W", "k", "j")))
    arrays = [
        array("input", "x", "N", 4),
        array("state", "W", 4, 8),
        array("state", "b", 8),
        array("output", "h", "N", 8),
    ]
    body = op("tanh", op("add", at("b", "j"), product))
    return formulas(arrays, ("h", [span("i", "N"), span("j", 8)], body), sizes="N")


def test_layer_is_the_nest_of_the_docstring():
    assert print_program(lower(layer_program())) == (
        "program p(N)\n"
        "  input x: float32[N, 4]\n"
        "  state W: float32[4, 8]\n"
        "  state b: float32[8]\n"
        "  output h: float32[N, 8]\n"
        "  for i0 in 0 .. N:\n"
        "    for i1 in 0 .. 8:\n"
        "      fold s0 = sum[0 <= r0 < 4] fma(x[i0, r0], W[r0, i1], s0)\n"
        "      h[i0, i1] = tanh((b[i1] + s0))\n"
    )


@pytest.mark.parametrize("n", [0, 1, 5])
def test_layer(n):
    x, W, b, h = normal(n, 4), normal(4, 8), normal(8), poison(n, 8)
    run(lower(layer_program()), {"x": x, "W": W, "b": b, "h": h}, N=n)
    np.testing.assert_allclose(h, np.tanh(x.astype(np.float64) @ W + b), rtol=2e-6, atol=1e-6)


def test_softmax_in_pieces():
    arrays = [array("input", "z", "N", "M"), array("temp", "top", "N"), array("temp", "mass", "N")]
    arrays.append(array("output", "p", "N", "M"))
    shifted = op("exp", op("sub", at("z", "i", "k"), at("top", "i")))
    program = formulas(
        arrays,
        ("top", [span("i", "N")], total("max", [span("k", "M")], at("z", "i", "k"))),
        ("mass", [span("i", "N")], total("sum", [span("k", "M")], shifted)),
        ("p", [span("i", "N"), span("k", "M")], op("div", shifted, at("mass", "i"))),
        sizes="N M",
    )
    z, p = 50 * normal(3, 7), poison(3, 7)
    run(lower(program), {"z": z, "p": p}, N=3, M=7)
    wide = np.exp(z.astype(np.float64) - z.max(1, keepdims=True))
    np.testing.assert_allclose(p, wide / wide.sum(1, keepdims=True), rtol=1e-5, atol=1e-30)


def test_mean_into_a_scalar():
    mean = op(
        "div",
        total("sum", [span("a", "N"), span("b", 3)], at("x", "a", "b")),
        op("cast", op("mul", "N", 3), dtype="float32"),
    )
    program = formulas([array("input", "x", "N", 3), array("output", "m")], ("m", [], mean), sizes="N")
    lowered = lower(program)
    assert [type(s) for s in lowered.body] == [Fold, Store]
    x, m = normal(5, 3), poison()
    run(lowered, {"x": x, "m": m}, N=5)
    np.testing.assert_allclose(m, x.mean(dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize(("reducer", "empty"), [("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf)])
@pytest.mark.parametrize("n", [0, 4])
def test_reducers(reducer, empty, n):
    arrays = [array("input", "x", 2, "N"), array("output", "y", 2)]
    program = formulas(arrays, ("y", [span("i", 2)], total(reducer, [span("k", "N")], at("x", "i", "k"))), sizes="N")
    x, y = normal(2, n), poison(2)
    run(lower(program), {"x": x, "y": y}, N=n)
    expected = getattr(np, reducer)(x, axis=1) if n else np.full(2, empty)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize(("reducer", "numpy"), [("max", np.max), ("min", np.min)])
def test_extremes_propagate_nan(reducer, numpy):
    arrays = [array("input", "x", 3), array("output", "y")]
    program = lower(formulas(arrays, ("y", [], total(reducer, [span("k", 3)], at("x", "k")))))
    for place in range(3):
        x, y = np.array([1, 2, 3], np.float32), poison()
        x[place] = np.nan
        run(program, {"x": x, "y": y})
        assert np.isnan(y)
        assert np.isnan(numpy(x))


def test_integer_maximum_of_nothing():
    arrays = [array("input", "x", "N", dtype="int64"), array("output", "y", dtype="int64")]
    program = formulas(arrays, ("y", [], total("max", [span("k", "N")], at("x", "k", dtype="int64"))), sizes="N")
    y = poison(dtype="int64")
    run(lower(program), {"x": np.zeros(0, np.int64), "y": y}, N=0)
    assert y == -(2**63 - 1)


def test_one_fold_for_equal_reductions_and_two_for_two():
    s = total("sum", [span("k", 3)], at("x", "k"))
    m = total("max", [span("k", 3)], at("x", "k"))
    arrays = [array("input", "x", 3), array("output", "y")]
    lowered = lower(formulas(arrays, ("y", [], op("mul", op("mul", s, s), m))))
    assert [type(stmt) for stmt in lowered.body] == [Fold, Fold, Store]
    x, y = normal(3), poison()
    run(lowered, {"x": x, "y": y})
    np.testing.assert_allclose(y, x.sum(dtype=np.float64) ** 2 * x.max(), rtol=1e-5)


def test_nested_reduction_is_refused():
    inner = total("sum", [span("a", 3)], at("x", "a"))
    outer = total("max", [span("b", 3)], op("mul", inner, at("x", "b")))
    with pytest.raises(CompileError, match="the formula of y holds a reduction inside a reduction"):
        lower(formulas([array("input", "x", 3), array("output", "y")], ("y", [], outer)))


def test_update_is_a_copy_after_every_formula():
    """w <- 2*w while y, computed after it in the program, reads the old w."""
    arrays = [array("state", "w", "N"), array("temp", "t", "N"), array("output", "y", "N")]
    program = formulas(
        arrays,
        ("t", [span("i", "N")], op("add", at("w", "i"), at("w", "i"))),
        ("y", [span("i", "N")], op("add", at("w", "i"), 1.0)),
        sizes="N",
        updates=(("w", "t"),),
    )
    w, y = np.arange(4, dtype=np.float32), poison(4)
    run(lower(program), {"w": w, "y": y}, N=4)
    np.testing.assert_array_equal(w, [0, 2, 4, 6])
    np.testing.assert_array_equal(y, [1, 2, 3, 4])


@pytest.mark.parametrize(("role", "shape"), [("state", 3), ("temp", 4)])
def test_update_from_elsewhere_is_refused(role, shape):
    arrays = [array("state", "w", 3), array(role, "t", shape)]
    with pytest.raises(CompileError, match="the update w <- t must copy another array of the same shape"):
        lower(formulas(arrays, updates=(("w", "t"),)))


def test_names_are_unique_and_skip_sizes():
    axes = [span("i", Size("i1"))]
    arrays = [array("input", "x", Size("i1")), array("output", "y", Size("i1")), array("output", "z", Size("i1"))]
    lowered = lower(formulas(arrays, ("y", axes, at("x", "i")), ("z", axes, at("x", "i")), sizes="i1"))
    assert [stmt.axis for stmt in lowered.body if isinstance(stmt, For)] == ["i0", "i2"]


def test_names_of_the_formulas_do_not_show():
    def text(i, k):
        body = total("sum", [span(k, "N")], op("mul", at("x", i, k), at("x", k, i)))
        arrays = [array("input", "x", "N", "N"), array("output", "y", "N")]
        return print_program(lower(formulas(arrays, ("y", [span(i, "N")], body), sizes="N")))

    assert text("a", "b") == text("r0", "i0")


def test_origins_reach_the_statements():
    mine, inner = Origin("hidden"), Origin("hidden", rule="adjoint")
    product = Reduce("sum", (span("k", 3),), None, at("x", "k"), inner)
    program = formulas([array("input", "x", 3), array("output", "y")])
    program = type(program)("p", (), program.arrays, (Formula("y", (), op("exp", product), mine),))
    fold, store = lower(program).body
    assert isinstance(fold, Fold)
    assert isinstance(store, Store)
    assert fold.origin is inner
    assert store.origin is mine


def test_reduction_in_a_branch_reads_only_where_the_branch_is_taken():
    """y[i] = i == 0 ? 0 : sum_k x[i - 1, k]: the row before the first is never read."""
    row = total("sum", [span("k", "M")], at("x", op("sub", "i", 1), "k"))
    body = op("select", op("eq", "i", 0), 0.0, row)
    arrays = [array("input", "x", "N", "M"), array("output", "y", "N")]
    program = lower(formulas(arrays, ("y", [span("i", "N")], body), sizes="N M"))
    assert "sum[0 <= r0 < M if (not (i0 == 0))]" in print_program(program)
    x, y = normal(3, 5), poison(3)
    run(program, {"x": x, "y": y}, N=3, M=5)
    np.testing.assert_allclose(y, [0, *x[:2].sum(1)], rtol=1e-6)


def test_reduction_in_a_branch_that_would_read_one_past_the_end():
    """y[i] = i < 3 ? sum of x[i : i + 3] : 9, for x of 5 elements: i = 3 would read x[5]."""
    body = op("select", op("lt", "i", 3), total("sum", [span("k", 3)], at("x", op("add", "i", "k"))), 9.0)
    arrays = [array("input", "x", 5), array("output", "y", 4)]
    x, y = normal(5), poison(4)
    run(lower(formulas(arrays, ("y", [span("i", 4)], body))), {"x": x, "y": y})
    np.testing.assert_allclose(y, [x[0:3].sum(), x[1:4].sum(), x[2:5].sum(), 9], rtol=1e-6)


def test_reduction_in_a_branch_stays_unguarded_where_it_is_in_range():
    """relu of a matmul's row: the guard would keep the fold from becoming a contraction."""
    row = total("sum", [span("k", "M")], at("x", "i", "k"))
    body = op("select", op("lt", at("x", "i", 0), 0.0), row, 0.0)
    arrays = [array("input", "x", "N", "M"), array("output", "y", "N")]
    program = lower(formulas(arrays, ("y", [span("i", "N")], body), sizes="N M"))
    assert "sum[0 <= r0 < M] x[i0, r0]" in print_program(program)


# The adjoint of a gather.


def gather_adjoint(guarded: bool, factor=None):
    hit = op("eq", at("token", "n", dtype="int64"), "v")
    g = at("g", "n", "d")
    reduction = (
        total("sum", [span("n", "N")], g, hit) if guarded else total("sum", [span("n", "N")], op("select", hit, g, 0.0))
    )
    body = reduction if factor is None else op("mul", factor, reduction)
    arrays = [array("input", "token", "N", dtype="int64"), array("input", "g", "N", 2), array("output", "out", "V", 2)]
    return formulas(arrays, ("out", [span("v", "V"), span("d", 2)], body), sizes="N V")


SCATTERED = """\
  for i0 in 0 .. V:
    for i1 in 0 .. 2:
      out[i0, i1] = 0.0
  for r0 in 0 .. N:
    for i2 in 0 .. 2:
      out[token[r0], i2] = (out[token[r0], i2] + g[r0, i2])
"""


def scattered(token, g, extent):
    out = np.zeros((extent, g.shape[1]))
    np.add.at(out, token, g)
    return out


@pytest.mark.parametrize("guarded", [True, False])
def test_gather_adjoint_is_a_scatter(guarded):
    lowered = lower(gather_adjoint(guarded))
    assert print_program(lowered).endswith(SCATTERED)
    token, g, out = np.array([3, 0, 3, 1, 3]), normal(5, 2), poison(4, 2)
    run(lowered, {"token": token, "g": g, "out": out}, N=5, V=4)
    np.testing.assert_allclose(out, scattered(token, g, 4), rtol=1e-5, atol=1e-6)


def test_scatter_with_something_done_to_the_sum():
    token, g, out = np.array([1, 1, 0]), normal(3, 2), poison(3, 2)
    run(lower(gather_adjoint(True, factor=e(-2.0))), {"token": token, "g": g, "out": out}, N=3, V=3)
    np.testing.assert_allclose(out, -2 * scattered(token, g, 3), rtol=1e-5, atol=1e-6)


def test_scatter_by_a_computed_index_skips_what_is_outside():
    """out[v] = sum over n where token[n] == v + 1 and mask[n] of g[n, v]."""
    hit = op("eq", at("token", "n", dtype="int64"), op("add", "v", 1))
    guard = op("and", hit, at("mask", "n", dtype="bool"))
    arrays = [array("input", "token", "N", dtype="int64"), array("input", "mask", "N", dtype="bool")]
    arrays += [array("input", "g", "N", 3), array("output", "out", 3)]
    body = total("max", [span("n", "N")], at("g", "n", "v"), guard)
    lowered = lower(formulas(arrays, ("out", [span("v", 3)], body), sizes="N"))
    assert "out[(token[r0] - 1)] = max(" in print_program(lowered)
    token, mask = np.array([0, 1, 1, 3, 4, 2]), np.array([1, 1, 1, 1, 1, 0], bool)
    g, out = normal(6, 3), poison(3)
    run(lowered, {"token": token, "mask": mask, "g": g, "out": out}, N=6)
    np.testing.assert_array_equal(out, [max(g[1, 0], g[2, 0]), -np.inf, g[3, 2]])


def test_scatter_by_an_array_of_the_program_skips_what_is_outside():
    """place[n] = 2*token[n]; out[v] = sum over n where place[n] == v of g[n]: the call has not checked place."""
    doubled = op("mul", 2, at("token", "n", dtype="int64"), dtype="int64")
    hit = op("eq", at("place", "n", dtype="int64"), "v")
    arrays = [array("input", "token", 4, dtype="int64"), array("temp", "place", 4, dtype="int64")]
    arrays += [array("input", "g", 4), array("output", "out", 4)]
    spread = ("out", [span("v", 4)], total("sum", [span("n", 4)], at("g", "n"), hit))
    lowered = lower(formulas(arrays, ("place", [span("n", 4)], doubled), spread))
    assert "out[place[r0]] = (out[place[r0]] + g[r0])" in print_program(lowered)
    g, out = normal(4), poison(4)
    run(lowered, {"token": np.array([1, 2, -1, 0]), "g": g, "out": out})
    np.testing.assert_array_equal(out, [g[3], 0, g[0], 0])


def test_scatter_keeps_an_axis_that_the_index_needs():
    """out[b, v] = sum over n where token[b, n] == v of g[b, n]."""
    hit = op("eq", "v", at("token", "b", "n", dtype="int64"))
    arrays = [array("input", "token", 2, 5, dtype="int64"), array("input", "g", 2, 5), array("output", "out", 2, 3)]
    body = total("sum", [span("n", 5)], at("g", "b", "n"), hit)
    lowered = lower(formulas(arrays, ("out", [span("b", 2), span("v", 3)], body)))
    assert len(lowered.body) == 2
    token, g, out = RNG.integers(0, 3, (2, 5)), normal(2, 5), poison(2, 3)
    run(lowered, {"token": token, "g": g, "out": out})
    expected = [[g[b, token[b] == v].sum() for v in range(3)] for b in range(2)]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_a_guarded_sum_in_a_branch_is_no_scatter():
    """out[v] = v > 0 ? sum over n where token[n] == v of g[n, v - 1] : 9: the scatter would read g[n, -1]."""
    hit = op("eq", at("token", "n", dtype="int64"), "v")
    body = op("select", op("lt", 0, "v"), total("sum", [span("n", 3)], at("g", "n", op("sub", "v", 1)), hit), 9.0)
    arrays = [array("input", "token", 3, dtype="int64"), array("input", "g", 3, 2), array("output", "out", 3)]
    token, g, out = np.array([0, 2, 2]), normal(3, 2), poison(3)
    run(lower(formulas(arrays, ("out", [span("v", 3)], body))), {"token": token, "g": g, "out": out})
    np.testing.assert_allclose(out, [9, 0, g[1, 1] + g[2, 1]], rtol=1e-6)


def test_a_triangular_sum_is_no_scatter():
    """out[v, d] = sum over n < d where token[n] == v of g[n]: the loop over n cannot go around the one over d."""
    hit = op("eq", at("token", "n", dtype="int64"), "v")
    body = total("sum", [span("n", "d")], at("g", "n"), hit)
    arrays = [array("input", "token", 4, dtype="int64"), array("input", "g", 4), array("output", "out", 2, 4)]
    token, g, out = np.array([0, 1, 1, 0]), normal(4), poison(2, 4)
    run(lower(formulas(arrays, ("out", [span("v", 2), span("d", 4)], body))), {"token": token, "g": g, "out": out})
    expected = [[g[:d][token[:d] == v].sum() for d in range(4)] for v in range(2)]
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_a_window_with_a_winner_is_no_scatter():
    """out[p] = sum over y where 0 <= p - 2 y < 3 and first[y] == p - 2 y of g[y]: two terms to each p at most."""
    offset = op("sub", "p", op("mul", 2, "y"))
    window = op("and", op("le", 0, offset), op("lt", offset, 3))
    hit = op("and", window, op("eq", at("first", "y", dtype="int64"), offset))
    body = total("sum", [span("y", 4)], at("g", "y"), hit)
    arrays = [array("input", "first", 4, dtype="int64"), array("input", "g", 4), array("output", "out", 9)]
    lowered = lower(formulas(arrays, ("out", [span("p", 9)], body)))
    assert "sum[max(0, ((i0 - 1) // 2)) <= r0 < min(4, ((i0 // 2) + 1)) if" in print_program(lowered)
    first, g, out = np.array([2, 0, 1, 2]), normal(4), poison(9)
    run(lowered, {"first": first, "g": g, "out": out})
    expected = np.zeros(9)
    np.add.at(expected, 2 * np.arange(4) + first, g)
    np.testing.assert_allclose(out, expected, rtol=1e-6)

"""Transforms by two constant matrices: scalars and vectors, places at known distances, conditions, checks."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.form import form_of
from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import For, If, Let, Program, Store, Transform, Way
from graphnn.simplify.expr import Axis, Const, Expr, Local, Op, Size
from tests.emit.native import buffer, integer, load, op, program, run, run_module, without_vectors

P, Q, I, J, K = map(Axis, "pqijk")
V = Local("v", "float32")
A = ((1.0, 0.0, -1.0), (0.0, 1.0, 1.0), (0.0, -2.0, 1.0), (0.5, 1.0, 0.0))
B = ((1.0, 1.0), (-1.0, 1.0), (0.0, 3.0))
RNG = np.random.default_rng(5)


def plus(*parts: Expr) -> Expr:
    total, *rest = parts
    for part in rest:
        total = op("add", total, part)
    return total


def times(factor: int, axis: Expr) -> Expr:
    return op("mul", integer(factor), axis)


def transform(value: Expr, *body: Store | If | Let) -> Transform:
    return Transform("v", Way("p", "i", A), Way("q", "j", B), value, body)


def over(axis: str, extent: int, *body, kind="vector") -> For:
    return For(axis, integer(0), integer(extent), body, kind)


def expected(x: np.ndarray) -> np.ndarray:
    """A x B^T, the first two axes being those of x."""
    return np.einsum("pi,qj,ij...->pq...", np.array(A), np.array(B), x.astype("float64"))


def check(p: Program, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The output z in vectors, in the same bits without them, nearly as the interpreter has it."""
    wide, narrow = run(p, arrays)["z"], run(replace(p, body=without_vectors(p.body)), arrays)["z"]
    assert wide.tobytes() == narrow.tobytes()
    meant = {b.name: arrays.get(b.name, np.full_like(wide, -7)).copy() for b in p.buffers}
    interpret(p, meant, {})
    np.testing.assert_allclose(wide, meant["z"], rtol=1e-5, atol=1e-6)
    return wide


@pytest.mark.parametrize("extent", [1, 16, 21])
@pytest.mark.parametrize("layout", [(0, 1, 2), (2, 1, 0)])  # neighbours of a lane, and lanes apart
def test_along_the_lanes(extent: int, layout: tuple[int, ...]) -> None:
    x, z = buffer("x", (3, 2, extent), layout=layout), buffer("z", (12, extent), role="output")
    place = plus(times(3, P), Q)
    p = program((over("k", extent, transform(load(x, I, J, K), Store("z", (place, K), V))),), x, z)
    data = RNG.normal(size=(3, 2, extent)).astype("float32")
    np.testing.assert_allclose(check(p, {"x": data}), expected(data).reshape(12, extent), rtol=1e-5, atol=1e-5)


def test_tiles_that_reach_beyond_an_image() -> None:
    """Tiles of 4 x 3 places, of which the last ones have elements that are not there: they are 0, and not stored."""
    y, x = Axis("y"), Axis("x")
    image, z = buffer("image", (9, 5, 16)), buffer("z", (10, 4, 16), role="output")
    row, column, to = plus(times(4, y), I), plus(times(3, x), J), (plus(times(4, y), P), plus(times(3, x), Q))

    def asked(place: Expr, number: Expr, sure: int, end: int) -> Expr:
        tests = op("lt", number, integer(sure)), op("lt", place, integer(end))
        return Op("or", tests, "bool")

    there = Op("and", (asked(row, I, 1, 9), asked(column, J, 2, 5)), "bool")
    value = op("select", there, load(image, row, column, K), Const(0.0, "float32"))
    inside = Op("and", (asked(to[0], P, 2, 10), asked(to[1], Q, 1, 4)), "bool")
    body = If(inside, (Let("t", op("max", V, Const(0.0, "float32"))), Store("z", (*to, K), Local("t", "float32"))))
    nest = over("k", 16, transform(value, body))
    p = program((over("y", 3, over("x", 2, nest, kind="serial"), kind="serial"),), image, z)
    data = RNG.normal(size=(9, 5, 16)).astype("float32")
    padded = np.pad(data, ((0, 2), (0, 0), (0, 0)))
    tiles = [[expected(padded[4 * r : 4 * r + 3, 3 * c : 3 * c + 2]) for c in range(2)] for r in range(3)]
    right = np.maximum(np.concatenate([np.concatenate(row, axis=1) for row in tiles]), 0)[:10, :4]
    np.testing.assert_allclose(check(p, {"image": data}), right, rtol=1e-5, atol=1e-5)
    # Two loops; 2 of 3 rows and no column of a tile of the image; 2 of 4 rows and 2 of 3 columns of one of the output.
    assert emit(p, host()).text.count("icmp slt i64 %") == 2 + 2 * 2 + 2 * 3 + 4 * 2


def test_what_results_share_is_computed_once() -> None:
    x, b, z = buffer("x", (3, 2, 16)), buffer("b", (1,)), buffer("z", (12, 16), role="output")
    value = op("add", V, op("exp", load(b, integer(0))))
    p = program((over("k", 16, transform(load(x, I, J, K), Store("z", (plus(times(3, P), Q), K), value))),), x, b, z)
    data, bias = RNG.normal(size=(3, 2, 16)).astype("float32"), np.array([0.5], "float32")
    right = expected(data).reshape(12, 16) + np.exp(bias)
    np.testing.assert_allclose(check(p, {"x": data, "b": bias}), right, rtol=1e-5, atol=1e-5)
    assert len(re.findall(r"load float,", emit(p, host()).text)) == 1


def test_distances_that_a_size_decides() -> None:
    x, z = buffer("x", ("N", "N")), buffer("z", (4, 3), role="output")
    p = program((transform(load(x, I, J), Store("z", (P, Q), V)),), x, z, sizes=("N",))
    data = RNG.normal(size=(6, 6)).astype("float32")
    np.testing.assert_allclose(run(p, {"x": data}, {"N": 6})["z"], expected(data[:3, :2]), rtol=1e-5, atol=1e-5)
    assert p.buffers[0].shape[0] == Size("N")


def test_a_place_outside_is_reported() -> None:
    x, z = buffer("x", (2, 2, 16)), buffer("z", (12, 16), role="output")
    p = program((over("k", 16, transform(load(x, I, J, K), Store("z", (plus(times(3, P), Q), K), V))),), x, z)
    emitted = emit(p, host(), debug=True)
    arrays = [np.zeros((2, 2, 16), "float32"), np.zeros((12, 16), "float32")]
    check = emitted.checks[run_module(emitted, host(), arrays, [])]
    assert (check.buffer, check.dimension) == ("x", 0)


def test_other_matrices_are_another_form() -> None:
    x, z = buffer("x", (3, 2)), buffer("z", (4, 3), role="output")
    first = transform(load(x, I, J), Store("z", (P, Q), V))
    renamed = replace(first, rows=replace(first.rows, axis="a"), value=load(x, Axis("a"), J))
    other = replace(first, columns=replace(first.columns, matrix=((1.0, 2.0), *B[1:])))
    keys = [form_of((stmt,), (x, z)).key for stmt in (first, renamed, other)]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]

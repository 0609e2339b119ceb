"""Zeros around an array are stored with the array, where a contraction reads a copy that has them."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.lower.ir import Contract, For, Program, Store
from graphnn.schedule.borders import keep_borders
from graphnn.schedule.contract import contract
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import evaluate
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import statements
from graphnn.simplify.expr import Op, walk
from tests.schedule.samples import (
    array,
    assert_same_meaning,
    at,
    condition,
    convolution_adjoint,
    integer,
    load,
    op,
    program,
    total,
)

SIDE, FILTERS = 6, 8
AXES = {"n": "N", "c": 2, "p": SIDE, "q": SIDE}


def same(image: str, weight: str, reach: int = 1):
    """sum[c, u, v] image[n, c, p+u-reach, q+v-reach]*weight[o, c, u, v], zero outside of the image."""
    row, column = (integer("sub", integer("add", a, b), reach) for a, b in (("p", "u"), ("q", "v")))
    guard = condition("le", 0, row)
    for other in (condition("lt", row, SIDE), condition("le", 0, column), condition("lt", column, SIDE)):
        guard = Op("and", (guard, other), "bool")
    window = 2 * reach + 1
    factors = at(image, "n", "c", row, column), at(weight, "o", "c", "u", "v")
    return total(op("mul", *factors), guard=guard, c=2, u=window, v=window)


def twice(reach: int = 1, role: str = "temp") -> Program:
    """t = exp(x), y and z two "same" correlations of t, s = 2 t; with another `role`, t itself comes from outside."""
    images = dict.fromkeys(("x", "t", "s"), ("N", 2, SIDE, SIDE))
    results = dict.fromkeys(("y", "z"), ("N", FILTERS, SIDE, SIDE))
    weights = {"w": (FILTERS, 2, 3, 3), "w2": (FILTERS, 2, 2 * reach + 1, 2 * reach + 1)}
    outside = ["x", "w", "w2", *(["t"] if role == "input" else [])]
    arrays = [array(name, "input", *{**images, **weights}[name]) for name in outside]
    arrays += [array("t", "temp", *images["t"])] if role == "temp" else []
    arrays += [array(name, "output", *{**images, **results}[name]) for name in ("y", "z", "s")]
    places = {"n": "N", "o": FILTERS, "p": SIDE, "q": SIDE}
    exp = ("t", AXES, op("exp", load("x", "n", "c", "p", "q")))
    formulas = [exp] if role == "temp" else []
    formulas += [("y", places, same("t", "w")), ("z", places, same("t", "w2", reach))]
    return program(arrays, [*formulas, ("s", AXES, op("mul", 2.0, load("t", "n", "c", "p", "q")))])


def copies(p: Program) -> int:
    """The nests that copy with zeros outside."""
    stores = [s for s in statements(p.body) if isinstance(s, Store)]
    return sum(any(isinstance(e, Op) and e.fn == "select" for e in walk(s.value)) for s in stores)


def test_equal_copies_are_made_once():
    assert copies(contract(twice(), Machine())) == 1
    assert copies(contract(twice(reach=2), Machine())) == 2  # with wider borders


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("reach", [1, 2])
def test_an_array_is_stored_with_its_zeros(reach: int, n: int):
    before = twice(reach)
    after = keep_borders(contract(before, Machine()), Machine())
    assert "t" not in {b.name for b in after.buffers}
    assert [evaluate(e, {"N": 3}) for e in after.buffer("t.packed").shape] == [3, 2, SIDE + 2, SIDE + 2]
    assert copies(after) == reach - 1
    assert_same_meaning(before, after, {"N": n})


def test_every_cell_is_stored_once():
    after = keep_borders(contract(twice(), Machine()), Machine())
    cells = 0
    for stmt in after.body:
        inner, count = stmt, 1
        while isinstance(inner, For):
            count *= evaluate(inner.hi, {"N": 1}) - evaluate(inner.lo, {"N": 1})
            (inner,) = inner.body
        cells += count * (isinstance(inner, Store) and inner.buffer == "t.packed")
    assert cells == 2 * (SIDE + 2) ** 2


def test_what_comes_from_outside_is_copied():
    before = contract(twice(role="input"), Machine())
    assert keep_borders(before, Machine()) == before
    adjoint = contract(convolution_adjoint(), Machine())
    assert keep_borders(adjoint, Machine()) == adjoint


def test_a_later_store_keeps_the_copy():
    """t is changed between its copy and its last reader, as the copy is not."""
    before = contract(twice(), Machine())
    first = next(s for s in before.body if "t" in {x.buffer for x in statements((s,)) if isinstance(x, Store)})
    changed = Program(before.name, before.sizes, before.buffers, (*before.body[:-1], first, before.body[-1]))
    assert keep_borders(changed, Machine()) == changed


@pytest.mark.parametrize("left_out", [(), ("borders",), ("contract",), ("blocks",), ("fuse",), ("layout",)])
def test_meaning_of_the_whole_schedule(left_out: tuple[str, ...]):
    after = schedule(twice(), disable=left_out)
    assert any(isinstance(s, Contract) for s in statements(after.body)) == (left_out != ("contract",))
    assert_same_meaning(twice(), after, {"N": 2})


def test_a_crop_holds_no_image() -> None:
    """A window of one row with a row of zeros around: the gradient by the image reads less than all of the gradient."""
    net = gn.Network("crop")
    x, w, b = net.input("x", (16, 16, 6, 10)), net.input("w", (16, 16, 1, 3)), net.input("b", (16, 1, 1))
    y = gn.tanh(gn.correlate(gn.tanh(x), w, padding=1) + b)
    gradients = gn.gradients(gn.sum(gn.square(y)), [w, b, x])
    generator = np.random.default_rng(0)
    given = {name: generator.normal(size=t.shape).astype(np.float32) for name, t in net.inputs.items()}
    plain = gn.compile(gradients, disable=["borders"])(**given)
    for options in ({}, {"debug": True}):
        for found, expected in zip(gn.compile(gradients, **options)(**given), plain, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())

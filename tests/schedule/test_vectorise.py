from dataclasses import replace

import pytest

from graphnn.lower.ir import For
from graphnn.schedule.contract import contract
from graphnn.schedule.layout import permute_layouts
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import rename, statements
from graphnn.schedule.vectorise import vectorise
from graphnn.simplify.expr import Axis, Op
from tests.schedule.samples import array, assert_same_meaning, at, load, mlp_step, op, program, total


def kinds(p):
    return [(s.axis, s.kind) for s in statements(p.body) if isinstance(s, For)]


def test_docstring_example():
    """i0 parallel, i1 vector"""
    arrays = [array("x", "input", "N", 8), array("y", "output", "N", 8)]
    before = program(arrays, [("y", {"i": "N", "j": 8}, op("mul", load("x", "i", "j"), 2.0))])
    after = vectorise(before, Machine())
    assert kinds(after) == [("i0", "parallel"), ("i1", "vector")]
    assert_same_meaning(before, after, {"N": 3})


def test_the_loop_with_unit_stride_goes_innermost():
    arrays = [array("x", "input", 64, "N"), array("y", "output", 64, "N")]
    before = program(arrays, [("y", {"i": 64, "j": "N"}, at("x", "i", "j"))])
    swapped = [array("x", "input", 64, 64), array("u", "input", 64, 64), array("y", "output", 64, 64)]
    body = op("add", at("x", "j", "i"), at("u", "j", "i"))
    transposed = program(swapped, [("y", {"i": 64, "j": 64}, body)], sizes=[])
    assert kinds(vectorise(before, Machine()))[-1] == ("i1", "vector")
    assert kinds(vectorise(transposed, Machine())) == [("i1", "parallel"), ("i0", "vector")]
    assert_same_meaning(transposed, vectorise(transposed, Machine()), {})


def test_a_short_loop_has_few_lanes_to_load_apart():
    """Two strided loads cost what two iterations would load one after the other; the rest is shared."""
    arrays = [array("W", "input", 2, 2), array("g", "input", 2), array("y", "output", 2)]
    product = op("mul", at("W", "i", "r"), at("g", "r"))
    before = program(arrays, [("y", {"i": 2}, total(product, r=2))], sizes=[])
    assert kinds(vectorise(before, Machine())) == [("i0", "vector")]


def test_a_carried_loop_stays_serial():
    """A scatter adds into one row from several terms: only its row axis may run in lanes."""
    token = load("token", "r", dtype="int64")
    guard = Op("eq", (token, Axis("v")), "bool")
    arrays = [array("token", "input", "N", dtype="int64"), array("g", "input", "N", 16), array("E", "output", 3, 16)]
    before = program(arrays, [("E", {"v": 3, "d": 16}, total(load("g", "r", "d"), guard=guard, r="N"))])
    after = vectorise(before, Machine())
    (carried,) = (s.kind for s in statements(after.body) if isinstance(s, For) and s.axis == "r0")
    assert carried == "serial"
    assert_same_meaning(before, after, {"N": 7})


def rows():
    arrays = [array("x", "input", 10, "N"), array("t", "temp", "N", 10), array("s", "output", "N")]
    squares = op("mul", at("x", "j", "i"), at("x", "j", "i"))
    formulas = [("t", {"i": "N", "j": 10}, squares), ("s", {"i": "N"}, total(load("t", "i", "r"), r=10))]
    return program(arrays, formulas)


@pytest.mark.parametrize("n", [0, 1, 7, 16, 17])
def test_layout_docstring_example(n):
    """rows that are summed get the row axis as the fastest: rows in lanes"""
    before = rows()
    after = permute_layouts(before, Machine())
    assert after.buffer("t").layout == (1, 0)
    assert after.buffer("x").layout == (0, 1)
    assert_same_meaning(before, after, {"N": n})


def test_layouts_of_contraction_operands_stay():
    after = permute_layouts(contract(mlp_step(), Machine()), Machine())
    assert after.buffer("h").layout == (0, 1)
    assert after.buffer("d1").layout == (0, 1)


def test_a_loop_of_one_iteration_is_opened():
    """What stands inside becomes statements of the program, each with parallel loops of its own."""
    arrays = [array("x", "input", 3, "N", 8), array("y", "output", 1, "N", 8), array("z", "output", 1, 8, "N")]
    first = op("mul", load("x", "i", "j", "k"), 2.0)
    made = program(
        arrays,
        [("y", {"i": 1, "j": "N", "k": 8}, first), ("z", {"i": 1, "j": 8, "k": "N"}, at("x", "i", "k", "j"))],
    )
    one, two = made.body
    before = replace(made, body=(replace(one, body=(*one.body, *rename(two.body, {two.axis: one.axis}))),))
    after = vectorise(before, Machine())
    assert [s.kind for s in after.body] == ["parallel", "parallel"]
    assert before.body[0].axis not in {axis for axis, _ in kinds(after)}
    assert_same_meaning(before, after, {"N": 3})

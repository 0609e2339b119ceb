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
    swapped = [*(array(name, "input", 64, 64) for name in "xuv"), array("y", "output", 64, 64)]
    body = op("add", op("add", at("x", "j", "i"), at("u", "j", "i")), at("v", "j", "i"))
    transposed = program(swapped, [("y", {"i": 64, "j": 64}, body)], sizes=[])
    assert kinds(vectorise(before, Machine()))[-1] == ("i1", "vector")
    assert kinds(vectorise(transposed, Machine())) == [("i1", "parallel"), ("i0", "vector")]
    assert_same_meaning(transposed, vectorise(transposed, Machine()), {})


def test_blocks_that_are_turned_in_registers_are_stored_along_memory():
    """t[x, l] = h[l, x]: lanes along l, for blocks of 16 x 16 are loaded along x; 8 examples fill no block."""

    def lanes(examples):
        arrays = [array("h", "input", examples, 32), array("t", "output", 32, examples)]
        before = program(arrays, [("t", {"x": 32, "l": examples}, at("h", "l", "x"))], sizes=[])
        (outer,) = before.body
        (inner,) = outer.body
        swapped = replace(before, body=(replace(inner, body=(replace(outer, body=inner.body),)),))
        after = vectorise(swapped, Machine())
        assert_same_meaning(before, after, {})
        return kinds(after)[-1]

    assert lanes(16) == ("i1", "vector")
    assert lanes(8) == ("i0", "vector")


def test_loops_beside_each_other_are_parallel_too():
    """for n: (for c: for i: t = 2 x; for d: for j: y = t[d, j] + t[0, 0])  ->  n, c and d"""
    shape = ("N", 3, 40)
    arrays = [array("x", "input", *shape), array("t", "temp", *shape), array("y", "output", *shape)]
    body = op("add", load("t", "n", "d", "j"), at("t", "n", 0, 0))
    doubled = ("t", {"n": "N", "c": 3, "i": 40}, op("mul", 2.0, load("x", "n", "c", "i")))
    before = program(arrays, [doubled, ("y", {"n": "N", "d": 3, "j": 40}, body)])
    first, second = before.body
    (other,) = rename((second,), {second.axis: first.axis})
    after = vectorise(replace(before, body=(replace(first, body=(*first.body, *other.body)),)), Machine())
    assert [kind for _, kind in kinds(after)] == ["parallel", "parallel", "vector", "parallel", "vector"]
    assert_same_meaning(before, after, {"N": 3})


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

from dataclasses import replace

import pytest

from graphnn.lower.ir import Contract, For, Store, Transform, Way
from graphnn.schedule.fuse import fuse
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import schedule
from graphnn.schedule.reuse import reuse
from graphnn.schedule.statements import reads, statements, writes
from graphnn.simplify.expr import Axis, Local, index_constant
from tests.schedule.samples import array, assert_same_meaning, load, mlp_step, op, program, total

SQUARE = {"i": 8, "j": 8}


def squares(second, *more, dtype="float32", arrays=()):
    """h = 2x, then d = second, then y, the row sums of d; all but y are 8 x 8."""
    names = [array("x", "input", 8, 8), array("h", "temp", 8, 8), array("d", "temp", 8, 8, dtype=dtype)]
    first, read = op("mul", load("x", "i", "j"), 2.0), load("d", "i", "r", dtype=dtype)
    last = total(read if dtype == "float32" else op("cast", read), r=8)
    formulas = [("h", SQUARE, first), ("d", SQUARE, second), *more, ("y", {"i": 8}, last)]
    return program([*names, array("y", "output", 8), *arrays], formulas, sizes=())


def temps(p):
    return {b.name: b.also for b in p.buffers if b.role == "temp"}


def test_docstring_example():
    """d = h + 1, and h is read no more: d is written into h."""
    before = squares(op("add", load("h", "i", "j"), 1.0))
    after = reuse(before, Machine())
    assert temps(after) == {"h": ("d",)}
    assert_same_meaning(before, after, {})


def test_a_chain_lives_in_one_array():
    arrays = [array(name, "temp", "N") for name in "abc"]
    names = [array("x", "input", "N"), *arrays, array("y", "output")]
    maps = [(t, {"i": "N"}, op("add", load(s, "i"), 1.0)) for s, t in zip("xab", "abc", strict=True)]
    before = program(names, [*maps, ("y", {}, total(load("c", "r"), r="N"))])
    after = reuse(before, Machine())
    assert temps(after) == {"a": ("b", "c")}
    for n in (0, 1, 17):
        assert_same_meaning(before, after, {"N": n})


def test_a_temp_lives_in_the_output_that_replaces_it():
    arrays = [array("x", "input", "N"), array("h", "temp", "N"), array("y", "output", "N")]
    maps = [(t, {"i": "N"}, op("add", load(s, "i"), 1.0)) for s, t in zip("xh", "hy", strict=True)]
    before = program(arrays, maps)
    after = reuse(before, Machine())
    assert {b.name: b.also for b in after.buffers} == {"x": (), "y": ("h",)}
    assert_same_meaning(before, after, {"N": 9})


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(op("add", load("h", "j", "i"), 1.0), id="transposed"),
        pytest.param(total(load("h", "i", "k"), k=8), id="its row"),
        pytest.param(op("add", load("h", "i", 0), load("h", "i", "j")), id="the first of its row"),
    ],
)
def test_an_element_that_another_iteration_needs_is_kept(second):
    assert temps(reuse(squares(second), Machine())) == {"h": (), "d": ()}


def test_what_is_read_later_is_kept():
    later = ("z", SQUARE, op("mul", load("h", "i", "j"), load("h", "i", "j")))
    before = squares(op("add", load("h", "i", "j"), 1.0), later, arrays=[array("z", "output", 8, 8)])
    assert "h" in reads(before.body[-2:])
    assert temps(reuse(before, Machine())) == {"d": ()}  # h went on into z
    assert_same_meaning(before, reuse(before, Machine()), {})


def test_another_dtype_is_another_array():
    before = squares(op("cast", load("h", "i", "j"), dtype="float64"), dtype="float64")
    assert temps(reuse(before, Machine())) == {"h": (), "d": ()}


def test_inside_of_common_loops_the_order_of_statements_decides():
    """for i: (for j: h; s = sum of h; for j: d = x - s): h is done with in iteration i before d begins."""
    arrays = [array("x", "input", 8, 40), array("h", "temp", 8, 40), array("s", "temp", 8), array("d", "temp", 8, 40)]
    rows, pairs = {"i": 8}, {"i": 8, "j": 40}
    formulas = [
        ("h", pairs, op("exp", load("x", "i", "j"))),
        ("s", rows, total(op("mul", load("h", "i", "r"), load("h", "i", 0)), r=40)),
        ("d", pairs, op("sub", load("x", "i", "j"), load("s", "i"))),
        ("y", rows, total(op("mul", load("d", "i", "r"), load("d", "i", 1)), r=40)),
    ]
    before = fuse(program([*arrays, array("y", "output", 8)], formulas, sizes=()), Machine())
    after = reuse(before, Machine())
    assert len(before.body) == 1
    assert {"h", "d"} <= temps(before).keys()
    assert temps(after)["h"] == ("d",)
    assert_same_meaning(before, after, {})


def test_an_epilogue_writes_over_what_it_reads_but_not_over_a_factor():
    before = schedule(mlp_step(16), disable=["reuse"])
    after = reuse(before, Machine())
    assert sum(len(also) for also in temps(after).values()) >= 2
    for contract in (s for s in statements(after.body) if isinstance(s, Contract)):
        factors = reads((contract,)) - reads(contract.body)
        assert factors.isdisjoint(writes(contract.body))
    assert_same_meaning(before, after, {"N": 16})


def test_loops_keep_their_kind():
    before = schedule(squares(op("add", load("h", "i", "j"), 1.0)), disable=["reuse", "fuse"])
    after = reuse(before, Machine())

    def kinds(p):
        return [s.kind for s in statements(p.body) if isinstance(s, For)]

    assert kinds(after) == kinds(before)


@pytest.mark.parametrize("again", [False, True])
def test_a_transform_reads_all_before_its_body_writes(again):
    """What the body itself reads is there for all of its results."""
    first, _, last = (before := squares(op("add", load("h", "i", "j"), 1.0))).body
    sums = tuple(tuple(float(j <= q) for j in range(8)) for q in range(8))
    v = Local("v", "float32")
    store = Store("d", (Axis("i"), Axis("q")), op("add", v, load("h", "i", 0)) if again else v)
    ways = Way("p", "k", ((1.0,),)), Way("q", "j", sums)
    nest = For("i", index_constant(0), index_constant(8), (Transform("v", *ways, load("h", "i", "j"), (store,)),))
    changed = replace(before, body=(first, nest, last))
    after = reuse(changed, Machine())
    assert temps(after) == ({"h": (), "d": ()} if again else {"h": ("d",)})
    assert_same_meaning(changed, after, {})

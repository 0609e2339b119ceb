import pytest

from graphnn.lower.ir import Contract, For, Let, Store
from graphnn.schedule.contract import contract
from graphnn.schedule.forward import forward_stores
from graphnn.schedule.fuse import fuse
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import statements
from graphnn.simplify.expr import Axis, Local, Op, Size, index_constant
from tests.schedule.samples import array, assert_same_meaning, layer, load, mlp_step, op, program, total

SIZES = [0, 1, 7, 16, 17]


def chain(second, *more, role="temp", arrays=()):
    built = [array("x", "input", "N"), array("t", role, "N"), array("y", "output", "N"), *arrays]
    return program(built, [("t", {"i": "N"}, op("mul", load("x", "i"), 2.0)), *more, ("y", {"i": "N"}, second)])


@pytest.mark.parametrize("n", SIZES)
def test_docstring_example(n):
    """t = x*2; y = t + 1  ->  v = x*2; y = v + 1"""
    before = chain(op("add", load("t", "i"), 1.0))
    after = fuse(before, Machine())
    (loop,) = after.body
    let, store = loop.body
    assert isinstance(let, Let)
    assert store.value == op("add", Local(let.name, "float32"), 1.0)
    assert [b.name for b in after.buffers] == ["x", "y"]
    assert_same_meaning(before, after, {"N": n})


def test_forward_stores_docstring_example():
    store = Store("t", (Axis("i0"),), op("mul", load("x", "i0"), 2.0))
    use = Store("y", (Axis("i0"),), op("add", load("t", "i0"), 1.0))
    let, kept, last = forward_stores((store, use), set())
    assert let == Let("v", store.value)
    assert kept.value == Local("v", "float32")
    assert last.value == op("add", Local("v", "float32"), 1.0)


def test_an_output_is_still_stored():
    before = chain(op("add", load("t", "i"), 1.0), role="output")
    after = fuse(before, Machine())
    assert {s.buffer for s in statements(after.body) if isinstance(s, Store)} == {"t", "y"}
    assert_same_meaning(before, after, {"N": 9})


def test_a_reader_of_another_element_is_not_fused():
    """y[i] = t[N-1-i] reads elements that a fused loop would not have written yet."""
    mirrored = Op("sub", (Op("sub", (Size("N"), index_constant(1)), "int64"), Axis("i")), "int64")
    before = chain(type(load("t"))("t", (mirrored,), "float32"))
    after = fuse(before, Machine())
    assert len(after.body) == 2
    assert_same_meaning(before, after, {"N": 6})


def test_a_reader_of_all_elements_is_not_fused():
    before = chain(op("sub", load("t", "i"), total(load("t", "r"), r="N")))
    after = fuse(before, Machine())
    assert len(after.body) == 2
    assert_same_meaning(before, after, {"N": 6})


def test_fusion_over_an_independent_nest_between():
    between = ("u", {"j": 5}, op("exp", load("w", "j")))
    before = chain(op("add", load("t", "i"), 1.0), between, arrays=[array("w", "input", 5), array("u", "output", 5)])
    after = fuse(before, Machine())
    assert len(after.body) == 2
    assert_same_meaning(before, after, {"N": 6})


def test_a_state_written_between_is_not_crossed():
    """s <- t runs after y reads s, though its nest could join that of t."""
    arrays = [array("x", "input", "N"), array("s", "state", "N"), array("t", "temp", "N"), array("y", "output", "N")]
    reversed_s = total(load("s", "r"), r="N")
    formulas = [("t", {"i": "N"}, op("mul", load("x", "i"), 2.0)), ("y", {"i": "N"}, reversed_s)]
    before = program(arrays, formulas, [("s", "t")])
    assert_same_meaning(before, schedule(before), {"N": 8})


def test_epilogue_of_a_contraction():
    """z = x@W; a = sigmoid(z + b) in two formulas become one contraction with one store."""
    arrays = [array("x", "input", "N", 20), array("W", "state", 20, 24), array("b", "state", 24)]
    arrays += [array("z", "temp", "N", 24), array("a", "output", "N", 24)]
    product = total(op("mul", load("x", "i", "r"), load("W", "r", "j")), r=20)
    activation = op("sigmoid", op("add", load("z", "i", "j"), load("b", "j")))
    axes = {"i": "N", "j": 24}
    before = program(arrays, [("z", axes, product), ("a", axes, activation)])
    after = fuse(contract(before, Machine()), Machine())
    (found,) = after.body
    assert isinstance(found, Contract)
    assert [s.buffer for s in statements(found.body) if isinstance(s, Store)] == ["a"]
    for n in SIZES:
        assert_same_meaning(before, after, {"N": n})
        assert_same_meaning(layer(), after, {"N": n})


def test_an_epilogue_may_not_write_an_operand():
    """W -= x@W: in place, the store would change what other tiles still read."""
    arrays = [array("x", "input", 16, 16), array("W", "state", 16, 16), array("g", "temp", 16, 16)]
    arrays += [array("t", "temp", 16, 16)]
    axes = {"i": 16, "j": 16}
    product = total(op("mul", load("x", "i", "r"), load("W", "r", "j")), r=16)
    update = op("sub", load("W", "i", "j"), load("g", "i", "j"))
    before = program(arrays, [("g", axes, product), ("t", axes, update)], [("W", "t")], sizes=[])
    after = schedule(before)
    (found,) = (s for s in statements(after.body) if isinstance(s, Contract))
    assert "W" not in {s.buffer for s in statements(found.body) if isinstance(s, Store)}
    assert_same_meaning(before, after, {})


@pytest.mark.parametrize("n", [1, 7, 16, 17])
def test_softmax_rows_share_one_loop(n):
    """Row maximum, exponentials, their sum and the quotient run in one loop over rows."""
    axes = {"i": "N", "j": 10}
    arrays = [array("z", "input", "N", 10), array("m", "temp", "N"), array("e", "temp", "N", 10)]
    arrays += [array("s", "temp", "N"), array("p", "output", "N", 10)]
    formulas = [
        ("m", {"i": "N"}, total(load("z", "i", "r"), "max", r=10)),
        ("e", axes, op("exp", op("sub", load("z", "i", "j"), load("m", "i")))),
        ("s", {"i": "N"}, total(load("e", "i", "r"), r=10)),
        ("p", axes, op("div", load("e", "i", "j"), load("s", "i"))),
    ]
    before = program(arrays, formulas)
    after = schedule(before)
    (rows,) = after.body
    assert isinstance(rows, For)
    assert {b.name for b in after.buffers if b.role == "temp"} == {"e"}
    assert_same_meaning(before, after, {"N": n})


def test_training_step_updates_in_the_epilogue_of_its_gradient():
    after = schedule(mlp_step(64))
    updates = [
        c
        for c in statements(after.body)
        if isinstance(c, Contract) and {s.buffer for s in statements(c.body) if isinstance(s, Store)} & {"W1", "W2"}
    ]
    assert len(updates) == 2
    assert not any(b.name in ("gW1", "gW2") for b in after.buffers)


@pytest.mark.parametrize("columns", [10, 64, 100])
def test_rows_stay_in_cache_from_their_reduction_to_their_map(columns):
    """y[i, j] = x[i, j]/s[i] with s the row sums: one nest with rows in the lanes, x is read from memory once."""
    arrays = [array("x", "input", "N", columns), array("s", "temp", "N"), array("y", "output", "N", columns)]
    rows, pairs = {"i": "N"}, {"i": "N", "j": columns}
    formulas = [
        ("s", rows, total(load("x", "i", "r"), r=columns)),
        ("y", pairs, op("div", load("x", "i", "j"), load("s", "i"))),
    ]
    before = program(arrays, formulas)
    after = fuse(before, Machine())
    assert len(after.body) == 1
    assert_same_meaning(before, after, {"N": 7})


@pytest.mark.parametrize("n", SIZES)
def test_an_update_joins_the_nest_that_reads_the_old_value(n):
    """y = 2v + g; v = v + g with v a state: y reads the old v, and both are one pass over memory."""
    arrays = [array("g", "input", "N"), array("v", "state", "N"), array("t", "temp", "N"), array("y", "output", "N")]
    old = op("mul", load("v", "i"), 2.0)
    formulas = [
        ("y", {"i": "N"}, op("add", old, load("g", "i"))),
        ("t", {"i": "N"}, op("add", load("v", "i"), load("g", "i"))),
    ]
    before = program(arrays, formulas, [("v", "t")])
    after = schedule(before)
    (loop,) = after.body
    assert [s.buffer for s in loop.body if isinstance(s, Store)] == ["y", "v"]
    assert_same_meaning(before, after, {"N": n})


def test_an_update_of_what_a_contraction_reads_stays_apart():
    """y = a v; v = v + 1: the update touches each element once, the contraction reads it for each row."""
    arrays = [array("a", "input", "N", 8), array("v", "state", 8, 6), array("t", "temp", 8, 6)]
    product = op("mul", load("a", "i", "k"), load("v", "k", "j"))
    formulas = [
        ("y", {"i": "N", "j": 6}, total(product, k=8)),
        ("t", {"i": 8, "j": 6}, op("add", load("v", "i", "j"), 1.0)),
    ]
    before = program([*arrays, array("y", "output", "N", 6)], formulas, [("v", "t")])
    after = schedule(before)
    assert len(after.body) == 2
    assert_same_meaning(before, after, {"N": 5})

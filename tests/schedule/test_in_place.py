import numpy as np
import pytest

from graphnn.schedule.in_place import in_place
from graphnn.schedule.machine import Machine
from graphnn.schedule.statements import reads, writes
from tests.schedule.samples import array, assert_same_meaning, load, mlp_step, op, program, run, total


def sgd(*later, outputs=()):
    arrays = [array("g", "input", "N"), array("W", "state", "N"), array("t", "temp", "N"), *outputs]
    update = ("t", {"i": "N"}, op("sub", load("W", "i"), load("g", "i")))
    return program(arrays, [update, *later], [("W", "t")])


def test_docstring_example():
    """t = W - g; W = t  ->  W = W - g"""
    after = in_place(sgd(), Machine())
    assert len(after.body) == 1
    assert writes(after.body) == {"W"}
    assert [b.name for b in after.buffers] == ["g", "W"]
    rng = np.random.default_rng(0)
    g, w = (rng.normal(size=17).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal(run(after, {"N": 17})["W"], w - g)


@pytest.mark.parametrize("n", [0, 1, 7, 16, 17])
def test_a_later_reader_of_the_old_value_still_gets_it(n):
    before = sgd(("y", {"i": "N"}, op("exp", load("W", "i"))), outputs=[array("y", "output", "N")])
    after = in_place(before, Machine())
    assert len(after.body) == 2
    assert writes(after.body[:1]) == {"y"}  # the update moved past it
    assert_same_meaning(before, after, {"N": n})


def test_a_reader_of_the_new_value_reads_the_state():
    before = sgd(("y", {"i": "N"}, op("exp", load("t", "i"))), outputs=[array("y", "output", "N")])
    after = in_place(before, Machine())
    assert "t" not in reads(after.body)
    assert_same_meaning(before, after, {"N": 9})


def test_the_copy_stays_where_one_nest_reads_old_and_new():
    both = ("y", {"i": "N"}, op("add", load("t", "i"), load("W", "i")))
    before = sgd(both, outputs=[array("y", "output", "N")])
    assert in_place(before, Machine()) == before


def test_the_copy_stays_where_an_element_needs_its_neighbours():
    arrays = [array("W", "state", "N"), array("t", "temp", "N")]
    body = op("sub", load("W", "i"), total(load("W", "r"), r="N"))
    before = program(arrays, [("t", {"i": "N"}, body)], [("W", "t")])
    assert in_place(before, Machine()) == before


def test_two_states_that_swap_keep_their_copies_right():
    arrays = [array(n, r, "N") for n, r in (("A", "state"), ("B", "state"), ("s", "temp"), ("t", "temp"))]
    formulas = [("s", {"i": "N"}, load("B", "i")), ("t", {"i": "N"}, load("A", "i"))]
    before = program(arrays, formulas, [("A", "s"), ("B", "t")])
    assert_same_meaning(before, in_place(before, Machine()), {"N": 5})


def test_a_training_step_needs_no_copy():
    before = mlp_step()
    after = in_place(before, Machine())
    assert not any(b.name.endswith(".next") for b in after.buffers)
    assert_same_meaning(before, after, {"N": 7})

import pytest

from graphnn.lower.ir import Fold
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import statements
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total


def sums(term, shape, reducer="sum", rows="N", columns=64):
    """y = a reduction of a term by rows."""
    arrays = [array("x", "input", *shape), array("w", "input", columns), array("y", "output", rows)]
    return program(arrays, [("y", {"i": rows}, total(term, reducer, r=columns))])


def lanes(p):
    return {s.lanes for s in statements(p.body) if isinstance(s, Fold)}


ROWS = load("x", "i", "r")


@pytest.mark.parametrize("reducer", ["sum", "max", "min"])
def test_docstring_example(reducer):
    before = sums(ROWS, ("N", 64), reducer)
    after = schedule(before)
    assert lanes(after) == {16}
    assert lanes(schedule(before, disable=["fold_lanes"])) == {1}
    assert lanes(schedule(before, Machine(32, 16))) == {8}
    for n in (0, 1, 5, 40):
        assert_same_meaning(before, after, {"N": n})


def test_factors_that_lie_along_too():
    before = sums(op("exp", op("mul", ROWS, load("w", "r"))), ("N", 64))
    assert lanes(schedule(before)) == {16}
    assert_same_meaning(before, schedule(before), {"N": 20})


ONE_CHAIN = {
    "columns": sums(load("x", "r", "i"), (64, "N")),
    "few terms": sums(ROWS, ("N", 16), columns=16),
    "terms that stand still": sums(load("x", "i", 0), ("N", 64)),
}


@pytest.mark.parametrize("name", ONE_CHAIN)
def test_what_stays_one_chain(name):
    assert lanes(schedule(ONE_CHAIN[name])) == {1}

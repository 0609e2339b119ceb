import pytest

from graphnn.schedule.local import MOST, keep_local
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import plan
from graphnn.schedule.passes import schedule
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total

EXP = op("exp", load("x", "i", "j"))


def rows(columns=8, role="temp", read=("i", "r"), rows="N"):
    """t = exp(x), s = its row sums, y = t/s."""
    shape = (rows, columns)
    names = [array("x", "input", *shape), array("t", role, *shape), array("s", "temp", rows)]
    last = op("div", load("t", *read[:-1], "j") if read[0] == "i" else load("t", "j", "i"), load("s", "i"))
    domain = {"i": rows, "j": columns}
    sums = total(load("t", *read), r=columns)
    formulas = [("t", domain, EXP), ("s", {"i": rows}, sums), ("y", domain, last)]
    return program([*names, array("y", "output", *shape)], formulas)


def local(p):
    return {b.name: b.local_to for b in p.buffers if b.local_to}


def test_docstring_example():
    before = rows()
    after = schedule(before)
    (loop,) = after.body
    assert local(after) == {"t": loop.axis}
    assert local(schedule(before, disable=["local"])) == {}
    assert plan(after).lifetimes == ()
    for n in (0, 1, 5, 20):
        assert_same_meaning(before, after, {"N": n})


def test_parts_of_two_loops():
    """t[a, b, j]: a and b are at the same dimensions in all accesses, and the part is what j runs over."""
    shape = {"a": 3, "b": "N", "j": 8}
    arrays = [array(n, r, 3, "N", 8) for n, r in (("x", "input"), ("t", "temp"), ("y", "output"))]
    mean = total(op("exp", load("t", "a", "b", "r")), r=8)
    formulas = [
        ("t", shape, op("exp", load("x", "a", "b", "j"))),
        ("s", {"a": 3, "b": "N"}, mean),
        ("y", shape, op("div", load("t", "a", "b", "j"), load("s", "a", "b"))),
    ]
    before = program([*arrays, array("s", "temp", 3, "N")], formulas)
    after = schedule(before)
    assert "t" in local(after)
    assert after.buffer("t").layout[-1] == 2
    assert_same_meaning(before, after, {"N": 5})


IN_MEMORY = {
    "an output": rows(role="output"),
    "rows that leave the cache": rows(columns=MOST // 4 + 1),
    "rows of all lanes leave the cache": rows(columns=MOST // 64 + 1),
    "columns of another iteration": rows(columns=16, read=("r", "i"), rows=16),
    "rows of unknown length": rows(columns="N", rows=16),
}


@pytest.mark.parametrize("name", IN_MEMORY)
def test_what_stays_in_memory(name):
    assert "t" not in local(schedule(IN_MEMORY[name]))


def test_what_two_statements_use_stays_in_memory():
    before = rows()
    unfused = schedule(before, disable=["fuse"])
    assert local(unfused) == {}
    assert keep_local(before, Machine()) == before

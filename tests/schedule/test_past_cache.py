import pytest

from graphnn.schedule.passes import schedule
from tests.schedule.samples import array, load, op, program, total

LARGE = 2**24


def maps(extent, role="output"):
    """y = 2x"""
    arrays = [array("x", "input", extent), array("y", role, extent), array("s", "output")]
    sums = [("s", {}, total(load("y", "r"), r=extent))] if role == "temp" else [("s", {}, load("x", 0))]
    return program(arrays, [("y", {"i": extent}, op("mul", load("x", "i"), 2.0)), *sums], sizes=["N"])


def rows(columns, value):
    """y[i, j] = value"""
    shape = (2**24 // columns, columns)
    arrays = [array("x", "input", *shape), array("y", "output", *shape)]
    return program(arrays, [("y", dict(zip("ij", shape, strict=True)), value)], sizes=())


def streamed(p):
    return [b.name for b in schedule(p).buffers if b.streamed]


DOUBLED = op("mul", load("x", "i", "j"), 2.0)


def test_docstring_example():
    assert streamed(maps(LARGE)) == ["y"]
    assert streamed(rows(64, DOUBLED)) == ["y"]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(maps(2**20), id="a cache holds it"),
        pytest.param(maps("N"), id="unknown size"),
        pytest.param(maps(LARGE, role="temp"), id="a temp"),
        pytest.param(maps(LARGE, role="state"), id="a state"),
        pytest.param(rows(40, DOUBLED), id="rows that end within a line"),
    ],
)
def test_what_stays_in_the_caches(before):
    assert streamed(before) == []


def softmax():
    """y[i, j] = exp(x[i, j]) / sum over r of exp(x[i, r]), by rows in the lanes."""
    top = op("exp", load("x", "i", "r"))
    shape = (2**18, 64)
    arrays = [array("x", "input", *shape), array("t", "temp", shape[0]), array("y", "output", *shape)]
    last = op("div", op("exp", load("x", "i", "j")), load("t", "i"))
    formulas = [("t", {"i": shape[0]}, total(top, r=64)), ("y", {"i": shape[0], "j": 64}, last)]
    return program(arrays, formulas, sizes=())


def test_rows_in_the_lanes_go_past_the_caches():
    assert streamed(softmax()) == ["y"]


def test_what_is_read_again_stays_in_the_caches():
    """Without parts of its own, an iteration keeps the exponentials where it stores the quotients."""
    assert not any(b.streamed for b in schedule(softmax(), disable=["local"]).buffers)

"""Which accesses meet in one iteration only."""

from __future__ import annotations

import pytest

from graphnn.schedule.affine import meetings, pins
from graphnn.schedule.statements import Access
from graphnn.simplify.expr import Axis, Op, index_constant


def index(constant=0, **coefficients):
    total = index_constant(constant)
    for name, factor in coefficients.items():
        total = Op("add", (total, Op("mul", (index_constant(factor), Axis(name)), "int64")), "int64")
    return total


EXTENTS = {"l": 16, "t": 5}


@pytest.mark.parametrize(
    ("first", "second", "axis", "answer"),
    [
        ([index(l=1, t=16)], [index(l=1, t=16)], "l", True),
        ([index(l=1, t=32)], [index(16, l=1, t=32)], "l", True),
        ([index(l=1, t=32)], [index(16, l=1, t=32)], "t", True),
        ([index(l=1, t=16)], [index(16, l=1, t=16)], "t", False),  # t and t + 1 meet
        ([index(l=1, t=32)], [index(8, l=1, t=32)], "l", False),  # l and l + 8 meet
        ([index(l=1, t=32)], [index(17, l=1, t=32)], "t", False),  # 15 + 17
        ([index(t=2)], [index(1, t=2)], "t", True),
        ([index(t=2)], [index(2, t=2)], "t", False),
        ([index(3), index(l=1)], [index(3), index(5)], "l", False),
    ],
)
def test_pins(first, second, axis, answer):
    one, other = (Access("b", tuple(where), True) for where in (first, second))
    assert pins(one, other, axis, EXTENTS) is answer
    assert pins(other, one, axis, EXTENTS) is answer


def test_meetings_are_pairs_that_one_writes_and_that_may_meet():
    def access(writes, *where):
        return Access("b", tuple(where), writes)

    first, second = access(True, index(0), index(l=1)), access(True, index(1), index(l=1))
    read, other = access(False, index(t=1), index(l=1)), Access("c", (index(0),), False)
    found = {frozenset(pair) for pair in meetings([first, second, read, other, first])}
    assert found == {frozenset(pair) for pair in ((first,), (second,), (first, read), (second, read))}
    assert len(list(meetings([first, first]))) == 1

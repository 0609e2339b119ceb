"""Lines from beyond the second-level cache: counted by hand for contractions whose factors fit, and do not fit."""

import pytest

from graphnn.lower.ir import Buffer, Contract, Store
from graphnn.schedule.affine import default_layout
from graphnn.schedule.cost import FAR_LINES, CostModel
from graphnn.schedule.extents import volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.traffic import far_lines
from graphnn.simplify.expr import Axis, Local, index_constant
from tests.schedule.samples import at, integer, ranges


def lines_of(a, b, outer, m, n, k, shapes):
    """far_lines of a contraction over m, n and k; 16 float32 are a line."""
    buffers = [
        Buffer(name, "float32", shape := tuple(map(index_constant, extents)), "temp", default_layout(shape))
        for name, extents in shapes.items()
    ]
    (m_range,), (n_range,) = ranges(**m), ranges(**n)
    body = Store("y", (Axis(m_range.axis), Axis(n_range.axis)), Local("s", "float32"))
    c = Contract("s", m_range, n_range, ranges(**k), a, b, (body,))
    return far_lines(ranges(**outer), c, CostModel.of(buffers, Machine()))


def test_factors_that_fit_are_fetched_once():
    fetched = lines_of(
        at("a", "t", "i", "r"),
        at("b", "r", "j"),
        {"t": 8},
        {"i": 28},
        {"j": 64},
        {"r": 64},
        {"a": (8, 28, 64), "b": (64, 64)},
    )
    assert fetched == (8 * 28 * 64 + 64 * 64) / 16


def test_what_is_too_large_comes_again_in_each_iteration():
    """b, 1024 x 512 floats, is driven out by its own columns; a, 14 x 1024 for each t, is not needed again."""
    fetched = lines_of(
        at("a", "t", "i", "r"),
        at("b", "r", "j"),
        {"t": 5},
        {"i": 14},
        {"j": 512},
        {"r": 1024},
        {"a": (5, 14, 1024), "b": (1024, 512)},
    )
    assert FAR_LINES < 1024 * 512 / 16
    assert fetched == 5 * (14 * 1024 + 1024 * 512) / 16


def test_rows_that_two_windows_share_come_once():
    """x[r, y + u, j]: of three rows of 1024 lines each, the next y needs one more. All rows together do not fit."""
    x = at("x", "r", integer("add", "y", "u"), "j")
    rows = lines_of(
        at("w", "o", "r", "u"),
        x,
        {"y": 30},
        {"o": 14},
        {"j": 256},
        {"r": 64, "u": 3},
        {"w": (14, 64, 3), "x": (64, 32, 256)},
    )
    assert rows == pytest.approx(32 * 1024 + volume(ranges(o=14, r=64, u=3)) / 16)

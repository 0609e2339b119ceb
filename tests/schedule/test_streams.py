"""Which products of one row are read in streams, and that they mean the same."""

import pytest

from graphnn.lower.ir import Contract
from graphnn.schedule import streams
from graphnn.schedule.contract import contract
from graphnn.schedule.machine import Machine
from graphnn.schedule.streams import stream_rows
from graphnn.simplify.expr import text
from tests.schedule.samples import assert_same_meaning, layer


def ranges_of(p):
    (c,) = (s for s in p.body if isinstance(s, Contract))
    return [text(r.hi) for r in c.k]


def streamed(n=1, k=1024, m=1024):
    return stream_rows(contract(layer(n, k, m), Machine()), Machine())


def test_docstring_example():
    """k: r < 9216  ->  k: t < 2304, q < 4"""
    assert ranges_of(streamed(k=9216, m=4096)) == ["2304", "4"]


@pytest.mark.parametrize(
    ("n", "k", "m"), [(2, 1024, 1024), ("N", 1024, 1024), (1, 1022, 1024), (1, 4096, 128), (1, 128, 1024)]
)
def test_left_alone(n, k, m):
    """Several rows, an unknown number of them, terms that are no four streams, short rows, and what stays in cache."""
    assert ranges_of(streamed(n, k, m)) == [str(k)]


def test_meaning(monkeypatch):
    monkeypatch.setattr(streams, "FAR_LINES", 0)
    monkeypatch.setattr(streams, "RUN", 1)
    before = layer(1, 24, 20)
    after = stream_rows(contract(before, Machine()), Machine())
    assert ranges_of(after) == ["6", "4"]
    assert_same_meaning(before, after, {})

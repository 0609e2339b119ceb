"""Blocks of rows and columns around the loops of a contraction: where, and that they change no sum."""

import numpy as np
import pytest

from graphnn.lower.ir import Contract, For
from graphnn.schedule import panels, traffic
from graphnn.schedule.contract import contract
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel
from graphnn.schedule.panels import block_panels
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import statements
from graphnn.schedule.vectorise import vectorise
from tests.schedule.samples import array, at, integer, op, program, run, total


def weight_gradient(filters, channels, pixels, taps=3):
    """w[u, o, c] -= sum[p] g[p, o]*x[p + u, c]"""
    product = op("mul", at("g", "p", "o"), at("x", integer("add", "p", "u"), "c"))
    arrays = [array("g", "input", pixels, filters), array("x", "input", pixels + taps - 1, channels)]
    arrays += [array("w", "state", taps, filters, channels), array("n", "temp", taps, filters, channels)]
    value = op("sub", at("w", "u", "o", "c"), total(product, p=pixels))
    axes = {"u": taps, "o": filters, "c": channels}
    return program(arrays, [("n", axes, value)], [("w", "n")], sizes=[])


def contracted(p):
    return contract(p, Machine())


def loops_of(p):
    (nest,) = (s for s in p.body if any(isinstance(inner, Contract) for inner in statements((s,))))
    return [r.axis for r in peel(nest).outer]


def test_docstring_example():
    """for u: contract m, n < 256: w[n]  ->  for p < 8: for u: contract m, n < 32: w[32*p + n]"""
    p = contracted(weight_gradient(384, 256, 2704, taps=9))
    (tap,) = loops_of(p)
    after = block_panels(p, Machine())
    *blocks, inner = loops_of(after)
    assert inner == tap
    assert blocks
    assert all(axis.endswith("_block") for axis in blocks)
    # Threads may divide them: vectorise finds the blocks independent.
    loops = [s for s in statements(vectorise(after, Machine()).body) if isinstance(s, For)]
    assert {s.kind for s in loops if s.axis in blocks} == {"parallel"}


@pytest.mark.parametrize(("filters", "channels", "pixels"), [(384, 256, 64), (64, 64, 512), (97, 97, 4000)])
def test_left_alone(filters, channels, pixels):
    """What stays in cache anyway, and extents that no blocks divide."""
    p = contracted(weight_gradient(filters, channels, pixels))
    assert block_panels(p, Machine()) is p or block_panels(p, Machine()).body == p.body


def test_a_product_without_loops_around_is_left_alone():
    product = op("mul", at("x", "i", "r"), at("y", "r", "j"))
    arrays = [array("x", "input", 512, 784), array("y", "input", 784, 512), array("z", "output", 512, 512)]
    p = contracted(program(arrays, [("z", {"i": 512, "j": 512}, total(product, r=784))], sizes=[]))
    assert not any(isinstance(s, For) for s in block_panels(p, Machine()).body)


def test_no_bit_changes(monkeypatch):
    monkeypatch.setattr(panels, "LEAST", 0.0)
    monkeypatch.setattr(traffic, "FAR_LINES", 40)
    before = weight_gradient(32, 64, 9)
    p = contracted(before)
    after = block_panels(p, Machine())
    assert len(loops_of(after)) > len(loops_of(p))
    for plain, blocked in ((p, after), (schedule(before, disable=["panels"]), schedule(before))):
        np.testing.assert_array_equal(run(blocked, {})["w"], run(plain, {})["w"])

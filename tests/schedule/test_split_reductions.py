from dataclasses import replace

import numpy as np
import pytest

from graphnn.lower.ir import Fold, For
from graphnn.schedule.extents import volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import evaluate
from graphnn.schedule.split_reductions import CHAIN, COLUMNS, split_reductions
from graphnn.schedule.statements import statements
from graphnn.simplify.expr import Axis, Op, index_constant
from tests.schedule.samples import N, array, assert_same_meaning, load, op, program, run, total


def mean(n="N", width=10):
    body = op("div", total(load("x", "r", "c"), r=n, c=width), 7.0)
    arrays = [array("x", "input", n, width), array("y", "output")]
    return program(arrays, [("y", {}, body)], sizes=["N"] if n == "N" else [])


def columns(n="N", width=24):
    arrays = [array("x", "input", n, width), array("y", "output", width)]
    return program(arrays, [("y", {"j": width}, total(load("x", "r", "j"), r=n))], sizes=["N"] if n == "N" else [])


def vector(n, reducer="sum"):
    sizes = ["N"] if n == "N" else []
    return program(
        [array("x", "input", n), array("y", "output")], [("y", {}, total(load("x", "r"), reducer, r=n))], sizes=sizes
    )


def test_docstring_example():
    """sum[r0 < 1024] -> 64 chains of 16, then one of 64"""
    after = split_reductions(vector(1024), Machine())
    first, second = (s for s in statements(after.body) if isinstance(s, Fold))
    assert (volume(first.ranges), volume(second.ranges)) == (16, 64)
    assert first.guard is None
    assert evaluate(after.buffer("x.partial").shape[0], {}) == COLUMNS


@pytest.mark.parametrize("n", [0, 1, 7, 16, 17, 63, 64, 65, 200, 8191, 8192, 8193, 20000])
def test_a_long_vector_of_known_and_of_unknown_size(n):
    x = np.random.default_rng(0).normal(size=n).astype(np.float32)
    expected = float(x.astype(np.float64).sum())
    for p, sizes in ((vector("N"), {"N": n}), (vector(n), {})):
        after = split_reductions(p, Machine())
        assert abs(float(run(after, sizes)["y"]) - expected) < 1e-4 * max(1, n) ** 0.5


@pytest.mark.parametrize("n", [1, 7, 16, 17, 129, 300])
@pytest.mark.parametrize("make", [mean, columns])
def test_meaning(make, n):
    assert_same_meaning(make(), split_reductions(make(), Machine()), {"N": n})
    assert_same_meaning(make(n), split_reductions(make(n), Machine()), {})


@pytest.mark.parametrize("make", [vector, columns], ids=["along memory", "across memory"])
def test_a_range_that_does_not_start_at_zero(make):
    def late(stmt):
        if isinstance(stmt, Fold):
            (r,) = stmt.ranges
            return replace(stmt, ranges=(replace(r, lo=index_constant(5)),))
        return replace(stmt, body=tuple(map(late, stmt.body))) if isinstance(stmt, For) else stmt

    before = replace(make(300), body=tuple(map(late, make(300).body)))
    after = split_reductions(before, Machine())
    assert after != before
    assert_same_meaning(before, after, {})


@pytest.mark.parametrize("reducer", ["max", "min", "prod"])
def test_every_reducer_is_split(reducer):
    before = vector(300, reducer)
    after = split_reductions(before, Machine())
    assert after != before
    assert_same_meaning(before, after, {})


@pytest.mark.parametrize("p", [mean(4096), columns(5000), vector(10**6), mean(64, 784)])
def test_no_chain_is_longer_than_the_limit(p):
    folds = [s for s in statements(split_reductions(p, Machine()).body) if isinstance(s, Fold)]
    assert len(folds) > 1
    assert max(volume(f.ranges) for f in folds) <= CHAIN


def test_short_reductions_are_left_alone():
    before = vector(128)
    assert split_reductions(before, Machine()) == before


def test_a_guard_stays_with_its_terms():
    odd = Op("eq", (Op("mod", (Axis("r"), index_constant(2)), "int64"), index_constant(1)), "bool")
    before = program(
        [array("x", "input", "N"), array("y", "output")], [("y", {}, total(load("x", "r"), guard=odd, r="N"))]
    )
    after = split_reductions(before, Machine())
    x = np.random.default_rng(0).normal(size=201).astype(np.float32)
    np.testing.assert_allclose(run(after, {"N": 201})["y"], x[1::2].sum(), rtol=1e-5)


def test_wide_outputs_keep_unit_stride_in_the_output():
    after = split_reductions(columns(1024), Machine())
    partial = after.buffer("x.partial")
    assert [evaluate(d, {}) for d in partial.shape] == [8, 24]
    assert N not in partial.shape

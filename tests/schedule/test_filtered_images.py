"""Minimal filtering with filters in the lanes: one image, or few, whose tiles need not fill it."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.target import host
from graphnn.lower.builder import lower
from graphnn.schedule.algorithms import Algorithm
from graphnn.schedule.correlations import Correlation
from graphnn.schedule.filtering import filter_correlations
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import Pass, schedule
from graphnn.schedule.tiles import Plan
from graphnn.simplify.expr import Axis
from graphnn.simplify.passes import simplify
from tests.schedule.filtered import algorithms
from tests.schedule.native import run_program
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total

NARROW = Machine(vector_bytes=16, vector_registers=16)
NATIVE = Machine(host().vector_bytes, host().vector_registers)


def network(examples, channels, filters, space, window, padding=0):
    """A correlation with bias and relu between others' results, and the gradient by its image."""
    net = gn.Network()
    x = net.input("x", (examples, channels, *space))
    a = net.input("a", (channels, *[1] * len(space)))
    w = net.input("w", (filters, channels, *window))
    b = net.input("b", (filters, *[1] * len(space)))
    h = gn.relu(gn.correlate(gn.tanh(x + a), w, padding=padding) + b)
    loss = gn.sum(gn.square(h), name="loss")
    rng = np.random.default_rng(examples)
    values = {name: rng.normal(size=t.shape).astype(np.float32) for name, t in net.inputs.items()}
    return [loss, *gn.gradients(loss, [a])], values


def plan_of(c, m):
    """m outputs of a tile each way, of correlations with filters in the lanes."""
    if not isinstance(c, Correlation) or not c.filters_in_lanes:
        return None
    ways = [w for w in (c.windows.row, c.windows.column) if w is not None]
    found = [Algorithm(size, w.size) for w, size in zip(ways, m[-len(ways) :], strict=True)]
    tiles = np.prod([-(-w.places // a.m) for w, a in zip(ways, found, strict=True)])
    return Plan(*[Algorithm(1, 1)] * (2 - len(ways)), *found, int(tiles))


def filtering_by(m):
    return Pass("filtering", lambda p, machine: filter_correlations(p, machine, lambda c, _: plan_of(c, m)))


# examples, channels, filters, space, window, padding; m; and how many correlations are filtered
CASES = {
    "whole tiles": ((1, 32, 64, (8, 8), (3, 3), 1), (2, 2), 2),
    "tiles beyond the image": ((1, 32, 64, (7, 9), (3, 3), 1), (3, 4), 2),
    "an image smaller than a tile": ((1, 32, 64, (4, 5), (3, 3)), (4, 4), 2),
    "several images": ((3, 32, 64, (7, 6), (3, 3), 1), (2, 4), 2),
    "wide window": ((1, 32, 64, (9, 8), (5, 5), 2), (2, 2), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_meaning(name):
    shape, m, count = CASES[name]
    outputs, values = network(*shape)
    after = schedule(lower(simplify(outputs[0].network, outputs).program), NATIVE, instead=[filtering_by(m)])
    assert len(algorithms(after)) == count
    expected = gn.evaluate(outputs, values)
    found = run_program(after, values)
    for tensor, right in zip(outputs, expected, strict=True):
        assert np.abs(found[tensor.name] - right).max() <= 2e-5 * np.abs(right).max(), tensor.name


def last_axis_channels(channels, filters, space, window):
    """h[y, x, o] = relu(b[o] + sum of d[y + u, x + v, c]*w[u, v, c, o]): nothing but filters can be in lanes."""
    (height, width), (rows, columns) = space, window
    out = (height - rows + 1, width - columns + 1, filters)
    row, column = (op("add", Axis(place), Axis(tap), dtype="int64") for place, tap in ("yu", "xv"))
    data = load("d", row, column, "c")
    terms = total(op("mul", data, load("w", "u", "v", "c", "o")), u=rows, v=columns, c=channels)
    arrays = [array("d", "input", height, width, channels), array("w", "state", *window, channels, filters)]
    arrays += [array("b", "state", filters), array("h", "output", *out)]
    value = op("max", 0.0, op("add", load("b", "o"), terms))
    return program(arrays, [("h", dict(zip("yxo", out, strict=True)), value)], sizes=())


@pytest.mark.parametrize("seed", range(5))
def test_the_interpreter_agrees(seed):
    rng = np.random.default_rng(seed)
    window = tuple(int(k) for k in rng.integers(2, 4, 2))
    m = tuple(int(k) for k in rng.integers(2, 4, 2))
    space = tuple(int(k) + size for k, size in zip(rng.integers(1, 6, 2), window, strict=True))
    before = last_axis_channels(3, 8, space, window)
    after = schedule(before, NARROW, instead=[filtering_by(m)])
    assert algorithms(after)
    assert_same_meaning(before, after, {})


def convolution(channels=64, filters=64, space=10):
    net = gn.Network()
    h = gn.relu(net.input("x", (1, channels, space, space)))
    net.initialize(seed=0)
    return gn.conv2d(h, filters, 3, padding=1, activation=gn.relu, name="c")


def test_it_is_chosen_for_one_image_and_its_kernel_is_prepared():
    program = gn.compile(convolution(), cache=False)
    assert "c.W.packed in F(" in program.memory.split("prepared once")[1]
    plain = gn.compile(convolution(), cache=False, disable=["filtering"])
    x = np.random.default_rng(0).normal(size=(1, 64, 10, 10)).astype(np.float32)
    (exact,) = gn.evaluate([convolution()], {"x": x})
    off, direct = (np.sqrt(np.square(p(x=x) - exact).mean()) for p in (program, plain))
    assert 0 < off <= 4 * direct
    assert gn.compile(convolution(), threads=2)(x=x).tobytes() == program(x=x).tobytes()


@pytest.mark.parametrize("options", [{"accuracy": "tight"}, {"disable": ["filtering"]}])
def test_it_is_left_alone(options):
    assert "in F(" not in gn.compile(convolution(), until="schedule", **options).stage("schedule")


@pytest.mark.parametrize("examples", [2, 16])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_reaches_each_window_and_no_other_image(examples, bad):
    net = gn.Network()
    x = net.input("x", (examples, 32, 13, 13))
    w = net.parameter("w", (32, 32, 3, 3), init=gn.Normal(0.1))
    y = gn.leaky_relu(gn.correlate(gn.leaky_relu(x), w, padding="same"))
    filtered, direct = gn.compile(y), gn.compile(y, disable=["filtering"])
    assert "in F(" in filtered.stage("schedule")
    images = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    whole = filtered(x=images)
    for place in ((0, 0, 0, 0), (0, 31, 12, 12), (0, 3, 4, 6)):
        broken = images.copy()
        broken[place] = bad
        found = filtered(x=broken)
        assert not np.isfinite(found[~np.isfinite(direct(x=broken))]).any()
        assert found[1:].tobytes() == whole[1:].tobytes()

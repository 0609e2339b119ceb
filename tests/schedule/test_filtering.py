"""Minimal filtering: the same meaning whatever the sizes, what is left alone, and when it pays."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.target import host
from graphnn.lower.builder import lower
from graphnn.lower.printer import print_program
from graphnn.schedule.algorithms import accurate
from graphnn.schedule.filtering import filter_correlations
from graphnn.schedule.machine import Machine
from graphnn.simplify.passes import simplify
from tests.schedule.filtered import algorithms, plan_of, schedule_filtered
from tests.schedule.native import run_program
from tests.schedule.samples import assert_same_meaning

NARROW = Machine(vector_bytes=16, vector_registers=16)
NATIVE = Machine(host().vector_bytes, host().vector_registers)
LANES = NATIVE.lanes("float32")


def network(examples, channels, filters, space, window, padding=0, dtype="float32"):
    """The loss of a correlation with bias and relu, and its gradients; and values.

    What comes before and after it keeps the gradients by its image and kernel inside of the program.
    """
    net = gn.Network()
    x = net.input("x", (examples, channels, *space), dtype=dtype)
    a = net.input("a", (channels, *[1] * len(space)), dtype=dtype)
    w = net.input("w", (filters, channels, *window), dtype=dtype)
    b = net.input("b", (filters, *[1] * len(space)), dtype=dtype)
    h = gn.relu(gn.correlate(gn.tanh(x + a), w, padding=padding) + b)
    loss = gn.sum(gn.square(h), name="loss")
    slopes = gn.gradients(loss, [a, w, b])
    rng = np.random.default_rng(examples)
    values = {name: rng.normal(size=t.shape).astype(dtype) for name, t in net.inputs.items()}
    return [loss, *slopes], values


def lowered(outputs):
    return lower(simplify(outputs[0].network, outputs).program)


# shape, m, and the algorithms of the correlation and of its gradients by the image and the kernel, which have no tails
CASES = {
    "even": ((8, 9, (6, 6), (3, 3), 1), (2, 2), ["F(2x2, 3x3)"] * 3),
    "large tiles": ((8, 9, (8, 8), (3, 3), 1), (4, 4), ["F(4x4, 3x3)"] * 3),
    "tails": ((3, 2, (8, 7), (3, 3), 1), (3, 4), ["F(3x4, 3x3)"] * 2),
    "one row of tiles": ((3, 2, (5, 10), (2, 3)), (4, 4), ["F(4x4, 2x3)"] * 3),
    "line": ((3, 2, (8,), (3,), 1), (4,), ["F(4, 3)"] * 3),
    "wide window": ((8, 16, (8, 8), (5, 5), 2), (2, 2), ["F(2x2, 5x5)"] * 3),
    "window of one row": ((2, 2, (3, 8), (1, 3)), (1, 2), ["F(2, 3)"] * 3),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_meaning(name):
    shape, m, titles = CASES[name]
    outputs, values = network(2 * LANES, *shape)
    program = lowered(outputs)
    filtered = schedule_filtered(program, NATIVE, lambda c, _: plan_of(c, m, 2))
    assert algorithms(filtered) == titles
    expected = gn.evaluate(outputs, values)
    found = run_program(filtered, values)
    for tensor, right in zip(outputs, expected, strict=True):
        assert np.abs(found[tensor.name] - right).max() <= 2e-5 * np.abs(right).max(), tensor.name


@pytest.mark.parametrize("seed", range(6))
def test_the_interpreter_agrees(seed):
    rng = np.random.default_rng(seed)
    window = tuple(int(k) for k in rng.integers(2, 4, 2))
    space = tuple(int(k) + size for k, size in zip(rng.integers(2, 5, 2), window, strict=True))
    outputs, _ = network(4 * int(rng.integers(1, 3)), 2, 3, space, window, int(rng.integers(0, 2)))
    m = tuple(int(k) for k in rng.integers(2, 4, 2))
    program = lowered(outputs)
    filtered = schedule_filtered(program, NARROW, lambda c, _: plan_of(c, m))
    assert algorithms(filtered)
    assert_same_meaning(program, filtered, {})


def convolution(channels=32, examples=2 * LANES, stride=1):
    net = gn.Network()
    x = net.input("x", (examples, channels, 12, 12))
    h = gn.conv2d(x, 32, 3, stride=stride, activation=gn.relu, name="a")
    net.initialize(seed=0)
    return gn.sum(gn.conv2d(h, 32, 3, activation=gn.relu, name="b"), axis=(2, 3))


def stage(output, **options):
    return gn.compile(output, until="schedule", **options).stage("schedule")


def test_it_is_chosen_where_it_pays():
    text = stage(convolution())
    assert "a.W in F(" in text  # 10 x 10 places
    assert "b.W in F(4x4, 3x3)" in text  # 8 x 8
    executable = gn.compile(convolution(), cache=False)
    assert any("in F(" in line for line in executable.kernels)


@pytest.mark.parametrize(
    ("output", "options"),
    [
        (convolution(), {"disable": ["filtering"]}),
        (convolution(), {"accuracy": "tight"}),
        (convolution(stride=2), {}),  # only its second layer has stride 1
    ],
    ids=["left out", "tight", "stride"],
)
def test_it_is_left_alone(output, options):
    assert "a.W in F(" not in stage(output, **options)


def test_short_sums_are_left_alone():
    assert "a.W in F(" not in stage(convolution(channels=8))


def test_a_batch_that_is_not_known_is_left_alone():
    net = gn.Network()
    h = gn.conv2d(net.input("x", ("N", 32, 12, 12)), 32, 3)
    assert "in F(" not in stage(h)


@pytest.mark.parametrize("channels", [16, 48])
def test_the_error_is_within_four_times_the_direct_one(channels):
    output = convolution(channels)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2 * LANES, channels, 12, 12)).astype(np.float32)
    (exact,) = gn.evaluate([output], {"x": x})
    off = [gn.compile(output, disable=names)(x=x) - exact for names in ((), ("filtering",))]
    filtered, direct = (np.sqrt(np.square(e).mean()) for e in off)
    assert 0 < filtered <= 4 * direct


def test_the_bits_of_a_row_depend_on_no_other_and_on_no_thread():
    output = convolution()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2 * LANES, 32, 12, 12)).astype(np.float32)
    other = np.concatenate([x[:3], rng.normal(size=x[3:].shape).astype(np.float32)])
    one, three = (gn.compile(output, threads=threads) for threads in (1, 3))
    first = one(x=x)
    assert np.array_equal(first[:3], one(x=other)[:3])
    assert np.array_equal(first, three(x=x))


def test_nothing_is_filtered_where_none_is_chosen():
    program = lowered(network(4, 2, 3, (6, 6), (3, 3))[0])
    plain = schedule_filtered(program, NARROW, None)
    assert print_program(filter_correlations(plain, NARROW, lambda c, model: None)) == print_program(plain)


def test_algorithms_are_chosen_by_their_errors():
    assert set(accurate(64, 3, 3)) == {(a, b) for a in (2, 3, 4) for b in (2, 3, 4)}
    assert (4, 4) not in set(accurate(256, 3, 3))  # a direct sum of 2304 terms has five chains
    assert (2, 2) in set(accurate(256, 3, 3))
    assert set(accurate(64, 1, 3)) == {(1, 2), (1, 3), (1, 4)}
    assert list(accurate(64, 7, 3)) == []

"""The values of state variables: how often they are drawn."""

import zlib

import numpy as np
import pytest

import graphnn as gn
from graphnn.declare.initializer import PIECE


class Counting:
    """Draws row numbers, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self, shape, generator):
        self.calls += 1
        return np.broadcast_to(generator.normal(size=shape[:1])[:, None], shape)


@pytest.fixture
def counted():
    net, init = gn.Network(), Counting()
    net.parameter("W", (3, 2), init=init)
    return net, init


def test_initialize_draws_each_value_once(counted):
    net, init = counted
    net.initialize(seed=1)
    first = np.array(net.state["W"])
    assert init.calls == 1
    array = net.state.buffer("W")
    net.initialize(seed=1)
    assert init.calls == 2
    assert net.state.buffer("W") is array
    np.testing.assert_array_equal(net.state["W"], first)


def test_a_value_that_is_given_is_not_drawn(counted):
    net, init = counted
    net.state["W"] = np.arange(6.0).reshape(3, 2)
    assert init.calls == 0
    np.testing.assert_array_equal(net.state["W"], [[0, 1], [2, 3], [4, 5]])
    assert net.state["W"].dtype == np.float32


def test_a_value_that_does_not_fit_leaves_the_variable_as_it_was(counted):
    net, _ = counted
    with pytest.raises(gn.ShapeError, match=r"'W' has shape \(3, 2\)"):
        net.state["W"] = np.zeros(3)
    with pytest.raises(gn.GraphError, match="astype"):
        net.state["W"] = np.zeros((3, 2), complex)
    drawn = np.array(net.state["W"])
    net.initialize(seed=0)
    np.testing.assert_array_equal(net.state["W"], drawn)


class Doubled(gn.Normal):
    """A user's initializer that is made of one of ours."""

    def __call__(self, shape, generator):
        return 2 * gn.Normal.__call__(self, shape, generator)


@pytest.mark.parametrize("init", [gn.Glorot(), gn.He(), gn.Normal(2.0, 1.0), gn.Constant(-3.0), Doubled(1.0)])
def test_a_large_value_is_what_its_initializer_gives_at_once(init):
    shape = (3, PIECE + 11)
    net = gn.Network()
    net.parameter("W", shape, init=init)
    for seed in (0, 7):
        net.initialize(seed)
        whole = init(shape, np.random.default_rng([seed, zlib.crc32(b"W")]))
        np.testing.assert_array_equal(net.state["W"], whole.astype(np.float32))


def test_zeros_take_no_memory_until_they_are_written():
    resource = pytest.importorskip("resource")
    net = gn.Network()
    net.parameter("W", (64, 1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert net.state["W"].shape == (64, 1 << 20)
    touched = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert touched < 64  # of 128 pages of 2 MB, or 65536 of 4 KB
    assert not net.state["W"][::7, 5].any()


def test_a_negative_zero_keeps_its_sign():
    net = gn.Network()
    net.parameter("W", (3,), init=-0.0)
    assert np.signbit(net.state["W"]).all()


def test_a_cast_that_raises_leaves_the_value_as_it_was(counted):
    net, _ = counted
    first, version = np.array(net.state["W"]), net.state.version
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        net.state["W"] = [[0, 0], [0, 0], [0, 1e300]]
    np.testing.assert_array_equal(net.state["W"], first)
    assert net.state.version == version


def test_which_variable_changed_since_a_version():
    net = gn.Network()
    for name in "abc":
        net.parameter(name, (2,))
    state = net.state
    state["c"] = np.ones(2)
    since = state.version
    state["a"] = np.ones(2)
    state.buffer("b")
    assert [state.changed(name, since) for name in "abc"] == [True, False, False]
    assert not any(state.changed(name, state.version) for name in "abc")
    state.buffer("b", "float32")  # from here on, its borrower may write to it
    assert [state.changed(name, state.version) for name in "abc"] == [False, True, False]
    since = state.version
    net.initialize(seed=3)
    assert all(state.changed(name, since) for name in "abc")

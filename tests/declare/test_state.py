"""The values of state variables: how often they are drawn."""

import numpy as np
import pytest

import graphnn as gn


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

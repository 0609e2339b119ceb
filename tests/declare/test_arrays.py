from threading import Thread

import numpy as np
import pytest

import graphnn as gn
from graphnn.declare import arrays
from graphnn.declare.arrays import ALIGNMENT, SHARE, aligned_copy, aligned_zeros


@pytest.mark.parametrize("shape", [(), (0,), (3,), (4, 7)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_a_copy_starts_at_a_cache_line(shape, dtype):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2
    copies = [aligned_copy(values.T if len(shape) > 1 else values, dtype) for _ in range(4)]
    for copy in copies:
        assert copy.ctypes.data % ALIGNMENT == 0
        assert copy.flags.carray
        assert copy.dtype == dtype
        np.testing.assert_array_equal(copy, values.T)
    assert not np.shares_memory(copies[0], values)


def test_state_starts_at_cache_lines_in_every_dtype():
    net = gn.Network()
    gn.dense(net.input("x", (2, 30)), 20, name="d")
    net.state["d.b"] = np.ones(20)  # never drawn
    for dtype in ("float32", "float64", "float32"):
        assert [net.state.buffer(name, dtype).ctypes.data % ALIGNMENT for name in ("d.W", "d.b")] == [0, 0]


LARGE = (3, SHARE // 4 + 5)  # float32: three shares, and a bit


@pytest.fixture
def four_processors(monkeypatch):
    monkeypatch.setattr(arrays, "processors", lambda: 4)


@pytest.mark.parametrize("shape", [LARGE, LARGE[::-1], (1, 1, 3 * SHARE)])
@pytest.mark.usefixtures("four_processors")
def test_large_copies_are_divided_among_processors(shape, monkeypatch):
    started = []
    monkeypatch.setattr(arrays, "Thread", lambda **options: started.append(1) or Thread(**options))
    values = np.random.default_rng(0).normal(size=shape[::-1]).T
    copy = aligned_copy(values, "float32")
    assert started
    np.testing.assert_array_equal(copy, values.astype(np.float32))


@pytest.mark.usefixtures("four_processors")
def test_a_value_that_is_made_of_itself_is_copied_as_numpy_does():
    net = gn.Network()
    net.parameter("W", LARGE[::-1])
    values = np.arange(np.prod(LARGE), dtype=np.float32).reshape(LARGE[::-1])
    net.state["W"] = values
    net.state["W"] = net.state["W"][::-1]
    np.testing.assert_array_equal(net.state["W"], values[::-1])


@pytest.mark.usefixtures("four_processors")
def test_what_a_part_of_a_copy_warns_of_is_raised_by_the_copy():
    values = np.zeros(LARGE)
    values[-1, -1] = 1e300
    with pytest.raises(RuntimeWarning, match="overflow"):
        aligned_copy(values, "float32")
    with np.errstate(over="ignore"):
        assert aligned_copy(values, "float32")[-1, -1] == np.inf


def test_zeros_start_at_a_cache_line():
    for shape in ((), (0,), (5, 7)):
        zeros = aligned_zeros(shape, "float32")
        assert zeros.ctypes.data % ALIGNMENT == 0
        assert zeros.shape == shape
        assert not zeros.any()

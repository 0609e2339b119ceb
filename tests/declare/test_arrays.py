import numpy as np
import pytest

import graphnn as gn
from graphnn.declare.arrays import ALIGNMENT, aligned_copy


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

"""Equal reductions are made once; those that differ in a guard only, and those that are asked for, are not."""

from __future__ import annotations

import numpy as np

import graphnn as gn

i, k = gn.indices("i k")
X = gn.operands("X")


def test_two_outputs_with_one_formula_are_two_arrays() -> None:
    net = gn.Network("twice")
    x = net.input("x", (3, 4), "float64")
    found = gn.compile({"a": gn.sum(x, axis=1), "b": gn.sum(x, axis=1)})(x=np.arange(12.0).reshape(3, 4))
    assert found["a"].tolist() == found["b"].tolist() == [6, 22, 38]
    assert not np.shares_memory(found["a"], found["b"])


def test_reductions_under_different_guards_are_different() -> None:
    net = gn.Network("guards")
    x = net.input("x", (5,), "float64")
    extents = {i: X.shape[0], k: 3}
    all_of_them = gn.op("window", (i,), gn.Max(gn.guard(X[i + k - 1]), k), extents)
    first_two = gn.op("window", (i,), gn.Max(gn.guard(X[i + k - 1], k < 2), k), extents)
    found = gn.compile(all_of_them(x) - first_two(x))(x=np.array([1.0, 2, 4, 8, 16]))
    assert found.tolist() == [1, 2, 4, 8, 0]

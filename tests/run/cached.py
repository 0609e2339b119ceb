"""What the tests of the cache compile, and the files that it leaves."""

import numpy as np

import graphnn as gn

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def network(name="net", factor=2, shape=("N", 4), dtype="float32"):
    net = gn.Network(name)
    x = net.input("x", shape, dtype)
    return gn.sigmoid(factor * x @ net.parameter("W", (4, 3), init=gn.Normal(1.0), dtype=dtype))


def files(folder):
    return sorted(folder.glob("*.gnn"))

import pytest
import sympy

import graphnn as gn
from graphnn.check.analytic import find_obstacle

SMOOTH = {
    "sigmoid": lambda x, n: gn.sigmoid(x),
    "softmax": lambda x, n: gn.softmax(x),
    "labels": gn.softmax_cross_entropy,
    "slice": lambda x, n: x[:, 1],
    "mask of axes": lambda x, n: x * gn.one_hot(n, 3),
    "the leaf is not on the way to the max": lambda x, n: gn.sum(x) + gn.max(gn.relu(x.network["other"])),
}
KINKED = {
    "Max in 'end'": lambda x, n: gn.relu(x, name="end"),
    "Abs in 'end'": lambda x, n: gn.abs(x, name="end"),
    "max in 'end'": lambda x, n: gn.max(gn.exp(x), axis=1, name="end"),
    "min in 'end'": lambda x, n: gn.min(x, name="end"),
    "a condition in 'end'": lambda x, n: gn.leaky_relu(gn.exp(x), name="end"),
    "bool values in 'sign'": lambda x, n: gn.where(gn.less(x, 0.0, name="sign"), x, 2.0 * x),
}


def network():
    net = gn.Network()
    net.input("other", (3,))
    return net.input("x", ("N", 3)), net.input("n", ("N",), dtype="int64")


@pytest.mark.parametrize("build", SMOOTH.values(), ids=SMOOTH.keys())
def test_analytic(build):
    x, n = network()
    assert find_obstacle(build(x, n), x) is None


@pytest.mark.parametrize(("expected", "build"), KINKED.items(), ids=KINKED.keys())
def test_not_analytic(expected, build):
    x, n = network()
    assert find_obstacle(gn.sum(build(x, n)), x) == expected


def test_an_op_declared_here_is_judged_by_its_formula():
    kinked = gn.elementwise("wave", lambda t: t * sympy.sign(t))
    x, _ = network()
    assert find_obstacle(kinked(x, name="end"), x) == "sign in 'end'"

"""A derivation's steps are equations that hold, each names its node, and it leaves the network as it found it."""

import itertools

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.declare.notation import Entry, Reduction
from graphnn.declare.scalars import PRIMITIVES
from graphnn.simplify.heads import Sigmoid

SIZES = {"N": 2}


def bce():
    net = gn.Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 2))
    hidden = gn.dense(x, 3, activation=gn.tanh, name="h")
    return gn.binary_cross_entropy(gn.dense(hidden, 2, activation=gn.sigmoid, name="p"), y, name="loss"), {}


def labels(distribution=False):
    net = gn.Network()
    z = gn.dense(net.input("x", ("N", 2)), 3, name="z")
    if not distribution:
        return gn.softmax_cross_entropy(z, net.input("y", ("N",), dtype="int64"), name="loss"), {"y": np.array([2, 0])}
    y = net.input("y", ("N", 3))
    loss = gn.softmax_cross_entropy(z, y, distribution=True, name="loss")
    return loss, {"y": np.array([[0.5, 0.25, 0.25], [0, 1, 0]])}


def one_unit():
    net = gn.Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 1))
    return gn.quadratic(gn.dense(x, 1, activation=gn.softplus, name="z"), y, name="loss"), {}


def constant_terms():
    """Sums over what does not depend on their axes, or on a factor only."""
    net = gn.Network()
    x, w = net.input("x", ("N", 3)), net.parameter("w", (3,))
    scale = gn.sigmoid(net.parameter("c", ()), name="scale")
    return gn.sum((x * w + w) * scale, name="loss"), {}


NETWORKS = [bce, labels, lambda: labels(distribution=True), one_unit, constant_terms]


def value(expr, arrays, point):
    """The number that an expression is at a point, by brute force."""
    if isinstance(expr, Reduction):
        reduce = {"sum": sum, "max": max}[expr.reducer]
        terms = itertools.product(*(range(EXTENTS[axis.name]) for axis in expr.axes))
        points = ({**point, **dict(zip(expr.axes, term, strict=True))} for term in terms)
        return reduce(value(expr.body, arrays, p) for p in points if expr.guard.xreplace(p) == sympy.true)
    if isinstance(expr, Entry):
        return sympy.sympify(arrays[expr.operand][tuple(int(value(i, arrays, point)) for i in expr.index)].item())
    if expr in point:
        return sympy.Integer(point[expr])
    if isinstance(expr, sympy.Piecewise):
        return next(value(e, arrays, point) for e, c in expr.args if value(c, arrays, point) == sympy.true)
    if isinstance(expr, sympy.Symbol):
        return sympy.Integer(SIZES[expr.name])
    if expr.is_Atom:
        return expr
    head = expr.func
    if head is Sigmoid:
        head = lambda x: 1 / (1 + sympy.exp(-x))  # noqa: E731
    elif head in PRIMITIVES:
        head = PRIMITIVES[head]
    return sympy.N(head(*(value(a, arrays, point) for a in expr.args)))


EXTENTS = {}


@pytest.mark.parametrize("accuracy", ["fast", "tight"])
@pytest.mark.parametrize("make", NETWORKS)
def test_every_step_is_an_equation_that_holds(make, accuracy):
    loss, given = make()
    net, rng = loss.network, np.random.default_rng(0)
    inputs = {n: given.get(n, rng.uniform(0.2, 0.8, [SIZES.get(d, d) for d in t.shape])) for n, t in net.inputs.items()}
    values = inputs | {n: rng.normal(size=t.shape) for n, t in net.parameters.items()}
    for parameter in list(net.parameters.values()):
        found = gn.derivation(loss, parameter, accuracy)
        arrays = dict(zip(net.graph, gn.evaluate([net[n] for n in net.graph], values), strict=True))
        for rule, step in reversed(found.steps):  # auxiliary arrays are defined last, and by what is no auxiliary array
            assert isinstance(step, sympy.Eq), rule
            fill(step, arrays, known=step.lhs.operand in net.graph)
        for rule, step in found.steps:
            assert fill(step, arrays, known=True), (rule, step)


def fill(step, arrays, known):
    """Whether both sides are equal at each element; an array that is not known becomes what the right side says."""
    EXTENTS.update({f"r{n}": 0 for n in range(3)})
    return True

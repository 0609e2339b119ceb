"""A compile knows its mode: the other branch, and all that only it reads, is no part of the program."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.simplify.formula import print_formulas
from graphnn.simplify.passes import simplify


def network():
    net = gn.Network("modes")
    x, t = net.input("x", ("N", 3)), net.input("t", ("N", 3))
    a = net.parameter("a", (3,), init=2.0)
    running = net.variable("running", (3,), 7.0)
    net.update(running, gn.mean(x, axis=0, name="next"))
    taught = gn.matmul(t, net.parameter("W", (3, 3), init=1.0), name="taught")
    y = gn.where(net.training, taught * a, running + x, name="y")
    return net, y


X, T = np.ones((2, 3), np.float32), np.full((2, 3), 4, np.float32)


def test_the_formula_of_a_mode_holds_one_branch():
    net, y = network()
    assert print_formulas(simplify(net, [y]).program).splitlines()[-1] == (
        "  y[i0 < N, i1 < 3] = (running[i1] + x[i0, i1])"
    )
    trained = print_formulas(simplify(net, [y], training=True).program)
    assert "running" not in trained
    assert "taught" in trained


def test_inputs_of_the_other_branch_are_not_asked_for():
    _, y = network()
    assert gn.compile(y)(x=X).tolist() == [[8, 8, 8]] * 2
    with pytest.raises(gn.BoundaryError, match="t"):
        gn.compile(y)(x=X, t=T)


def test_training_makes_the_updates_of_what_is_reached_in_either_mode():
    net, y = network()
    step = gn.compile(y, training=True)
    assert step(x=X, t=T).tolist() == [[24, 24, 24]] * 2
    assert net.state["running"].tolist() == [1, 1, 1]
    gn.compile(y)(x=5 * X)
    assert net.state["running"].tolist() == [1, 1, 1]  # a prediction changes nothing


def test_gradients_go_through_the_branch_of_the_mode():
    net, y = network()
    by_a, by_x = gn.gradients(gn.sum(y), [net["a"], net["x"]])
    given = {"x": X, "t": T}
    for training in (False, True):
        right = gn.evaluate([by_a, by_x], given, training=training)
        run = gn.compile({"a": by_a, "x": by_x}, sizes={"N": 2}, training=training)
        used = {name: value for name, value in given.items() if f"input {name}:" in run.stage("simplify")}
        found = run(**used)
        np.testing.assert_array_equal(found["a"], right[0])
        np.testing.assert_array_equal(found["x"], right[1])
    assert right[0].tolist() == [24, 24, 24]  # sum over two rows of 3*4
    assert right[1].tolist() == [[0, 0, 0]] * 2


def test_the_mode_itself_has_a_value():
    net, _ = network()
    assert gn.compile(net.training)().tolist() is False
    assert gn.compile(net.training, training=True)().tolist() is True


def test_an_update_that_is_asked_for_takes_the_place_of_the_networks_own():
    net, y = network()
    gn.compile(y, training=True, updates={"running": net["running"]})(t=T)
    assert net.state["running"].tolist() == [7, 7, 7]
    gn.compile(y, training=True, updates={"running": net["running"] * 2})(t=T)
    assert net.state["running"].tolist() == [14, 14, 14]


def test_a_mode_is_a_bool():
    with pytest.raises(gn.CompileError, match="training='yes': True or False"):
        gn.compile(network()[1], training="yes")

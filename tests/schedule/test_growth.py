"""The passes' work grows with the length of the program, not with its square."""

import sys

import graphnn as gn
from graphnn.lower.builder import lower
from graphnn.schedule.passes import schedule
from graphnn.simplify.passes import simplify


def count_calls(layers):
    """Calls of Python functions while the step of a deep network is scheduled."""
    net = gn.Network()
    h, y = net.input("x", ("N", 16)), net.input("y", ("N",), dtype="int64")
    for _ in range(layers):
        h = gn.dense(h, 16, activation=gn.tanh)
    loss = gn.softmax_cross_entropy(h, y)
    weights = [net[name] for name in net.parameters]
    updates = gn.SGD(0.1).updates(weights, gn.gradients(loss, weights))
    program = lower(simplify(net, [loss], updates, {"N": 16}).program)
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        schedule(program)
    finally:
        sys.setprofile(before)
    return calls


def test_twice_the_layers_take_twice_the_work():
    some, more, most = map(count_calls, (10, 30, 50))  # what is found once for all layers is in the first
    assert most - more < 1.15 * (more - some)

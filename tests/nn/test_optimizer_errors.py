"""Bad input to optimizers: each a typed error that names what is wrong."""

import numpy as np
import pytest
import sympy

from graphnn.declare.network import Network
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.optimizers.decay import decoupled_decay
from graphnn.nn.optimizers.rule import optimizer
from graphnn.nn.optimizers.rules import SGD, Adam, AdamW, Momentum
from graphnn.nn.optimizers.schedules import adjustable, scheduled, step_decay
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.reduction import sum as total

UNIT = sympy.Interval(0, 1)
COUNTED = optimizer(
    "counted", lambda w, g, t, lr: {"w": w - lr * g / t, "t": 2 * t}, {"t": 1}, {"lr": 0.1}, scalars=("t",)
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.1, 0.2), "2 are given"),
        (lambda: SGD(rate=0.1), "no attribute 'rate'"),
        (lambda: SGD(0.1, lr=0.2), "twice"),
        (lambda: SGD(float("nan")), "finite"),
        (lambda: SGD(10**400), "finite"),
        (lambda: SGD("0.1"), "is a number"),
        (lambda: optimizer("o", lambda w, x: {"w": w}), "asks for 'x'"),
        (lambda: optimizer("o", lambda w, g, v: {"w": w}, state={"v": 0}), "no new 'v'"),
        (lambda: optimizer("o", lambda w, g: {"w": np.sqrt(w)}), "^o: .* sympy.exp, .* instead of np.exp"),
        (lambda: Adam(True), "'lr' is a number, not True"),
        (lambda: optimizer("o", lambda w, g: {"u": w}), "a new 'u'"),
        (lambda: optimizer("o", lambda w, g: w), "a dict of formulas"),
        (lambda: optimizer("o", lambda w, g: {"w": "w - g"}), "not str"),
        (lambda: optimizer("o", lambda w, g: {"w": w - sympy.Symbol("h") * g}), "reads 'h'"),
        (lambda: optimizer("o", lambda w, g: {"w": w}, state={"w": 0}), "used twice"),
        (lambda: optimizer("o", lambda w, g: {"w": w}, scalars=("t",)), "'t' is not in state"),
        (lambda: optimizer("o", lambda w, g, t: {"w": w, "t": t + g}, state={"t": 0}, scalars=("t",)), "reads 'g'"),
        (lambda: SGD(-1), r"^sgd: attribute 'lr' is -1; it lies in \[0, infinity\)"),
        (lambda: Momentum(mu=1.0), r"'mu' is 1.0; it lies in \[0, 1\)"),
        (lambda: Momentum(mu=-0.1), "'mu' is -0.1"),
        (lambda: Adam(eps=0), r"'eps' is 0; it lies in \(0, infinity\)"),
        (lambda: Adam(beta2=np.float32(1)), "'beta2' is 1.0"),
        (lambda: AdamW(decay=-1e-9), "'decay' is -1e-09"),
        (lambda: Adam(adjustable(-1)), "'lr' is -1; it lies"),
        (lambda: Adam(scheduled(lambda t: t - 1)), "'lr' at t = 0 is -1.0; it lies"),
        (lambda: Adam("cosine"), "'lr' is a number or a schedule; 'cosine' is an unknown schedule"),
        (lambda: Adam(lambda t: 1 / (1 + t)), "unknown schedule: wrap the function: gn.scheduled"),
        (lambda: Adam([0.1]), r"'lr' is a number, not \[0.1\]"),
        (lambda: Adam(clip_norm=0), r"clip_norm is 0; it lies in \(0, infinity\)"),
        (lambda: Adam(clip_value="1"), "clip_value is a number, not '1'"),
        (lambda: optimizer("", lambda w, g: {"w": w}), "nonempty str"),
        (lambda: optimizer("o", "w - g"), "update is a function"),
        (lambda: optimizer("o", lambda w, g, a: {"w": w}, attributes={"a": -1}, domains={"a": UNIT}), "'a' is -1"),
        (lambda: optimizer("o", lambda w, g: {"w": w}, domains={"a": UNIT}), "'a' is not in attributes"),
        (lambda: optimizer("o", lambda w, g, a: {"w": w}, attributes={"a": 1}, domains={"a": 1}), "a set such as"),
        (lambda: optimizer("o", lambda w, g: {"w": w}, weights_only=("a",)), "'a' is not in attributes"),
        (lambda: optimizer("o", lambda w, g: {"w": w}, attributes={"clip_norm": 1}), "keyword of every optimizer"),
        (lambda: optimizer("o", lambda w, g, v: {"w": w, "v": v}, state={"v": "0"}), "first value of 'v' is a number"),
        (lambda: decoupled_decay(SGD()), "takes an update rule"),
        (lambda: decoupled_decay(AdamW), "no 'decay' yet"),
        (lambda: decoupled_decay(SGD, decay=-1), "decay is -1"),
        (lambda: COUNTED(lr=step_decay(1, 0.5, 2)).formulas, "another t of its own"),
    ],
)
def test_errors_name_what_is_wrong(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_a_new_value_must_read_an_array():
    loss = total(Network().parameter("w", (3,)))
    with pytest.raises(GraphError, match="reads no weight"):
        Trainer(loss, optimizer("zero", lambda w, g: {"w": 0})())


def test_parameters_of_two_dtypes_are_refused():
    net = Network()
    a, b = net.parameter("a", (2,)), net.parameter("b", (2,), dtype="float64")
    with pytest.raises(DTypeError, match="'a' is float32, 'b' is float64"):
        SGD().updates([a, b], [a, b])


def test_a_slot_does_not_take_over_another_variable():
    net = Network()
    loss = total(net.parameter("w", (3,), dtype="float64"))
    net.variable("w.momentum.v", (2,), dtype="float64")
    with pytest.raises(GraphError, match="in the way"):
        Trainer(loss, Momentum())


def test_parameters_and_gradients_fit_each_other():
    net = Network()
    a, b, x = net.parameter("a", (2,)), net.parameter("b", (3,)), net.input("x", (2,))
    for parameters, grads, error, message in (
        (a, [a], GraphError, "lists of Tensors"),
        ([], [], GraphError, "0 parameters and 0 gradients"),
        ([a], [a, b], GraphError, "1 parameters and 2 gradients"),
        ([a], [b], ShapeError, "is no gradient of <parameter 'a'"),
        ([x], [a], GraphError, "is no parameter"),
        ([a], ["a"], GraphError, "'a' is no Tensor"),
    ):
        with pytest.raises(error, match=message):
            SGD().updates(parameters, grads)


def test_an_error_leaves_the_network_as_it_was():
    net = Network()
    a, b = net.parameter("a", (2,)), net.parameter("b", (2,))
    net.variable("b.adam.v", (5,))
    before = list(net.graph)
    with pytest.raises(GraphError, match="in the way"):
        Adam(clip_value=1, clip_norm=1).updates([a, b], [a, b])
    assert list(net.graph) == before
    assert list(net.state) == ["a", "b", "b.adam.v"]


@pytest.mark.parametrize("what", ["state", "attributes", "domains"])
def test_slots_attributes_and_domains_are_dicts(what):
    with pytest.raises(GraphError, match=f"{what} is a dict by name"):
        optimizer("mine", lambda w, g: {"w": w - g}, **{what: ("v",)})

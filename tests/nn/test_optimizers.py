"""Update rules against plain NumPy loops, written from the papers."""

import numpy as np
import pytest
import sympy

from graphnn.declare.network import Network
from graphnn.errors import DTypeError, GraphError
from graphnn.nn.optimizers.rule import optimizer
from graphnn.nn.optimizers.rules import SGD, Adadelta, Adagrad, Adam, Momentum, Nesterov, RMSProp
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import square
from graphnn.ops.reduction import sum as total

CURVATURE = np.array([1.0, 4.0, 0.25])
TARGET = np.array([1.0, -2.0, 3.0])
START = np.array([0.5, 0.5, -1.0])
STEPS = 50


def quadratic_network():
    """sum h (w - c)^2, whose gradient is 2 h (w - c)."""
    net = Network("bowl")
    h, c = net.input("h", (3,), dtype="float64"), net.input("c", (3,), dtype="float64")
    w = net.parameter("w", (3,), dtype="float64")
    net.state["w"] = START
    return net, total(h * square(w - c))


def walk(rule):
    """The weights after each of STEPS updates w <- rule(t, w, g), t = 1, 2, ..."""
    w, path = START.copy(), []
    for t in range(1, STEPS + 1):
        w = rule(t, w, 2 * CURVATURE * (w - TARGET))
        path.append(w)
    return np.array(path)


def numpy_sgd(lr):
    return lambda t, w, g: w - lr * g


def numpy_momentum(lr, mu):
    v = np.zeros(3)

    def rule(t, w, g):
        v[:] = mu * v - lr * g
        return w + v

    return rule


def numpy_nesterov(lr, mu):
    v = np.zeros(3)

    def rule(t, w, g):
        old = v.copy()
        v[:] = mu * v - lr * g
        return w - mu * old + (1 + mu) * v  # the form of Sutskever et al. after the change of variables

    return rule


def numpy_adagrad(lr, eps):
    s = np.zeros(3)

    def rule(t, w, g):
        s[:] += g * g
        return w - lr / (np.sqrt(s) + eps) * g

    return rule


def numpy_rmsprop(lr, rho, eps):
    s = np.zeros(3)

    def rule(t, w, g):
        s[:] = rho * s + (1 - rho) * g * g
        return w - lr / (np.sqrt(s) + eps) * g

    return rule


def numpy_adadelta(lr, rho, eps):
    s, d = np.zeros(3), np.zeros(3)

    def rule(t, w, g):
        s[:] = rho * s + (1 - rho) * g * g
        step = -np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d[:] = rho * d + (1 - rho) * step * step
        return w + lr * step

    return rule


def numpy_adam(lr, beta1, beta2, eps):
    m, v = np.zeros(3), np.zeros(3)

    def rule(t, w, g):
        m[:] = beta1 * m + (1 - beta1) * g
        v[:] = beta2 * v + (1 - beta2) * g * g
        return w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)

    return rule


CASES = {
    "sgd": (SGD(0.05), numpy_sgd(0.05)),
    "momentum": (Momentum(0.02, mu=0.8), numpy_momentum(0.02, 0.8)),
    "nesterov": (Nesterov(0.02), numpy_nesterov(0.02, 0.9)),
    "adagrad": (Adagrad(0.3), numpy_adagrad(0.3, 1e-8)),
    "rmsprop": (RMSProp(0.01, rho=0.95), numpy_rmsprop(0.01, 0.95, 1e-8)),
    "adadelta": (Adadelta(), numpy_adadelta(1.0, 0.95, 1e-6)),
    "adam": (Adam(0.1, beta2=0.99), numpy_adam(0.1, 0.9, 0.99, 1e-8)),
}


@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_are_those_of_numpy(case):
    rule, expected = CASES[case]
    net, loss = quadratic_network()
    trainer = Trainer(loss, rule)
    path = []
    for _ in range(STEPS):
        trainer.step(h=CURVATURE, c=TARGET)
        path.append(np.array(net.state["w"]))
    np.testing.assert_allclose(path, walk(expected), rtol=1e-12, atol=1e-12)


def test_slots_are_state_variables_with_their_values():
    net, loss = quadratic_network()
    trainer = Trainer(loss, Adam())
    assert list(net.state) == ["w", "adam.t", "w.adam.m", "w.adam.v"]
    gradient = 2 * CURVATURE * (START - TARGET)
    trainer.step(h=CURVATURE, c=TARGET)
    assert net.state["adam.t"] == 1
    np.testing.assert_allclose(net.state["w.adam.m"], 0.1 * gradient, rtol=1e-12)
    np.testing.assert_allclose(net.state["w.adam.v"], 0.001 * gradient**2, rtol=1e-12)


def test_a_second_trainer_goes_on_with_the_slots():
    net, loss = quadratic_network()
    rule = numpy_momentum(0.1, 0.9)
    expected = walk(rule)[1]
    for _ in range(2):
        Trainer(loss, Momentum(0.1)).step(h=CURVATURE, c=TARGET)
    np.testing.assert_allclose(net.state["w"], expected, rtol=1e-12)


def test_a_users_formula_trains():
    sign = optimizer("sign", lambda w, g, lr: {"w": w - lr * sympy.sign(g)}, attributes={"lr": 0.125})
    net, loss = quadratic_network()
    Trainer(loss, sign()).step(h=CURVATURE, c=TARGET)
    np.testing.assert_array_equal(net.state["w"], START - 0.125 * np.sign(START - TARGET))


def test_a_scalar_without_a_formula_is_set_through_the_state():
    scheduled = optimizer("scheduled", lambda w, g, lr: {"w": w - lr * g}, state={"lr": 0.5}, scalars=("lr",))
    net, loss = quadratic_network()
    trainer = Trainer(loss, scheduled())
    net.state["scheduled.lr"] = 0.0
    trainer.step(h=CURVATURE, c=TARGET)
    np.testing.assert_array_equal(net.state["w"], START)
    net.state["scheduled.lr"] = 0.25
    trainer.step(h=CURVATURE, c=TARGET)
    np.testing.assert_allclose(net.state["w"], START - 0.5 * CURVATURE * (START - TARGET), rtol=1e-15)


def test_formulas_and_latex():
    w, g, v, lr, mu = sympy.symbols("w g v lr mu", real=True)
    assert Momentum(0.1).formulas == {"v": mu * v - lr * g, "w": w + mu * v - lr * g}
    assert Momentum().latex().splitlines()[1:3] == [r"v' &= - g \eta + \mu v \\", "w' &= v' + w"]
    assert repr(Momentum(0.1, mu=0.5)) == "momentum(lr=0.1, mu=0.5)"
    text = Adam().latex()
    assert r"t' &= t + 1" in text
    assert r"1 - \beta_{1}^{t'}" in text
    assert r"\frac{v'}{1 - \beta_{2}^{t'}}" in text


def test_what_scalars_alone_decide_is_computed_once():
    net, loss = quadratic_network()
    Trainer(loss, Adam())
    shapes = {n: net[n].shape for n in net.graph if n.startswith("adam.once")}
    assert shapes == {"adam.once.0": (), "adam.once.1": ()}
    per_element = net["w.next"].definition.body.atoms(sympy.Pow)
    assert {p.exp for p in per_element} == {-1, sympy.Rational(1, 2), 2}  # no power of beta2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.1, 0.2), "2 are given"),
        (lambda: SGD(rate=0.1), "no attribute 'rate'"),
        (lambda: SGD(0.1, lr=0.2), "twice"),
        (lambda: SGD(float("nan")), "finite"),
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
    ],
)
def test_errors_name_what_is_wrong(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_a_new_value_must_read_an_array():
    _, loss = quadratic_network()
    with pytest.raises(GraphError, match="reads no weight"):
        Trainer(loss, optimizer("zero", lambda w, g: {"w": 0})())


def test_parameters_of_two_dtypes_are_refused():
    net = Network()
    a, b = net.parameter("a", (2,)), net.parameter("b", (2,), dtype="float64")
    with pytest.raises(DTypeError, match="'a' is float32, 'b' is float64"):
        SGD().updates([a, b], [a, b])


def test_a_slot_does_not_take_over_another_variable():
    net, loss = quadratic_network()
    net.variable("w.momentum.v", (2,), dtype="float64")
    with pytest.raises(GraphError, match="in the way"):
        Trainer(loss, Momentum())

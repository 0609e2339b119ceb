"""Optimizers as formulas: slots, schedules set from outside, LaTeX. What they compute is in test_optimizer_paths.py."""

import numpy as np
import pytest
import sympy
from matplotlib.mathtext import MathTextParser

import graphnn as gn
from graphnn.declare.network import Network
from graphnn.errors import GraphError
from graphnn.nn.optimizers.rule import optimizer
from graphnn.nn.optimizers.rules import SGD, Adam, AdamW, Lion, Momentum
from graphnn.nn.optimizers.schedules import adjustable, cosine_decay, step_decay
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import square
from graphnn.ops.reduction import sum as total
from tests.docs.pages import ROOT, blocks, run
from tests.nn.optimizer_rows import momentum

CURVATURE = np.array([1.0, 4.0, 0.25])
TARGET = np.array([1.0, -2.0, 3.0])
START = np.array([0.5, 0.5, -1.0])


def quadratic_network():
    """sum h (w - c)^2, whose gradient is 2 h (w - c)."""
    net = Network("bowl")
    h, c = net.input("h", (3,), dtype="float64"), net.input("c", (3,), dtype="float64")
    w = net.parameter("w", (3,), dtype="float64")
    net.state["w"] = START
    return net, total(h * square(w - c))


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
    row, expected = momentum(0.1, 0.9), START
    for t in (1, 2):
        expected = row(t, expected, 2 * CURVATURE * (expected - TARGET))
        Trainer(loss, Momentum(0.1)).step(h=CURVATURE, c=TARGET)
    np.testing.assert_allclose(net.state["w"], expected, rtol=1e-12)


def test_a_users_formula_trains():
    sign = optimizer("sign", lambda w, g, lr: {"w": w - lr * sympy.sign(g)}, attributes={"lr": 0.125})
    net, loss = quadratic_network()
    Trainer(loss, sign()).step(h=CURVATURE, c=TARGET)
    np.testing.assert_array_equal(net.state["w"], START - 0.125 * np.sign(START - TARGET))


def test_a_scalar_without_a_formula_is_set_through_the_state():
    rule = optimizer("set", lambda w, g, lr: {"w": w - lr * g}, state={"lr": 0.5}, scalars=("lr",))
    net, loss = quadratic_network()
    trainer = Trainer(loss, rule())
    net.state["set.lr"] = 0.0
    trainer.step(h=CURVATURE, c=TARGET)
    np.testing.assert_array_equal(net.state["w"], START)
    net.state["set.lr"] = 0.25
    trainer.step(h=CURVATURE, c=TARGET)
    np.testing.assert_allclose(net.state["w"], START - 0.5 * CURVATURE * (START - TARGET), rtol=1e-15)


def test_formulas_and_latex():
    w, g, v, lr, mu = sympy.symbols("w g v lr mu", real=True)
    assert Momentum(0.1).formulas == {"v": mu * v - lr * g, "w": w + mu * v - lr * g}
    assert Momentum().latex().splitlines()[1:-1] == [
        r"v' &= \mu v - \eta g \\",
        r"w' &= v' + w \\",
        r"\eta &= 0.01 \\",
        r"\mu &= 0.9",
    ]
    assert repr(Momentum(0.1, mu=0.5)) == "momentum(lr=0.1, mu=0.5)"
    text = Adam().latex()
    assert r"t' &= t + 1" in text
    assert r"1 - \beta_{1}^{t'}" in text
    assert r"\frac{v'}{1 - \beta_{2}^{t'}}" in text


def test_latex_has_schedule_clipping_and_decay_in_their_order():
    text = AdamW(cosine_decay(1e-3, 1000), eps=1e-8, clip_value=0.5, clip_norm=2.0).latex()
    rows = [row.removesuffix(r" \\") for row in text.splitlines()[1:-1]]
    assert rows[:4] == [
        r"g &\leftarrow \max\left(- \frac{1}{2}, \min\left(\frac{1}{2}, g\right)\right)",
        r"n &= \sqrt{\sum g^{2}}\ \text{(over all parameters)}",
        r"g &\leftarrow \frac{2 g}{\max\left(2, n\right)}",
        r"\eta &= \frac{\cos{\left(\frac{\pi \min\left(1000, t\right)}{1000} \right)} + 1}{2000}",
    ]
    assert rows[7].startswith(r"w' &= w - \lambda \eta w - \frac{\eta m'}")
    assert rows[-2:] == [r"\epsilon &= 1.0 \cdot 10^{-8}", r"\lambda &= 0.01\ \text{(for biases 0)}"]
    assert Momentum(step_decay(0.1, 0.5, 9)).latex().splitlines()[2] == r"t' &= t + 1 \\"
    assert r"\eta &= \text{adjustable, at first } 0.5" in SGD(adjustable(0.5)).latex()


def test_latex_of_a_slot_that_reads_the_new_value_of_another():
    def update(w, g, m, s, mu):
        new_m = mu * m + g
        new_s = s + new_m**2
        return {"m": new_m, "s": new_s, "w": w - new_m / new_s}

    rows = optimizer("o", update, {"m": 0, "s": 1}, {"mu": 0.5})().latex().splitlines()
    assert rows[2:4] == [r"s' &= m'^{2} + s \\", r"w' &= w - \frac{m'}{s'} \\"]


def test_every_row_of_latex_is_rendered_by_matplotlib():
    parser = MathTextParser("path")
    for rule in (SGD(step_decay(0.1, 0.5, 9), clip_norm=1), AdamW(cosine_decay(0.1, 9), clip_value=2), Lion()):
        for row in rule.latex().splitlines()[1:-1]:
            parser.parse(f"${row.removesuffix(chr(92) * 2).replace('&', '')}$")


def test_the_code_of_the_page_on_optimizers_runs():
    page, names = ROOT / "docs" / "design" / "optimizers.md", {"__name__": "optimizers"}
    for block in blocks(page, "python"):
        run(page, block, names)
    for optimizer_ in (names["decaying"], names["fading"]):
        before = {n: np.array(names["net"].state[n]) for n in ("d.W", "d.b")}
        Trainer(names["loss"], optimizer_).step(x=names["X"], y=-names["X"])
        assert all(np.any(names["net"].state[n] != before[n]) for n in before)


def test_what_scalars_alone_decide_is_computed_once():
    net, loss = quadratic_network()
    Trainer(loss, Adam())
    shapes = {n: net[n].shape for n in net.graph if n.startswith("adam.once")}
    assert shapes == {"adam.once.0": (), "adam.once.1": ()}
    per_element = net["w.next"].definition.body.atoms(sympy.Pow)
    assert {p.exp for p in per_element} == {-1, sympy.Rational(1, 2), 2}  # no power of beta2


def test_a_users_rule_declares_domains_and_what_biases_are_spared():
    rule = optimizer(
        "shrink",
        lambda w, g, a: {"w": w - a * w + 0 * g},
        attributes={"a": 0.5},
        domains={"a": sympy.Interval(0, 1)},
        weights_only=("a",),
    )
    with pytest.raises(GraphError, match=r"shrink: attribute 'a' is 2; it lies in \[0, 1\]"):
        rule(2)
    net = Network()
    w, b = net.parameter("w", (2,), init=1.0), net.parameter("b", (2,), init=1.0, role="bias")
    Trainer(total(w) + total(b), rule(0.25)).step()
    np.testing.assert_array_equal(net.state["w"], np.float32([0.75, 0.75]))
    np.testing.assert_array_equal(net.state["b"], np.float32([1, 1]))


def test_numpy_numbers_are_numbers():
    assert repr(SGD(np.float64(0.5))) == "sgd(lr=0.5)"
    assert SGD(np.int64(1)).attributes == {"lr": 1}


def test_an_adjustable_rate_is_changed_by_a_callback_and_slots_survive():
    net, loss = quadratic_network()
    trainer = Trainer(loss, Momentum(adjustable(0.1)), batch_size=None)
    rates = []

    def halve(trainer, history):
        rates.append(float(trainer.network.state["momentum.lr"]))
        trainer.network.state["momentum.lr"] = rates[-1] / 2

    trainer.fit({"h": CURVATURE, "c": TARGET}, epochs=4, callbacks=[halve], progress=False)
    assert rates == [0.1, 0.05, 0.025, 0.0125]
    w, v = START, 0.0
    for rate in rates:
        v = 0.9 * v - rate * 2 * CURVATURE * (w - TARGET)
        w = w + v
    np.testing.assert_allclose(net.state["w"], w, rtol=1e-12)
    assert list(net.state) == ["w", "momentum.lr", "w.momentum.v"]  # what a checkpoint holds
    Trainer(loss, Momentum(adjustable(0.1)))
    assert net.state["momentum.lr"] == 0.00625


def test_an_optimizer_s_nodes_are_stored_as_json():
    net, loss = quadratic_network()
    Trainer(loss, AdamW(step_decay(0.1, 0.5, 3), decay=adjustable(0.1), clip_norm=1.0))
    again = Network.from_json(net.to_json())
    assert again.to_json() == net.to_json()
    assert net.graph.nodes["w.next"]["attributes"]["lr"] == "step_decay(0.1, 0.5, 3)"


def test_the_first_step_of_adam_has_all_digits_of_float32():
    """The moments' decays, 0.1 and 0.001 after one step, divide themselves away: w - lr*g/(|g| + eps)."""
    net = gn.Network("first")
    w, g = net.parameter("w", (64,)), net.input("g", (64,))
    slopes = np.random.default_rng(0).normal(size=64).astype("f4")
    net.state["w"] = np.zeros(64, "f4")
    gn.compile(gn.sum(g), updates=gn.Adam(1e-3).updates([w], [g]))(g=slopes)
    exact = -1e-3 * slopes.astype("f8") / (np.abs(slopes.astype("f8")) + 1e-8)
    np.testing.assert_allclose(net.state["w"], exact, rtol=1e-6)

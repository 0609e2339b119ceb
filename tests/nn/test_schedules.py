"""Schedules against NumPy rows: by the formula, by the reference evaluator, and compiled."""

import pkgutil

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.declare.registry import OPS
from graphnn.errors import GraphError
from graphnn.nn.optimizers.schedules import Schedule
from tests.nn import optimizer_rows as rows

SCHEDULES = {
    "constant": (gn.constant(0.25), rows.constant(0.25)),
    "step_decay": (gn.step_decay(0.3, 0.7, 6), rows.step_decay(0.3, 0.7, 6)),
    "no step": (gn.step_decay(0.3, 1, 6), rows.constant(0.3)),
    "exponential_decay": (gn.exponential_decay(0.3, 0.96, 5), rows.exponential_decay(0.3, 0.96, 5)),
    "cosine_decay": (gn.cosine_decay(0.3, 20), rows.cosine_decay(0.3, 20)),
    "a rest": (gn.cosine_decay(0.3, 20, alpha=0.2), rows.cosine_decay(0.3, 20, 0.2)),
    "warm_up": (gn.warm_up(gn.cosine_decay(0.3, 25), 7), rows.warm_up(rows.cosine_decay(0.3, 25), 7)),
    "warm number": (gn.warm_up(0.3, 10), rows.warm_up(rows.constant(0.3), 10)),
    "scheduled": (gn.scheduled(lambda t: 0.1 / (1 + t / 100)), lambda t: 0.1 / (1 + t / 100)),
    "in branches": (
        gn.scheduled(lambda t: sympy.Piecewise((0.1, t < 10), (0.01, True))),
        lambda t: 0.1 if t < 10 else 0.01,
    ),
    "of another": (
        gn.scheduled(lambda t: gn.step_decay(1, 0.5, 4)(t) / sympy.sqrt(t + 1)),
        lambda t: 0.5 ** (t // 4) / np.sqrt(t + 1),
    ),
    "shifted": (gn.scheduled(lambda t: gn.cosine_decay(1, 30)(t + 3)), lambda t: rows.cosine_decay(1, 30)(t + 3)),
}


def node(schedule):
    """A network's state t, and the schedule at it as a Tensor."""
    net = gn.Network()
    t = net.variable("t", (), dtype="float64")
    return net, gn.elementwise("rate", lambda t: schedule(t) + 0 * t)(t)


@pytest.mark.parametrize("case", SCHEDULES)
def test_values_are_those_of_numpy(case):
    schedule, expected = SCHEDULES[case]
    steps = range(41)
    np.testing.assert_allclose([schedule(t) for t in steps], [expected(t) for t in steps], rtol=1e-14, atol=1e-17)
    net, rate = node(schedule)
    run = gn.compile(rate)
    for t in steps:
        net.state["t"] = t
        np.testing.assert_allclose(gn.evaluate([rate], {})[0], expected(t), rtol=1e-14, atol=1e-16)
        np.testing.assert_allclose(run(), expected(t), rtol=1e-14, atol=1e-16)


def test_every_schedule_has_a_row():
    made = {n for n in gn._HOME["graphnn.nn.optimizers.schedules"] if n != "adjustable"}
    assert made <= SCHEDULES.keys()


def test_names_are_those_of_no_op_and_no_part_of_the_package():
    # An import of graphnn.schedule makes it gn.schedule, whatever the table of names says.
    parts = {module.name for module in pkgutil.iter_modules(gn.__path__)}
    assert not set(gn._TABLE) & parts
    assert not set(gn._HOME["graphnn.nn.optimizers.schedules"]) & (parts | OPS.keys())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_compiled_step_counts_from_zero(dtype):
    net = gn.Network()
    w = net.parameter("w", (), dtype=dtype)
    trainer = gn.Trainer(gn.sum(w), gn.SGD(gn.step_decay(1, 0.5, 3)))
    walked = []
    for _ in range(8):
        before = float(net.state["w"])
        trainer.step()
        walked.append(before - float(net.state["w"]))
    assert walked == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert net.state["sgd.t"] == 8
    net.state["sgd.t"] = 0  # as net.initialize does
    before = float(net.state["w"])
    trainer.step()
    assert before - float(net.state["w"]) == 1


def test_adam_and_its_schedule_count_with_one_t():
    net = gn.Network()
    w = net.parameter("w", (2,), init=1.0)
    gn.Trainer(gn.sum(gn.square(w)), gn.Adam(gn.exponential_decay(0.1, 0.5)))
    assert list(net.state) == ["w", "adam.t", "w.adam.m", "w.adam.v"]
    parts = [n for n in net.graph if n.startswith("adam.once")]
    assert [net[n].shape for n in parts] == [(), ()]  # rate and bias corrections, once per step


def test_a_schedule_shows_what_it_is():
    schedule = gn.warm_up(gn.cosine_decay(1e-3, 1000), 50)
    assert repr(schedule) == "warm_up(cosine_decay(0.001, 1000, 0.0), 50)"
    assert repr(gn.scheduled(lambda t: 1 / (2 + t))) == "scheduled(1/(t + 2))"
    assert gn.latex(gn.step_decay(0.1, 0.5, 30)) == (r"\frac{2^{- \left\lfloor{\frac{t}{30}}\right\rfloor}}{10}")
    assert isinstance(schedule, Schedule)
    assert schedule(0) == pytest.approx(1e-3 / 50, rel=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gn.scheduled(0.1), "a function of the symbol t, not 0.1"),
        (lambda: gn.scheduled(lambda: 1), "called once, on symbols"),
        (lambda: gn.scheduled(np.cos), "sympy.exp, .* instead of np.exp"),
        (lambda: gn.scheduled(lambda t: 1 if t < 5 else 0), "sympy.Piecewise instead of"),
        (lambda: gn.scheduled(lambda t: t < 5), "is a condition"),
        (lambda: gn.scheduled(lambda t: "0.1"), "not str"),
        (lambda: gn.scheduled(lambda t: t * sympy.Symbol("s")), "reads 's'"),
        (lambda: gn.scheduled(lambda t: 1 / t), "zoo at t = 0"),
        (lambda: gn.scheduled(lambda t: sympy.sqrt(t - 1)), "at t = 0"),
        (lambda: gn.scheduled(lambda t: sympy.nan * t), "nan at t = 0"),
        (lambda: gn.constant(float("inf")), "constant: lr is inf|finite"),
        (lambda: gn.constant("0.1"), "is a number, not '0.1'"),
        (lambda: gn.step_decay(-0.1, 0.5, 3), r"step_decay: lr is -0.1; it lies in \[0, infinity\)"),
        (lambda: gn.step_decay(0.1, 0, 3), r"drop is 0; it lies in \(0, 1\]"),
        (lambda: gn.step_decay(0.1, 0.5, 0), "every is an int of at least 1, not 0"),
        (lambda: gn.step_decay(0.1, 0.5, 2.5), "every is an int"),
        (lambda: gn.exponential_decay(0.1, 1.1), "rate is 1.1"),
        (lambda: gn.cosine_decay(0.1, -5), "steps is an int of at least 1, not -5"),
        (lambda: gn.cosine_decay(0.1, 10, alpha=2), r"alpha is 2; it lies in \[0, 1\]"),
        (lambda: gn.cosine_decay(gn.constant(0.1), 10), "lr is a number"),
        (lambda: gn.warm_up("cosine", 10), "'cosine' is an unknown schedule: make one"),
        (lambda: gn.warm_up(lambda t: t, 10), "unknown schedule: wrap the function"),
        (lambda: gn.warm_up(None, 10), "is a number, not None"),
        (lambda: gn.warm_up(0.1, 0), "steps is an int of at least 1"),
        (lambda: gn.adjustable("0.1"), "adjustable: the value is a number"),
        (lambda: gn.adjustable(float("nan")), "finite"),
        (lambda: gn.cosine_decay(0.1, 10)("t"), "not str"),
    ],
)
def test_errors_name_what_is_wrong(make, message):
    with pytest.raises(GraphError, match=message):
        make()

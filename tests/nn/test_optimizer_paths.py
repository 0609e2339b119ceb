"""Fifty updates by every rule, clipping and schedule, on a quadratic and on Rosenbrock's function, as in NumPy."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.nn.optimizers import clipping, rules, schedules
from graphnn.nn.optimizers.rule import Rule
from tests.nn import optimizer_rows as rows

STEPS = 50
CURVATURE = np.array([1.0, 4.0, 0.25, 2.0, 0.5])
LOWEST = np.array([1.0, -2.0, 3.0, 0.5, -1.0])


def quadratic():
    """sum h (w - c)^2 over three weights and two biases."""
    net = gn.Network("quadratic")
    w = net.parameter("w", (3,), dtype="float64")
    b = net.parameter("b", (2,), dtype="float64", role="bias")
    loss = 0.0
    for part, places in ((w, slice(0, 3)), (b, slice(3, 5))):
        h, c = (net.input(f"{part.name}.{n}", part.shape, dtype="float64") for n in ("h", "c"))
        loss = gn.sum(h * gn.square(part - c)) + loss
        net.state[part.name] = np.array([0.5, 0.5, -1.0, 2.0, 1.0])[places]
    arrays = {"w.h": CURVATURE[:3], "w.c": LOWEST[:3], "b.h": CURVATURE[3:], "b.c": LOWEST[3:]}
    return net, loss, arrays, lambda w: 2 * CURVATURE * (w - LOWEST), np.array([True] * 3 + [False] * 2)


def rosenbrock():
    """(1 - x)^2 + 100 (y - x^2)^2 from (-1.2, 1); x counts as a weight, y as a bias."""
    net = gn.Network("rosenbrock")
    x = net.parameter("x", (), init=-1.2, dtype="float64")
    y = net.parameter("y", (), init=1.0, dtype="float64", role="bias")
    loss = gn.square(1 - x) + 100 * gn.square(y - gn.square(x))

    def gradient(at):
        x, y = at
        return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])

    return net, loss, {}, gradient, np.array([True, False])


def warm_adamw(is_weight):
    """Loshchilov and Hutter 2019, algorithm 2: the rate of the schedule scales Adam's step and the decay alike."""
    rate, decay = rows.warm_up(rows.constant(0.02), 8), rows.step_decay(0.5, 0.5, 20)
    adam = rows.adam(1.0, 0.9, 0.999, 1e-8)
    return lambda t, w, g: w + rate(t - 1) * (adam(t, w, g) - w - decay(t - 1) * np.where(is_weight, w, 0.0))


ADAM = (0.02, 0.9, 0.99, 1e-8)
WARM = (rows.exponential_decay(4e-4, 0.9, 10), 8)
CASES = {
    "sgd": (gn.SGD(5e-4), lambda _: rows.sgd(5e-4)),
    "momentum": (gn.Momentum(2e-4, mu=0.8), lambda _: rows.momentum(2e-4, 0.8)),
    "nesterov": (gn.Nesterov(2e-4), lambda _: rows.nesterov(2e-4, 0.9)),
    "adagrad": (gn.Adagrad(0.1), lambda _: rows.adagrad(0.1, 1e-8)),
    "rmsprop": (gn.RMSProp(0.01, rho=0.95), lambda _: rows.rmsprop(0.01, 0.95, 1e-8)),
    "adadelta": (gn.Adadelta(), lambda _: rows.adadelta(1.0, 0.95, 1e-6)),
    "adam": (gn.Adam(*ADAM), lambda _: rows.adam(*ADAM)),
    "adamax": (gn.Adamax(*ADAM), lambda _: rows.adamax(*ADAM)),
    "nadam": (gn.NAdam(*ADAM), lambda _: rows.nadam(*ADAM)),
    "adamw": (gn.AdamW(*ADAM, decay=0.3), lambda weight: rows.decayed(rows.adam(*ADAM), 0.02, 0.3, weight)),
    "lion": (gn.Lion(0.01, decay=0.3), lambda weight: rows.decayed(rows.lion(0.01, 0.9, 0.99), 0.01, 0.3, weight)),
    "decoupled decay": (
        gn.decoupled_decay(gn.Momentum)(2e-4, decay=30),
        lambda weight: rows.decayed(rows.momentum(2e-4, 0.9), 2e-4, 30, weight),
    ),
    "clip_by_value": (gn.SGD(0.01, clip_value=1.5), lambda _: rows.clipped_by_value(rows.sgd(0.01), 1.5)),
    "clip_by_norm": (gn.Momentum(0.01, clip_norm=3), lambda _: rows.clipped_by_norm(rows.momentum(0.01, 0.9), 3)),
    "both": (
        gn.Adam(*ADAM, clip_value=1.5, clip_norm=2),
        lambda _: rows.clipped_by_value(rows.clipped_by_norm(rows.adam(*ADAM), 2), 1.5),
    ),
    "constant": (gn.SGD(gn.constant(5e-4)), lambda _: rows.scheduled(rows.sgd, rows.constant(5e-4))),
    "step_decay": (
        gn.SGD(gn.step_decay(5e-4, 0.6, 7)),
        lambda _: rows.scheduled(rows.sgd, rows.step_decay(5e-4, 0.6, 7)),
    ),
    "exponential_decay": (
        gn.SGD(gn.exponential_decay(5e-4, 0.9, 10)),
        lambda _: rows.scheduled(rows.sgd, rows.exponential_decay(5e-4, 0.9, 10)),
    ),
    "cosine_decay": (
        gn.SGD(gn.cosine_decay(5e-4, 40, alpha=0.1)),
        lambda _: rows.scheduled(rows.sgd, rows.cosine_decay(5e-4, 40, 0.1)),
    ),
    "warm_up": (
        gn.SGD(gn.warm_up(gn.exponential_decay(4e-4, 0.9, 10), 8)),
        lambda _: rows.scheduled(rows.sgd, rows.warm_up(*WARM)),
    ),
    "scheduled": (
        gn.SGD(gn.scheduled(lambda t: 5e-4 / (1 + t / 20))),
        lambda _: rows.scheduled(rows.sgd, lambda t: 5e-4 / (1 + t / 20)),
    ),
    "scheduled decay": (gn.AdamW(gn.warm_up(0.02, 8), decay=gn.step_decay(0.5, 0.5, 20)), warm_adamw),
    "adjustable decay": (
        gn.AdamW(*ADAM, decay=gn.adjustable(0.3)),
        lambda weight: rows.decayed(rows.adam(*ADAM), 0.02, 0.3, weight),
    ),
    "adjustable": (gn.Momentum(gn.adjustable(2e-4)), lambda _: rows.momentum(2e-4, 0.9)),
}


@pytest.mark.parametrize("problem", [quadratic, rosenbrock])
@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_are_those_of_numpy(problem, case):
    optimizer, row = CASES[case]
    net, loss, arrays, gradient, is_weight = problem()
    trainer, update = gn.Trainer(loss, optimizer), row(is_weight)
    w = np.concatenate([np.ravel(net.state[n]) for n in net.parameters])
    start = w.copy()
    for t in range(1, STEPS + 1):
        trainer.step(**arrays)
        w = update(t, w, gradient(w))
        found = np.concatenate([np.ravel(net.state[n]) for n in net.parameters])
        np.testing.assert_allclose(found, w, rtol=1e-12, atol=1e-12, err_msg=f"after {t} steps")
    assert np.all(np.abs(w - start) > 1e-4)


def test_every_rule_clipping_and_schedule_has_a_row():
    listed = {n: r for n, r in vars(rules).items() if isinstance(r, Rule)}
    assert len(listed) >= 11
    assert all(getattr(gn, n) is r for n, r in listed.items())
    assert {r.name for r in listed.values()} <= {CASES[c][0].rule.name for c in CASES}
    home = gn._HOME
    functions = {n for module in (schedules, clipping) for n in home[module.__name__]}
    assert functions <= CASES.keys()

"""Losses at numbers, and the gradients of one sigmoid neuron: the slope s' cancels under cross-entropy only."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from tests import course

RNG = np.random.default_rng(3)
P, Y = RNG.uniform(0.05, 0.95, (4, 3)), RNG.uniform(0, 1, (4, 3))
ROWS = Y / Y.sum(axis=1, keepdims=True)  # distributions
N = len(P)
SOFTMAX = np.exp(P) / np.exp(P).sum(axis=1, keepdims=True)

LOSSES = {  # the loss of (p, y), and its value at P and ROWS
    "1/(2n) sum |y - a|^2": (gn.quadratic, sum(np.linalg.norm(ROWS[i] - P[i]) ** 2 for i in range(N)) / (2 * N)),
    "1/2 sum (t - o)^2": (lambda p, y: gn.quadratic(p, y, reduction="sum"), 0.5 * ((ROWS - P) ** 2).sum()),
    "1/N sum (y - yhat)^2": (gn.mean_squared_error, ((ROWS - P) ** 2).sum() / P.size),
    "sum of squares": (gn.sum_of_squares, ((P - ROWS) ** 2).sum()),
    "sum |p - q|": (lambda p, y: gn.l1(p, y, reduction="sum"), np.abs(P - ROWS).sum()),
    "-1/n sum [y ln a + (1 - y) ln(1 - a)]": (
        gn.binary_cross_entropy, -(ROWS * np.log(P) + (1 - ROWS) * np.log(1 - P)).sum() / P.size
    ),
    "-sum p log q": (lambda p, y: gn.cross_entropy(p, y, reduction="sum"), -(ROWS * np.log(P)).sum()),
    "cross-entropy of a softmax": (gn.softmax_cross_entropy, -(ROWS * np.log(SOFTMAX)).sum() / N),
    "max(0, 1 - y s)": (gn.hinge, np.maximum(0, 1 - ROWS * P).mean()),
}  # fmt: skip


@pytest.mark.parametrize("formula", LOSSES)
def test_losses_are_their_formulas(formula: str) -> None:
    make, expected = LOSSES[formula]
    net = gn.Network()
    loss = make(net.input("p", ("N", 3), dtype="float64"), net.input("y", ("N", 3), dtype="float64"))
    assert float(gn.compile(loss)(p=P, y=ROWS)) == pytest.approx(expected, rel=1e-13)


def neuron(loss_of):
    """(a network of one sigmoid neuron 'a' with two inputs, its loss)."""
    net = gn.Network()
    x, y = net.input("x", ("N", 2), dtype="float64"), net.input("y", ("N", 1), dtype="float64")
    a = gn.models.sigmoid_neuron(x, name="a")
    return net, loss_of(a, y, name="C")


# A row with a unit that is badly wrong: its weighted sum is 8, and it should give 0.
POINTS, TARGETS = np.array([[2.0, 1.0], [0.5, -1.0], [-1.0, 0.3]]), np.array([0.0, 1.0, 0.0])
WEIGHTS, BIAS = np.array([3.0, 1.0]), 1.0


@pytest.mark.parametrize(
    ("loss_of", "by_hand"),
    [
        (gn.quadratic, course.quadratic_neuron_gradient),
        (gn.binary_cross_entropy, course.cross_entropy_neuron_gradient),
    ],
    ids=["quadratic", "cross-entropy"],
)
def test_gradients_of_one_sigmoid_neuron(loss_of, by_hand) -> None:
    """By w: the mean of (a - y) s'(z) x, under cross-entropy that of x (s(z) - y); by b the same without x."""
    net, loss = neuron(loss_of)
    net.state["a.W"], net.state["a.b"] = WEIGHTS[:, None], np.array([BIAS])
    by_w, by_b = gn.compile(gn.gradients(loss, [net["a.W"], net["a.b"]]))(x=POINTS, y=TARGETS[:, None])
    expected_w, expected_b = by_hand(POINTS, TARGETS, WEIGHTS, BIAS)
    np.testing.assert_allclose(by_w[:, 0], expected_w, rtol=1e-12)
    np.testing.assert_allclose(by_b, [expected_b], rtol=1e-12)


def test_the_slope_of_the_sigmoid_cancels_in_the_derivation() -> None:
    found = []
    for loss_of in (gn.quadratic, gn.binary_cross_entropy):
        net, loss = neuron(loss_of)
        found.append(gn.derivation(loss, net["a.z"]))
    quadratic, cross_entropy = found
    assert str(quadratic.result) == "(1 - a[i0, 0])*(a[i0, 0] - y[i0, 0])*a[i0, 0]/N"
    assert str(cross_entropy.result) == "(a[i0, 0] - y[i0, 0])/N"
    assert "cancel" not in [rule for rule, _ in quadratic.steps]
    assert "cancel" in [rule for rule, _ in cross_entropy.steps]


def updates_to_a_half(loss_of) -> int:
    """Weight and bias 2, input 1, target 0, rate 0.15: updates until the output, 0.982 at first, is below 0.5."""
    net = gn.Network()
    x, y = net.input("x", (1, 1), dtype="float64"), net.input("y", (1, 1), dtype="float64")
    a = gn.models.sigmoid_neuron(x, init=2.0)
    net.state["neuron.b"] = np.array([2.0])
    output = gn.compile(a)
    assert f"{output(x=np.ones((1, 1))).item():.3f}" == "0.982"
    trainer, count = gn.Trainer(loss_of(a, y), gn.SGD(0.15), batch_size=None), 0
    while output(x=np.ones((1, 1))).item() > 0.5:
        trainer.step(x=np.ones((1, 1)), y=np.zeros((1, 1)))
        count += 1
    return count


def test_a_neuron_that_is_badly_wrong_learns_at_once_under_cross_entropy_only() -> None:
    assert updates_to_a_half(gn.quadratic) > 8 * updates_to_a_half(gn.binary_cross_entropy)


def test_a_penalty_is_lambda_over_2n_times_the_squares_of_weights_but_not_of_biases() -> None:
    strength, n = 0.7, 5
    net = gn.Network()
    x, y = net.input("x", ("N", 2), dtype="float64"), net.input("y", ("N", 1), dtype="float64")
    loss = gn.quadratic(gn.models.mlp(x, (3,), 1, gn.sigmoid, name="net"), y)
    weights = {name: p for name, p in net.parameters.items() if name.endswith("W")}
    for name, p in net.parameters.items():
        net.state[name] = RNG.normal(size=p.shape)
    total = loss + gn.l2_penalty(list(net.parameters.values()), strength / n)
    rows, targets = RNG.normal(size=(n, 2)), RNG.normal(size=(n, 1))
    plain, penalised = gn.compile([loss, total])(x=rows, y=targets)
    squares = sum((net.state[name] ** 2).sum() for name in weights)
    assert float(penalised - plain) == pytest.approx(strength / (2 * n) * squares, rel=1e-12)
    parameters = list(net.parameters.values())
    both = [*gn.gradients(loss, parameters), *gn.gradients(total, parameters)]
    found = gn.compile(both)(x=rows, y=targets)
    for p, before, after in zip(parameters, found[:4], found[4:], strict=True):
        more = strength / n * net.state[p.name] if p.name in weights else 0
        np.testing.assert_allclose(after - before, more, rtol=1e-11, atol=1e-14)

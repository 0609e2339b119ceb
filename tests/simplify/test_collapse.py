"""The cancellations of backpropagation come out by derivation, and stay right at |z| = 1000."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.declare.entries import Entry

Build = Callable[[gn.Tensor, gn.Tensor], gn.Tensor]


def _entry(name: str, *index: sympy.Expr) -> Entry:
    return Entry(sympy.Symbol(name), sympy.S.Zero, *index)


i0, i1 = (sympy.Symbol(n, integer=True, nonnegative=True) for n in ("i0", "i1"))
N = sympy.Symbol("N", integer=True, nonnegative=True)


@pytest.mark.parametrize("logits", [False, True])
def test_sigmoid_and_binary_cross_entropy_leave_a_minus_y(logits: bool) -> None:
    net = gn.Network("bce")
    z, y = net.input("z", ("N", 10)), net.input("y", ("N", 10))
    a = gn.sigmoid(z, name="a")
    loss = gn.sigmoid_cross_entropy(z, y, name="loss") if logits else gn.binary_cross_entropy(a, y, name="loss")
    saved = "loss.sigmoid" if logits else "a"
    expected = (_entry(saved, i0, i1) - _entry("y", i0, i1)) / (10 * N)
    assert gn.derivation(loss, z).result == expected


def test_softmax_and_cross_entropy_of_labels_leave_p_minus_the_label() -> None:
    net = gn.Network("ce")
    z, y = net.input("z", ("N", 10)), net.input("y", ("N",), "int64")
    result = gn.derivation(gn.cross_entropy(gn.softmax(z, name="p"), y, name="loss"), z).result
    (hot,) = result.atoms(sympy.Piecewise)
    assert result.subs(hot, sympy.Symbol("h")) == (_entry("p", i0, i1) + sympy.Symbol("h")) / N
    assert hot.args[0][0] == -1
    assert hot.args[0][1].lhs == i1
    assert hot.args[1] == (0, True)


def test_softmax_and_cross_entropy_of_promised_distributions_leave_p_minus_y() -> None:
    net = gn.Network("ce")
    z, y = net.input("z", ("N", 10)), net.input("y", ("N", 10))
    loss = gn.cross_entropy(gn.softmax(z, name="p"), y, distribution=True, name="loss")
    assert gn.derivation(loss, z).result == (_entry("p", i0, i1) - _entry("y", i0, i1)) / N


def test_without_the_promise_the_sum_of_the_row_stays() -> None:
    net = gn.Network("ce")
    z, y = net.input("z", ("N", 10)), net.input("y", ("N", 10))
    program = gn.compile(gn.gradients(gn.cross_entropy(gn.softmax(z, name="p"), y), z), until="simplify")
    assert "sum[0 <= r0 < 10](y[i0, r0])" in program.stage("simplify")


def _reshaped_softmax(z: gn.Tensor) -> gn.Tensor:
    return gn.reshape(gn.softmax(gn.reshape(z, (-1, 5, 2, 10)), axis=3), (-1, 10))


# fmt: off
BETWEEN: list[tuple[str, Build]] = [
    ("logits",             gn.softmax_cross_entropy),
    ("probabilities",      lambda z, y: gn.cross_entropy(gn.softmax(z), y)),
    ("log",                lambda z, y: -gn.mean(gn.sum(gn.one_hot(y, 10) * gn.log_softmax(z), axis=1))),
    ("scaled",             lambda z, y: gn.cross_entropy(gn.softmax(z * 2.0), y)),
    ("shifted",            lambda z, y: gn.cross_entropy(gn.softmax(z - 3.0), y)),
    ("reshaped",           lambda z, y: gn.cross_entropy(_reshaped_softmax(z), y)),
    ("transposed",         lambda z, y: gn.cross_entropy(gn.transpose(gn.softmax(gn.transpose(z), axis=0)), y)),
    ("scaled loss",        lambda z, y: gn.cross_entropy(gn.softmax(z), y) * 0.25),
]
# fmt: on


def _by_hand(z: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    e = np.exp(scale * (z - z.max(axis=1, keepdims=True)))
    p = e / e.sum(axis=1, keepdims=True)
    return scale * (p - np.eye(10)[y]) / len(y)


@pytest.mark.parametrize(("name", "build"), BETWEEN, ids=[name for name, _ in BETWEEN])
def test_the_collapse_survives_what_stands_between(name: str, build: Build) -> None:
    net = gn.Network("between")
    z, y = net.input("z", (10, 10)), net.input("y", (10,), "int64")
    (gradient,) = gn.gradients(build(z, y), [z])
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10, 10)).astype(np.float32) * 3
    values[0, :2] = 1000, -1000  # what would overflow, were anything left to overflow
    labels = rng.integers(0, 10, 10)
    labels[0] = 0
    scale = 2.0 if name == "scaled" else 1.0
    expected = _by_hand(values.astype(np.float64), labels, scale) * (0.25 if name == "scaled loss" else 1.0)
    found = gn.compile(gradient, accuracy="tight")(z=values, y=labels)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=3e-8)  # p - 1 cancels
    text = gn.compile(gradient, until="simplify").stage("simplify")
    assert "log(" not in text  # the logarithm and its 1/p are gone from the gradient
    assert text.count("exp(") <= 2  # the shifted sum, and the probability itself


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_cross_entropy_is_finite_and_right_when_saturated(sign: int, target: float) -> None:
    net = gn.Network("saturated")
    z, y = net.input("z", (3,)), net.input("y", (3,))
    loss = gn.binary_cross_entropy(gn.sigmoid(z), y, reduction="none")
    gradient = gn.gradients(loss, [z])[0]
    points = np.array([20.0, 88.0, 1000.0], np.float32) * sign
    value, slope = gn.compile([loss, gradient], accuracy="tight")(z=points, y=np.full(3, target, np.float32))
    with mpmath.workdps(1000):
        for found, found_slope, point in zip(value, slope, points, strict=True):
            u = mpmath.mpf(float(point))
            exact = mpmath.log1p(mpmath.exp(u)) - target * u
            assert abs(float(found) - float(exact)) <= 2e-7 * float(exact) + 1e-37
            assert abs(float(found_slope) - float(1 / (1 + mpmath.exp(-u)) - target)) <= 1e-7


def test_softmax_cross_entropy_is_finite_and_right_at_a_thousand() -> None:
    net = gn.Network("thousand")
    z, y = net.input("z", (3, 3)), net.input("y", (3,), "int64")
    loss = gn.softmax_cross_entropy(z, y, reduction="none")
    values = np.array([[1000, 0, -1000], [-1000, -1000, -1000], [1000, 1000, 999]], np.float32)
    labels = np.array([1, 0, 2])
    found, slope = gn.compile([loss, gn.gradients(loss, [z])[0]])(z=values, y=labels)
    with mpmath.workdps(60):
        for row in range(3):
            exact = [mpmath.exp(mpmath.mpf(float(v))) for v in values[row]]
            total = mpmath.fsum(exact)
            assert float(found[row]) == pytest.approx(float(mpmath.log(total) - values[row, labels[row]]), rel=1e-6)
            for column in range(3):
                expected = float(exact[column] / total) - (column == labels[row])
                assert float(slope[row, column]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_sum_of_exponentials_that_is_asked_for_is_not_shifted() -> None:
    net = gn.Network("sum")
    z = net.input("z", (2, 3), "float64")
    total = gn.sum(gn.exp(z), axis=1)
    text = gn.compile(total, until="simplify").stage("simplify")
    assert "max" not in text

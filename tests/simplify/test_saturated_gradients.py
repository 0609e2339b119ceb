"""Gradients through exponentials that do not collapse, at |z| = 1000 in float32, against mpmath with 1000 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import sympy

import graphnn as gn
from tests.three_way.runner import Chain

Z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
Z[:2] = [1000, 0, -1000, 999], [-1000, -1000, -1001, -1000]
W = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)

# fmt: off
LOSSES: dict[str, Callable[[gn.Tensor, gn.Tensor], gn.Tensor]] = {
    "weighted softmax":    lambda z, w: gn.sum(gn.softmax(z)*w),
    "softmax, square":     lambda z, w: gn.mean_squared_error(gn.softmax(z), w),
    "softmax, product":    lambda z, w: gn.sum(gn.square(gn.softmax(z) @ gn.transpose(w))),
    "part of a softmax":   lambda z, w: gn.sum(gn.softmax(z)[:, ::2]*w[:, ::2]),
    "entropy":             lambda z, w: -gn.sum(gn.softmax(z)*gn.log_softmax(z)*w),
    "softmax of softmax":  lambda z, w: gn.sum(gn.softmax(gn.softmax(z)*w)*w),
    "largest probability": lambda z, w: gn.sum(gn.max(gn.softmax(z), axis=1)*w[:, 0]),
    "log of a sigmoid":    lambda z, w: gn.sum(gn.log(gn.sigmoid(z))*w),
    "swish":               lambda z, w: gn.sum(z*gn.sigmoid(z)*w),
    "mish":                lambda z, w: gn.sum(z*gn.tanh(gn.softplus(z))*w),
    "softplus twice":      lambda z, w: gn.sum(gn.softplus(gn.softplus(z))*w),
}
# fmt: on


@pytest.mark.parametrize("accuracy", ["fast", "tight"])
@pytest.mark.parametrize("name", LOSSES)
def test_finite_and_right(name: str, accuracy: str) -> None:
    net = gn.Network("saturated")
    z, w = net.input("z", (3, 4)), net.input("w", (3, 4))
    loss = LOSSES[name](z, w)
    tensors = [loss, *gn.gradients(loss, [z])]
    chain = Chain(tensors, accuracy="tight" if accuracy == "tight" else "fast", debug=True)
    exact = gn.evaluate(tensors, {"z": Z, "w": W}, number="mpmath", precision=1000)
    for found, right in zip(chain.native({"z": Z, "w": W}), exact, strict=True):
        expected = np.asarray(right).astype(np.float64)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * max(1, np.abs(expected).max()))


# fmt: off
USERS: dict[str, Callable[[sympy.Expr], sympy.Expr]] = {
    "swish":             lambda t: t/(1 + sympy.exp(-t)),
    "steeper swish":     lambda t: t/(1 + sympy.exp(-2*t)),
    "mish, written out": lambda t: t*((1 + sympy.exp(t))**2 - 1)/((1 + sympy.exp(t))**2 + 1),
    "squared logistic":  lambda t: 1/(1 + sympy.exp(-t))**2,
    "squared secant":    lambda t: 4/(sympy.exp(t) + sympy.exp(-t))**2,
    "gated softplus":    lambda t: sympy.log(1 + sympy.exp(t))/(1 + sympy.exp(-t)),
    "bell":              lambda t: sympy.exp(-t**2),
    "other logistic":    lambda t: 1/(1 + 3*sympy.exp(-t/2)),
    "gated tanh":        lambda t: t*(sympy.exp(t) - sympy.exp(-t))/(sympy.exp(t) + sympy.exp(-t)),
}
# fmt: on
POINTS = np.array([-1000, -100, -89, -20, -3, -0.5, 0, 0.5, 3, 20, 89, 100, 1000], np.float32)


@pytest.mark.parametrize("accuracy", ["fast", "tight"])
@pytest.mark.parametrize("name", USERS)
def test_ops_of_users_and_their_two_derivatives(name: str, accuracy: Literal["fast", "tight"]) -> None:
    net = gn.Network("users")
    x = net.input("x", POINTS.shape)
    y = gn.elementwise("theirs", USERS[name])(x)
    (first,) = gn.gradients(gn.sum(y), [x])
    (second,) = gn.gradients(gn.sum(first), [x])
    values = gn.compile([y, first, second], accuracy=accuracy)(x=POINTS)
    t = sympy.Symbol("t", real=True)
    for order, found in enumerate(values):
        exact = sympy.diff(USERS[name](t), t, order)
        expected = [float(sympy.N(exact.subs(t, sympy.Rational(float(p))), 30, maxn=4000)) for p in POINTS]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

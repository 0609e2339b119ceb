"""Graphs on which the ways once differed, each the shortest that shows what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphnn as gn

Built = tuple[list[gn.Tensor], dict[str, Any]]
RAMP = np.linspace(-1.9, 1.7, 8)


def _with_gradient(y: gn.Tensor, *xs: gn.Tensor) -> list[gn.Tensor]:
    return [y, *gn.gradients(gn.sum(y), xs)]


def _vector(size: Any = 8) -> gn.Tensor:
    return gn.Network("found").input("x", (size,) if size is not None else (), dtype="float64")


def condition_of_a_choice() -> Built:
    """clip' compares a choice with a number: a condition that is itself a choice."""
    x = _vector()
    return _with_gradient(gn.clip(x, -1, 0.5), x), {"x": RAMP}


def function_of_a_constant() -> Built:
    """x/x is 1, and sigmoid(1) a number that sympy cannot evaluate under our name of it."""
    x = _vector()
    return _with_gradient(gn.sigmoid(x / x) + gn.log1p(x / x), x), {"x": RAMP}


def empty_result() -> Built:
    """An array of shape (31, 0) has strides of 0, on which the lanes of a vector collide."""
    x = gn.Network("found").input("x", (31, 0), dtype="float64")
    return _with_gradient(gn.softplus(gn.sum(x, axis=1)), x), {"x": np.zeros((31, 0))}


def empty_contraction() -> Built:
    """A product without rows and columns over a symbolic extent."""
    net = gn.Network("found")
    a, b = net.input("a", (0, "N"), dtype="float64"), net.input("b", ("N", 0), dtype="float64")
    return _with_gradient(gn.matmul(a, b), a, b), {"a": np.zeros((0, 3)), "b": np.zeros((3, 0))}


def factor_that_may_be_zero() -> Built:
    """A choice of 0 or 1 leaves a sum as a factor; it was divided out of the rest, which made it infinite."""
    net = gn.Network("found")
    a, b = net.input("a", (8,), dtype="float64"), net.input("b", (8,), dtype="float64")
    y = gn.minimum(gn.exp(a), gn.reshape(b, (1, 8)))
    outputs = [y, *gn.gradients(gn.sum(y * y), [a, b])]
    return outputs, {"a": RAMP, "b": RAMP[::-1] + 0.013}


def condition_seen_through() -> Built:
    """A condition on a sigmoid, inlined as if it were the number that it is stored as, was always true."""
    x = _vector()
    chosen = gn.where(gn.greater_equal(x, gn.sigmoid(x)), x, 0.25)
    return _with_gradient(chosen + x, x), {"x": RAMP}


def choice_of_a_choice_of_a_scalar() -> Built:
    """sympy solves conditions in one unknown, and took a scalar operand for one."""
    x = _vector(None)
    return _with_gradient(gn.leaky_relu(gn.leaky_relu(gn.identity(x))), x), {"x": np.float64(-0.5)}


def saturated_tanh() -> Built:
    """(e^2x - 1)/(e^2x + 1) was cancelled to a product of an overflow and 0."""
    net = gn.Network("found")
    x = net.input("x", (4,), dtype="float64")
    y = gn.tanh(gn.clip(x, -300, 300))  # the reference evaluates the smooth definition, which overflows beyond
    return _with_gradient(y, x), {"x": np.array([-299.0, -1.0, 0.5, 299.0])}


def share_of_a_single_term() -> Built:
    """The number of ties among one element is a choice of 1 or 0, and a division by it holds an infinite branch."""
    net = gn.Network("found")
    x = net.input("x", (1, "N"), dtype="float64")
    y = gn.min(gn.quadratic(gn.softplus(x), x, reduction="none"))
    return [y, *gn.gradients(y, [x], ties="split")], {"x": RAMP[None, :]}


def output_of_an_output() -> Built:
    """The check of a rewrite looked one saved output deep, where the sigmoid of a tanh needs two."""
    x = _vector()
    return _with_gradient(gn.sigmoid_cross_entropy(gn.tanh(x), x), x), {"x": RAMP}


def guard_that_reads() -> Built:
    """Split into chains, a guard on labels read them past their end, where another guard already excludes the term."""
    net = gn.Network("found")
    table, labels = net.input("table", (1, 1), dtype="float64"), net.input("labels", ("N",), dtype="int64")
    y = gn.gather(table, labels) * net.input("x", ("N", 1), dtype="float64")
    return _with_gradient(gn.sum(y), table), {"table": [[0.5]], "labels": np.array([0]), "x": [[-1.5]]}


def winner_computed_twice() -> Built:
    """A maximum of a softmax was shifted where it was found and not where its winner is looked for: none was found."""
    x = gn.Network("found").input("x", (3, 8), dtype="float64")
    y = gn.max(gn.softmax(x), axis=1)
    both = [*gn.gradients(gn.sum(y), [x], ties="split"), *gn.gradients(gn.sum(y), [x], ties="first")]
    return [y, *both], {"x": np.random.default_rng(0).normal(size=(3, 8))}


def number_times_a_size() -> Built:
    """The sum of N times e is a product of a number and a size, neither of them whole together."""
    net = gn.Network("found")
    x = net.input("x", ("N", 1), dtype="float64")
    y = gn.logsumexp(gn.one_hot(gn.argmax(x, axis=1), 1, dtype="float64")) * gn.sum(x)
    return _with_gradient(y, x), {"x": RAMP[:, None]}


def root_of_a_number() -> Built:
    """2*sqrt(2) is a number that is no sympy Number."""
    x = _vector()
    return _with_gradient(gn.multiply(x, 1.0) * gn.sqrt(gn.exp(x - x) * 8.0), x), {"x": RAMP}


def zero_contribution() -> Built:
    """The adjoint of a product over nothing is 0, and took itself for an integer."""
    x = gn.Network("found").input("x", (1, 1), dtype="float64")
    y = gn.concatenate([gn.prod(gn.log1p(x[:0]), axis=0, keepdims=True), x], axis=0)
    return [y, *gn.gradients(gn.sum(y), [x])], {"x": np.full((1, 1), 0.5)}


def infinity_over_nothing() -> Built:
    """The sum of 1/0 over no terms is 0; as 0 terms times 1/0 it was NaN."""
    net = gn.Network("found")
    x, v = net.input("x", ("N", 2), dtype="float64"), net.input("v", (2,), dtype="float64")
    y = v / (x - x) + v
    return [y, *gn.gradients(gn.sum(y), [v])], {"x": np.zeros((0, 2)), "v": np.ones(2)}


def repetition_of_nothing() -> Built:
    """The adjoint of floor(y/2) = p took the remainder by another dimension, of extent 0."""
    x = gn.Network("found").input("x", (2, 0, 3), dtype="float64")
    y = gn.upsample(x, 2)
    return [y, *gn.gradients(gn.sum(y * y), [x])], {"x": np.zeros((2, 0, 3))}


def windows_with_ties() -> Built:
    """Overlapping windows, each element the first maximum of several: a gather, whose windows bound its sums."""
    x = gn.Network("found").input("x", ("N", 1, 5, 6), dtype="float64")
    y = gn.max_pool(x, 3, 2, 1)
    return [y, *gn.gradients(gn.sum(y * y), [x], ties="split")], {"x": np.arange(60.0).reshape(2, 1, 5, 6) % 3}


def factor_of_an_empty_window() -> Built:
    """The last column is in no window: its sum is 0, and was multiplied by a weight beyond the last one, as NaN."""
    net = gn.Network("found")
    x, w = net.input("x", (2, 2, 3, 7), dtype="float64"), net.input("w", (4, 1), dtype="float64")
    h = gn.avg_pool(gn.softplus(gn.avg_pool(x, (2, 1), 1)), (2, 3))
    y = gn.matmul(gn.reshape(h, (2, -1)), w)
    values = {"x": np.linspace(-1, 1, 84).reshape(2, 2, 3, 7), "w": RAMP[:4, None]}
    return [y, *gn.gradients(gn.sum(y * y), [x, w])], values


def parameter_without_elements() -> Built:
    """What is computed from a parameter alone is prepared; of no elements, nothing prepares it."""
    net = gn.Network("found")
    w = net.parameter("w", (0, 8), dtype="float64")
    y = gn.where(gn.less(gn.exp(w), gn.tanh(w)), gn.exp(w), 0.25)
    return [gn.sum(y * y), *gn.gradients(gn.sum(y * y), [w])], {"w": np.zeros((0, 8))}


FOUND: tuple[Callable[[], Built], ...] = (
    repetition_of_nothing,
    windows_with_ties,
    zero_contribution,
    infinity_over_nothing,
    condition_of_a_choice,
    function_of_a_constant,
    empty_result,
    empty_contraction,
    factor_that_may_be_zero,
    condition_seen_through,
    choice_of_a_choice_of_a_scalar,
    saturated_tanh,
    share_of_a_single_term,
    output_of_an_output,
    guard_that_reads,
    winner_computed_twice,
    number_times_a_size,
    root_of_a_number,
    factor_of_an_empty_window,
    parameter_without_elements,
)

"""gradients(): sums over paths, second derivatives, zeros, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import graphnn as gn
from tests.three_way.runner import Chain


def _network() -> tuple[gn.Network, gn.Tensor, list[gn.Tensor]]:
    net = gn.Network("small")
    x, y = net.input("x", (4, 3), "float64"), net.input("y", (4,), "int64")
    parameters = [
        net.parameter("W", (3, 5), init=gn.Normal(1.0), dtype="float64"),
        net.parameter("b", (5,), init=gn.Normal(1.0), dtype="float64", role="bias"),
        net.parameter("V", (5, 2), init=gn.Normal(1.0), dtype="float64"),
    ]
    w, b, v = parameters
    hidden = gn.tanh(x @ w + b)
    return net, gn.softmax_cross_entropy(hidden @ v + gn.sum(hidden, axis=1, keepdims=True), y, name="loss"), parameters


VALUES = {"x": np.random.default_rng(0).normal(size=(4, 3)), "y": np.array([0, 1, 1, 0])}


def test_gradients_agree_with_central_differences() -> None:
    net, loss, parameters = _network()
    found = gn.evaluate(gn.gradients(loss, parameters), VALUES)
    for parameter, gradient in zip(parameters, found, strict=True):
        value = net.state[parameter.name].copy()
        for index in np.ndindex(value.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = value.copy()
                moved[index] += step
                sides.append(float(gn.evaluate([loss], {**VALUES, parameter.name: moved})[0]))
            assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(gradient[index], rel=1e-7, abs=1e-9)


def test_a_hessian_vector_product_agrees_with_differences_of_the_gradient() -> None:
    net, loss, parameters = _network()
    first = gn.gradients(loss, parameters)
    rng = np.random.default_rng(1)
    directions = {f"v_{p.name}": rng.normal(size=[int(d) for d in p.shape]) for p in parameters}
    dot = sum(
        (gn.sum(g * net.input(n, v.shape, "float64")) for g, (n, v) in zip(first, directions.items(), strict=True)), 0.0
    )
    product = gn.evaluate(gn.gradients(dot, parameters), {**VALUES, **directions})
    sides = []
    for step in (1e-5, -1e-5):
        moved = {p.name: net.state[p.name] + step * directions[f"v_{p.name}"] for p in parameters}
        sides.append(gn.evaluate(first, {**VALUES, **moved}))
    for found, up, down in zip(product, *sides, strict=True):
        np.testing.assert_allclose(found, (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_the_second_derivative_of_a_product_leaves_out_both_factors() -> None:
    """d2 prod(x) / dx[a] dx[b] is the product of the others, and 0 for a = b; also beside factors that are 0."""
    net = gn.Network("product")
    x, v = net.input("x", (4, 3), "float64"), net.input("v", (4, 3), "float64")
    (first,) = gn.gradients(gn.sum(gn.prod(x, axis=1)), [x])
    tensors = gn.gradients(gn.sum(first * v), [x])
    values = {"x": np.array([[2.0, 3, 5], [0, 3, 5], [0, 0, 5], [0, 0, 0]]), "v": np.array([[1.0, 7, 11]] * 4)}
    expected = np.array([[v[1] * x[2] + v[2] * x[1], v[0] * x[2] + v[2] * x[0], v[0] * x[1] + v[1] * x[0]]
                         for x, v in zip(values["x"], values["v"], strict=True)])  # fmt: skip
    chain = Chain(tensors)
    for found in (gn.evaluate(tensors, values), chain.interpreted(values), chain.native(values)):
        np.testing.assert_array_equal(found[0], expected)


def test_contributions_of_several_paths_add_up() -> None:
    net = gn.Network("diamond")
    x = net.input("x", (3,), "float64")
    loss = gn.sum(x * x + x)
    (found,) = gn.evaluate(gn.gradients(loss, x), {"x": [1.0, 2.0, 3.0]})
    assert found.tolist() == [3, 5, 7]


def test_the_gradient_of_something_independent_is_zero() -> None:
    net = gn.Network("independent")
    x, y = net.input("x", (2, 3)), net.input("y", (2,))
    (gradient,) = gn.gradients(gn.sum(y), [x])
    assert gradient.shape == (2, 3)
    assert not gn.evaluate([gradient], {"y": np.ones(2), "x": np.ones((2, 3))})[0].any()


def test_asking_again_gives_the_same_nodes() -> None:
    _, loss, parameters = _network()
    first, count = gn.gradients(loss, parameters), loss.network.graph.number_of_nodes()
    assert gn.gradients(loss, parameters) == first
    assert loss.network.graph.number_of_nodes() == count


def test_refusals_say_why() -> None:
    net = gn.Network("refused")
    x, labels = net.input("x", (3,)), net.input("labels", (3,), "int64")
    with pytest.raises(gn.DeriveError, match="'labels' is int64"):
        gn.gradients(gn.sum(x), [labels])
    with pytest.raises(gn.DeriveError, match="step is not differentiable"):
        gn.gradients(gn.sum(gn.step(x)), [x])
    with pytest.raises(gn.DeriveError, match="leads through an integer, a condition or an index"):
        gn.gradients(gn.sum(gn.where(gn.greater(x, 0.0), 1.0, 2.0)), [x])
    with pytest.raises(gn.DeriveError, match="another network"):
        gn.gradients(gn.sum(x), [gn.Network("other").input("x", (3,))])


def test_asking_for_another_gradient_shares_what_is_known() -> None:
    net, loss, (w, b, v) = _network()
    gn.gradients(loss, [w])
    first = set(net.graph)
    gn.gradients(loss, [b, v])
    assert sum(name.startswith("dloss/dloss") for name in net.graph) == 1 + sum(
        name.startswith("dloss/dloss.") for name in net.graph
    )
    together, _, parameters = _network()
    gn.gradients(together["loss"], parameters)
    assert len(net.graph) == len(together.graph)
    assert first < set(net.graph)


def test_contributions_are_labelled_by_the_op_they_come_from() -> None:
    net = gn.Network("labels")
    a, y = net.input("a", ("N", 2)), net.input("y", ("N", 2))
    for loss in (gn.quadratic(a, y), gn.mean_squared_error(a, y), gn.sum_of_squares(a, y)):
        gradient = gn.gradients(loss, [a])[0]
        op = net.graph.nodes[loss.name]["op"]
        assert net.graph.nodes[gradient.name]["op"] == f"adjoint of {op}"


def test_the_adjoint_of_a_padded_access_keeps_no_condition_that_its_axes_decide():
    n, o, y, u = gn.indices("n o y u")
    X, W = gn.operands("X W")
    same = gn.op("same", (n, o, y), gn.Sum(gn.guard(X[n, y + u - 1]) * W[o, u], u), {y: X.shape[1]})
    net = gn.Network()
    x, w = net.input("x", (4, 8)), net.input("w", (5, 3))
    (slope,) = gn.gradients(gn.sum(same(x, w)), [x])
    # The one condition left bounds the output that an element of x takes part in; that x is inside itself is known.
    assert slope.definition.body.atoms(sympy.Piecewise) == set()
    assert len(slope.definition.guard.args) == 2

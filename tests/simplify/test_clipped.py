"""relu's gradient asks relu's output where that is an array anyway, so that its argument is not kept."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.simplify.instances import check_instances
from graphnn.simplify.passes import Simplified, simplify
from graphnn.simplify.region import entries


def loss_of(clip: object) -> tuple[gn.Tensor, list[gn.Tensor]]:
    """The squares of (x W + b, clipped) V: the second product reads the clipped array."""
    net = gn.Network("clip")
    x = net.input("x", (5, 4))
    z = gn.add(gn.matmul(x, net.parameter("W", (4, 6)), name="xW"), net.parameter("b", (6,)), name="z")
    h = clip(z)  # type: ignore[operator]
    loss = gn.sum(gn.square(gn.matmul(h, net.parameter("V", (6, 3)), name="hV")), name="loss")
    return loss, gn.gradients(loss, [net["W"], net["b"], net["V"]])


def simplified(clip: object) -> Simplified:
    loss, gradients = loss_of(clip)
    return simplify(loss.network, [loss, *gradients])


def relu(z: gn.Tensor) -> gn.Tensor:
    return gn.relu(z, name="h")


def below(z: gn.Tensor) -> gn.Tensor:
    return gn.minimum(z, 0.5, name="h")


@pytest.mark.parametrize("clip", [relu, below])
def test_the_argument_is_not_kept(clip: object) -> None:
    found = simplified(clip)
    assert "z" not in found.made
    asked = [rewrite for rewrite in found.trace.rewrites if rewrite.rule == "compare the output"]
    assert [e.operand for rewrite in asked for e in entries(rewrite.after) if e.operand == "h"] == ["h"]
    check_instances(found.trace)


def test_an_output_that_is_no_array_is_not_asked() -> None:
    net = gn.Network("inlined")
    z = gn.add(gn.matmul(net.input("x", (5, 4)), net.parameter("W", (4, 6)), name="xW"), 1, name="z")
    loss = gn.sum(gn.relu(z, name="h"))
    found = simplify(net, [loss, *gn.gradients(loss, [net["W"]])])
    assert "h" not in found.made
    assert not any(rewrite.rule == "compare the output" for rewrite in found.trace.rewrites)


def test_what_comes_before_the_output_asks_the_argument() -> None:
    net = gn.Network("before")
    z = gn.exp(net.input("x", (5, 4)), name="z")
    positive = gn.greater(z, 0, name="positive")
    h = gn.relu(z, name="h")
    found = simplify(net, [z, positive, h])
    assert {e.operand for e in entries(found.made["positive"].body)} == {"z"}


@pytest.mark.parametrize(("clip", "derivative"), [(relu, lambda z: z > 0), (below, lambda z: z < 0.5)])
def test_gradients_at_the_kink_and_at_nan(clip: object, derivative: object) -> None:
    """At a tie the constant wins, and a value that is no number has slope 0 and spoils what it is summed into."""
    rng = np.random.default_rng(0)
    loss, gradients = loss_of(clip)
    W, b, V = (rng.normal(size=s).astype(np.float32) for s in ((4, 6), (6,), (6, 3)))
    loss.network.state.update({"W": W, "b": b, "V": V})
    x = rng.normal(size=(5, 4)).astype(np.float32)
    x[0], b[:] = 0, (0, 0.5, -1, 1, 0, 0.5)
    loss.network.state["b"] = b
    z = x @ W + b
    h = np.maximum(z, 0) if clip is relu else np.minimum(z, np.float32(0.5))
    delta = (2 * (h @ V)) @ V.T * derivative(z)  # type: ignore[operator]
    _, dW, db, _ = gn.compile([loss, *gradients])(x=x)
    np.testing.assert_allclose(dW, x.T @ delta, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(db, delta.sum(axis=0), rtol=1e-4, atol=1e-5)

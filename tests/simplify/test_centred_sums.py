"""The sum of what has been centred is 0, and is found to be: batch norm's gradient as in the paper."""

import numpy as np
import pytest

import graphnn as gn


def centred(scale):
    """The sum over (x - scale * mean) * 3, which is 0 for scale 1."""
    net = gn.Network()
    x = net.input("x", ("N", 4))
    return gn.sum((x - scale * gn.mean(x, axis=0)) * 3, axis=0, name="total")


def rules(loss, wrt):
    return [rule for rule, _ in gn.derivation(loss, wrt).steps]


def test_a_centred_sum_is_gone():
    text = gn.compile(centred(1), until="simplify").stage("simplify")
    assert "total[i0 < 4] = 0" in text


def test_what_is_not_quite_centred_is_summed():
    X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    total = gn.compile(centred(2))(x=X)
    np.testing.assert_allclose(total, -3 * X.sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("layer", "axis"), [(gn.layer_norm, -1), (gn.batch_norm, 0)])
def test_the_gradient_by_the_mean_has_one_sum(layer, axis):
    """Ioffe and Szegedy (2015), arXiv:1502.03167, with their second addend of dl/dmu, which is 0, left out."""
    net = gn.Network()
    x, w = net.input("x", ("N", 4)), net.input("w", ("N", 4))
    loss = gn.sum(layer(x, eps=0.5) * w)
    assert "centred sum" in rules(loss, x)
    generator = np.random.default_rng(0)
    X, W = (generator.normal(size=(7, 4)).astype(np.float32) for _ in range(2))
    gradient = gn.compile(gn.gradients(loss, [x])[0], training=True)(x=X, w=W)
    mean, spread = X.mean(axis, keepdims=True), np.sqrt(X.var(axis, keepdims=True) + 0.5)
    normal = (X - mean) / spread
    expected = (W - W.mean(axis, keepdims=True) - normal * (W * normal).mean(axis, keepdims=True)) / spread
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)

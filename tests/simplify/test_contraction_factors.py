"""What is recognised as a sum of products, so that its factors become arrays."""

import pytest

import graphnn as gn

n, o, y, u = gn.indices("n o y u")
X, W = gn.operands("X W")
# 8 + 3 - 1 outputs: the accesses reach over both ends
FULL = gn.op("full", (n, o, y), gn.Sum(gn.guard(X[n, y + u - 2]) * W[o, u], u), {y: X.shape[1] + W.shape[1] - 1})
INNER = gn.op("inner", (n, o, y), gn.Sum(X[n, y + u] * W[o, u], u), {y: X.shape[1] - W.shape[1] + 1})


@pytest.mark.parametrize("correlate", [FULL, INNER], ids=["padded", "inside"])
def test_the_delta_of_a_correlation_is_an_array(correlate):
    net = gn.Network()
    x, w = net.input("x", (4, 8)), net.parameter("W", (5, 3), init=gn.Normal(1.0))
    loss = gn.sum(gn.square(gn.tanh(correlate(x, w))))
    (slope,) = gn.gradients(loss, [w])
    text = gn.compile([loss, slope], until="simplify").stage("simplify")
    # delta is computed once, in a formula of its own, and not again for each of the 5 x 3 weights
    assert not [line for line in text.splitlines() if "x[" in line and "tanh[" in line]

"""Two probes that a wrong adjoint or a wrong loop IR cannot pass. Both ops live here and nowhere in the package."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

import graphnn as gn
from tests.three_way.runner import Array, Chain

i, k = gn.indices("i k")
X, W = gn.operands("X W")

# out[i] = sum over k of X[2i + 2k] W[k]: stride 2 and dilation 2, so no index has a unit coefficient.
CORRELATE = gn.op(
    "strided_dilated_correlation",
    out=(i,),
    body=gn.Sum(X[2 * i + 2 * k] * W[k], k),
    extents={i: (X.shape[0] - 2 * (W.shape[0] - 1) - 1) // 2 + 1},
)
# Windows of 3 with stride 2, clamped at the edges: neighbours share an element.
POOL = gn.op(
    "overlapping_max_pool", out=(i,), body=gn.Max(gn.guard(X[2 * i + k - 1]), k), extents={i: X.shape[0] // 2, k: 3}
)


def three_ways(tensors: list[gn.Tensor], values: dict[str, Array]) -> list[list[Array]]:
    chain = Chain(tensors, accuracy="tight", debug=True)
    return [
        gn.evaluate(tensors, values),
        chain.interpreted(values),
        chain.interpreted(values, scheduled=True),
        chain.native(values),
    ]


@pytest.mark.parametrize(("length", "taps"), [(5, 1), (7, 3), (8, 3), (21, 4), (40, 5), (3, 2)])
def test_strided_dilated_correlation_forward_and_backward(length: int, taps: int) -> None:
    count = (length - 2 * (taps - 1) - 1) // 2 + 1
    rng = np.random.default_rng(length)
    x, w, g = rng.normal(size=length), rng.normal(size=taps), rng.normal(size=count)
    out, dx, dw = np.zeros(count), np.zeros(length), np.zeros(taps)
    for o in range(count):
        for t in range(taps):
            out[o] += x[2 * o + 2 * t] * w[t]
            dx[2 * o + 2 * t] += g[o] * w[t]
            dw[t] += g[o] * x[2 * o + 2 * t]
    net = gn.Network("probe")
    tx, tw = net.input("x", (length,), "float64"), net.input("w", (taps,), "float64")
    y = CORRELATE(tx, tw, name="y")
    loss = gn.sum(y * net.input("g", (count,), "float64"))
    for found in three_ways([y, *gn.gradients(loss, [tx, tw])], {"x": x, "w": w, "g": g}):
        for got, expected in zip(found, (out, dx, dw), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


def _pool_by_hand(x: Array, g: Array, ties: str) -> tuple[Array, Array]:
    count = len(x) // 2
    out, dx = np.zeros(count), np.zeros(len(x))
    for o in range(count):
        window = [p for p in (2 * o - 1, 2 * o, 2 * o + 1) if 0 <= p < len(x)]
        out[o] = max(x[p] for p in window)
        hits = [p for p in window if x[p] == out[o]]
        for p in hits[:1] if ties == "first" else hits:
            dx[p] += g[o] if ties == "first" else g[o] / len(hits)
    return out, dx


@pytest.mark.parametrize("ties", ["first", "split"])
@pytest.mark.parametrize(
    "x", [[1, 1, 1, 1, 1, 1, 1], [0, 2, 2, 1, 2, 2, -1, -1], [3, -4, 3, 3, 5, 5, 5, 5, 0], [-2, -2]]
)
def test_overlapping_max_pool_with_ties(x: list[float], ties: Literal["first", "split"]) -> None:
    values = np.array(x, dtype=np.float64)
    g = np.arange(1, len(x) // 2 + 1, dtype=np.float64) ** 2
    out, dx = _pool_by_hand(values, g, ties)
    net = gn.Network("probe")
    tx = net.input("x", (len(x),), "float64")
    y = POOL(tx, name="y")
    loss = gn.sum(y * net.input("g", (len(x) // 2,), "float64"))
    tensors = [y, *gn.gradients(loss, [tx], ties=ties)]
    for found in three_ways(tensors, {"x": values, "g": g}):
        np.testing.assert_array_equal(found[0], out)
        np.testing.assert_allclose(found[1], dx, rtol=1e-15)


def test_the_hand_written_pool_is_not_blind_to_the_policy() -> None:
    x: Any = np.ones(6)
    assert not np.array_equal(_pool_by_hand(x, np.ones(3), "first")[1], _pool_by_hand(x, np.ones(3), "split")[1])

"""Pooling: overlapping windows with ties under both policies, clamped averages, exact shapes, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

import graphnn as gn

Array = np.ndarray[Any, Any]


def pooled_by_loops(
    x: Array, g: Array, size: int, stride: int, padding: tuple[int, int], ties: str
) -> tuple[Array, Array]:
    """The maxima of the windows of each image, and the gradient of sum(g * maxima): window by window."""
    value, gradient = np.zeros_like(g), np.zeros_like(x)
    for n, c, i, j in np.ndindex(*g.shape):
        rows = range(max(stride * i - padding[0], 0), min(stride * i - padding[0] + size, x.shape[2]))
        columns = range(max(stride * j - padding[0], 0), min(stride * j - padding[0] + size, x.shape[3]))
        places = list(itertools.product(rows, columns))
        value[n, c, i, j] = max(x[n, c, p, q] for p, q in places)
        largest = [place for place in places if x[n, c, *place] == value[n, c, i, j]]
        chosen = largest[:1] if ties == "first" else largest
        for p, q in chosen:
            gradient[n, c, p, q] += g[n, c, i, j] / len(chosen)
    return value, gradient


@pytest.mark.parametrize("ties", ["first", "split"])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, (0, 0)), (3, 2, (1, 1)), (2, 1, (1, 0)), (2, 3, (0, 1)), (3, 2, (2, 2))]
)
def test_overlapping_windows_with_ties(
    ties: Literal["first", "split"], size: int, stride: int, padding: tuple[int, int]
) -> None:
    """Three values on 48 elements: nearly every window has a tie. Shares of 1/2 to 1/9 of 2520 are whole numbers."""
    rng = np.random.default_rng(size + stride)
    x = rng.integers(0, 3, (2, 2, 6, 7)).astype(float)
    net = gn.Network()
    tensor = net.input("x", ("N", 2, 6, 7), dtype="float64")
    y = gn.max_pool(tensor, size, stride, (padding, padding))
    g = 2520.0 * rng.integers(1, 4, (2, *y.shape[1:]))
    weights = net.input("g", y.shape, dtype="float64")
    value, gradient = gn.compile([y, *gn.gradients(gn.sum(y * weights), [tensor], ties=ties)])(x=x, g=g)
    expected, right = pooled_by_loops(x, g, size, stride, padding, ties)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(gradient, right)


def test_an_average_divides_by_what_is_inside() -> None:
    x = np.ones((1, 1, 3, 4))
    net = gn.Network()
    tensor = net.input("x", x.shape, dtype="float64")
    clamped = gn.avg_pool(tensor, 3, 2, 1)
    zeros_count = gn.avg_pool(tensor, 3, 2, 1, include_padding=True)
    first, second = gn.compile([clamped, zeros_count])(x=x)
    np.testing.assert_array_equal(first, np.ones((1, 1, 2, 2)))
    np.testing.assert_allclose(second[0, 0], np.array([[4, 6], [4, 6]]) / 9, rtol=1e-15)


def test_windows_side_by_side_unless_a_stride_is_given() -> None:
    x = gn.Network().input("x", ("N", 3, 8, 9))
    assert gn.max_pool(x, 2).shape == ("N", 3, 4, 4)
    assert gn.avg_pool(x, (2, 3)).shape == ("N", 3, 4, 3)
    assert gn.max_pool(x, 3, stride=2).shape == ("N", 3, 3, 4)
    assert gn.max_pool(x, 3, stride=2, padding="same").shape == ("N", 3, 4, 5)


def test_pooling_is_one_formula_and_extents_may_be_symbolic() -> None:
    net = gn.Network()
    x = net.input("x", ("N", 1, "H", "W"), dtype="float64")
    largest, mean = gn.max_pool(x, 3, 2, 1, name="largest"), gn.avg_pool(x, 2, name="mean")
    assert list(net.graph) == ["x", "largest", "mean"]
    program = gn.compile([largest, mean])
    rng = np.random.default_rng(0)
    for extents in ((7, 4), (2, 3), (5, 5)):
        values = rng.standard_normal((2, 1, *extents))
        first, second = program(x=values)
        expected, _ = pooled_by_loops(values, np.zeros_like(first), 3, 2, (1, 1), "first")
        np.testing.assert_array_equal(first, expected)
        even = values[:, :, : extents[0] // 2 * 2, : extents[1] // 2 * 2]
        blocks = even.reshape(2, 1, extents[0] // 2, 2, extents[1] // 2, 2)
        np.testing.assert_allclose(second, blocks.mean(axis=(3, 5)), atol=1e-15)


def test_global_pooling_keeps_batch_and_channels() -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype(np.float32)
    net = gn.Network()
    tensor = net.input("x", ("N", 3, "H", "W"))
    largest, mean = gn.global_max_pool(tensor), gn.global_avg_pool(tensor, name="mean")
    assert [largest.name, mean.name] == ["global_max_pool", "mean"]
    first, second = gn.compile([largest, mean])(x=x)
    np.testing.assert_array_equal(first, x.max(axis=(2, 3)))
    np.testing.assert_allclose(second, x.mean(axis=(2, 3), dtype=float), rtol=0, atol=1e-6)


REFUSED: list[tuple[Callable[[gn.Tensor], Any], type[Exception], str]] = [
    (
        lambda x: gn.max_pool(x, 9),
        gn.ShapeError,
        r"max_pool: the window covers 9 elements of axis 2 of 'x', which has 8",
    ),
    (lambda x: gn.avg_pool(x, 11, padding=1), gn.ShapeError, r"covers 11 .* has 8 and 1 \+ 1 of padding"),
    (lambda x: gn.max_pool(x, 2, padding=2), gn.ShapeError, r"2 elements of axis 2 would lie in the padding \(2, 2\)"),
    (lambda x: gn.avg_pool(x, (3, 2), padding=((0, 0), (0, 3))), gn.ShapeError, r"of axis 3 would lie in the padding"),
    (lambda x: gn.max_pool(x[:, :, :0], 2, padding=1), gn.ShapeError, r"would lie in the padding"),
    (lambda x: gn.max_pool(x, 0), gn.GraphError, r"size is at least 1, not 0"),
    (lambda x: gn.max_pool(x, 2.0), gn.GraphError, r"size is an int, not 2.0"),
    (lambda x: gn.max_pool(x, "2"), gn.GraphError, r"size is an int, not '2'"),
    (lambda x: gn.max_pool(x, (2, 2, 2)), gn.GraphError, r"3 entries, but there are 2 spatial axes"),
    (lambda x: gn.avg_pool(x, 2, stride=0), gn.GraphError, r"stride is at least 1, not 0"),
    (lambda x: gn.avg_pool(x, 2, padding=-1), gn.GraphError, r"padding is nonnegative"),
    (lambda x: gn.avg_pool(x, 2, include_padding="no"), gn.GraphError, r"include_padding is a bool, not 'no'"),
    (
        lambda x: gn.max_pool(x[:, 0, 0], 2),
        gn.ShapeError,
        r"at least one spatial axis, but 'slice' has shape \('N', 8\)",
    ),
    (lambda x: gn.global_avg_pool(x[:, 0, 0]), gn.ShapeError, r"global_avg_pool: x is \(N, C, \*spatial\)"),
    (lambda x: gn.global_max_pool(x[:, :, :0]), gn.ShapeError, r"axis 2 of 'slice' has extent 0"),
    (lambda x: gn.max_pool(None, 2), gn.GraphError, r"operand 0 is a Tensor of a network, not NoneType"),
]


@pytest.mark.parametrize(("build", "error", "evidence"), REFUSED, ids=[evidence for *_, evidence in REFUSED])
def test_refused(build: Callable[[gn.Tensor], Any], error: type[Exception], evidence: str) -> None:
    x = gn.Network().input("x", ("N", 3, 8, 8))
    with pytest.raises(error, match=evidence):
        build(x)

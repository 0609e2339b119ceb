"""upsample: nearest against repetition, bilinear against the textbook's two taps, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphnn as gn


def upsampled(x: np.ndarray[Any, Any], *arguments: Any, shape: tuple[Any, ...] | None = None) -> Any:
    net = gn.Network()
    return gn.compile(gn.upsample(net.input("x", shape or x.shape, dtype="float64"), *arguments))(x=x)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_bilinear_is_piecewise_linear_between_the_centres(factor: int) -> None:
    """np.interp holds the outermost values, too."""
    x = np.random.default_rng(factor).standard_normal(6)
    centres = (np.arange(6 * factor) + 0.5) / factor - 0.5
    expected = np.interp(centres, np.arange(6), x)
    result = upsampled(x[None, None], factor, "bilinear", shape=(1, 1, "T"))
    np.testing.assert_allclose(result[0, 0], expected, rtol=0, atol=1e-15)


def test_nearest_repeats() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 3))
    expected = x.repeat(3, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(upsampled(x, (3, 2), "nearest", shape=("N", 3, "H", "W")), expected)


def test_a_plane_stays_a_plane_inside() -> None:
    rows, columns = np.mgrid[0:4, 0:5]
    result = upsampled((2.0 * rows + columns)[None, None], 2, "bilinear")[0, 0]
    fine_rows, fine_columns = (np.mgrid[0:8, 0:10] + 0.5) / 2 - 0.5
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(result[inside], (2 * fine_rows + fine_columns)[inside], atol=1e-14)


def test_the_gradient_of_nearest_is_the_sum_of_a_pixel_s_copies() -> None:
    net = gn.Network()
    x = net.input("x", (1, 1, 2, 2))
    fine = gn.upsample(x, 2)
    (gradient,) = gn.gradients(gn.sum(fine * net.input("g", (1, 1, 4, 4))), [x])
    assert str(gn.formula(gradient)).count("Piecewise") == 0  # solved: no condition is left to test
    g = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert gn.compile(gradient)(g=g).tolist() == [
        [[[0 + 1 + 4 + 5, 2 + 3 + 6 + 7], [8 + 9 + 12 + 13, 10 + 11 + 14 + 15]]]
    ]


REFUSED: list[tuple[Callable[[gn.Tensor], Any], type[Exception], str]] = [
    (lambda x: gn.upsample(x, 0), gn.GraphError, r"factor is at least 1, not 0"),
    (lambda x: gn.upsample(x, 1.5), gn.GraphError, r"factor is an int, not 1.5"),
    (lambda x: gn.upsample(x, "2"), gn.GraphError, r"factor is an int, not '2'"),
    (lambda x: gn.upsample(x, (2,)), gn.GraphError, r"has 1 entries, but there are 2 spatial axes"),
    (lambda x: gn.upsample(x, 2, "bicubic"), gn.GraphError, r"'nearest' or 'bilinear', not 'bicubic'"),
    (lambda x: gn.upsample(x[0, 0], 2), gn.ShapeError, r"spatial axis, but 'slice' has shape \(4, 4\)"),
    (lambda x: gn.upsample(None, 2), gn.GraphError, r"operand 0 is a Tensor of a network, not NoneType"),
]


@pytest.mark.parametrize(("build", "error", "evidence"), REFUSED, ids=[evidence for *_, evidence in REFUSED])
def test_refused(build: Callable[[gn.Tensor], Any], error: type[Exception], evidence: str) -> None:
    x = gn.Network().input("x", (1, 1, 4, 4))
    with pytest.raises(error, match=evidence):
        build(x)

import math

import numpy as np
import pytest

from graphnn.check.differences import SMALL_STEP, complex_step, measure_slopes


def cube(a):
    return (a**3).sum()


def test_central_difference_of_a_cube_is_off_by_the_square_of_the_step():
    at = np.array([5.0, 2.0])
    for step in (1e-1, 1e-2, 1e-3):
        slopes = measure_slopes(cube, at, (1,), step, kinks=False)
        assert slopes.central - 12 == pytest.approx(step**2, rel=1e-3)  # ((2+h)^3 - (2-h)^3)/2h = 12 + h^2
    assert at.tolist() == [5.0, 2.0]


def test_a_kink_accepts_what_lies_between_the_one_sided_slopes():
    slopes = measure_slopes(lambda a: np.maximum(0, 3 * a).sum(), np.zeros((2, 2)), (0, 1), 1e-5, kinks=True)
    assert slopes.kinked
    assert (slopes.left, slopes.right) == pytest.approx((0, 3))
    assert [slopes.distance(v) for v in (0.0, 1.2, 3.0)] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [slopes.distance(v) for v in (-0.5, 3.25)] == pytest.approx([0.5, 0.25])


@pytest.mark.parametrize("distance", [1e-6, 4e-6, 8e-6])
def test_an_interval_that_crosses_a_kink_next_to_the_point_is_kinked(distance):
    slopes = measure_slopes(lambda a: np.abs(a).sum(), np.array([distance]), (0,), 1e-5, kinks=True)
    assert slopes.kinked
    assert slopes.distance(1.0) == pytest.approx(0, abs=1e-9)
    assert slopes.distance(1.01) == pytest.approx(0.01)


@pytest.mark.parametrize("at", [0.0, 0.7])
@pytest.mark.parametrize("function", [np.cosh, np.sin, np.square])
def test_curvature_is_no_kink(function, at):
    slopes = measure_slopes(lambda a: function(a).sum(), np.array([at]), (0,), SMALL_STEP, kinks=True)
    assert not slopes.kinked
    assert slopes.distance(slopes.central + 1.0) == pytest.approx(1.0)


def test_rounding_is_no_kink():
    slopes = measure_slopes(lambda a: (1e6 + a).sum(), np.array([0.3]), (0,), 1e-10, kinks=True)
    assert not slopes.kinked
    assert slopes.noise > abs(slopes.central - 1)


def test_complex_step_is_right_to_the_last_bits():
    at = np.array([0.25, -1.5])
    value = complex_step(lambda a: np.exp(3 * a).sum(), at, (1,))
    assert value == pytest.approx(3 * math.exp(-4.5), rel=1e-15)
    assert at.dtype == np.float64

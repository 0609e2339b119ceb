"""Rows converted when they are asked for."""

import numpy as np
import pytest

from graphnn.errors import DTypeError, ShapeError
from graphnn.nn.training.converted import Converted

BYTES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)


def test_rows_are_scaled_and_shifted_in_the_new_dtype():
    found = Converted(BYTES, scale=1 / 255, offset=-0.5)
    assert (found.shape, found.ndim, len(found), found.dtype) == ((4, 2, 3), 3, 4, np.float32)
    expected = BYTES.astype(np.float64) / 255 - 0.5
    for rows in (slice(None), slice(1, 3), [2, 0], np.array([True, False, False, True])):
        assert found[rows].dtype == np.float32
        np.testing.assert_allclose(found[rows], expected[rows], atol=1e-7)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-7)
    assert repr(found) == "<uint8 [4, 2, 3] as float32>"


def test_a_row_of_offsets_and_a_factor_per_channel():
    mean, factors = BYTES.mean(axis=0), np.array([[2.0], [3.0]])
    found = Converted(BYTES, "float64", scale=factors, offset=-mean)
    np.testing.assert_allclose(found[:], BYTES * factors - mean)


def test_labels_and_byte_orders():
    assert Converted(BYTES[:, 0, 0], "int64")[[3]].tolist() == [18]
    swapped = np.array([1.5, -2.0], ">f4")
    found = Converted(swapped)[:]
    assert found.dtype == np.dtype("=f4")
    assert found.tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (DTypeError, "not a list", ([1, 2],)),
        (DTypeError, "not one of float32", (BYTES, "uint8")),
        (DTypeError, "float64 cannot become int64", (np.ones(3), "int64")),
        (DTypeError, "<U1 cannot become float32", (np.array(["a"]),)),
        (DTypeError, "scale is for floats; the rows become int64", (BYTES, "int64", 2)),
        (DTypeError, "offset is a number or an array of numbers", (BYTES, "float32", 1, "a")),
        (ShapeError, "no rows", (np.array(1.0),)),
        (
            ShapeError,
            r"scale of shape \(2,\) does not broadcast to a row of shape \(2, 3\)",
            (BYTES, "float32", [1, 2]),
        ),
        (ShapeError, r"offset of shape \(4, 2, 3\)", (BYTES, "float32", 1, BYTES)),
    ],
)
def test_what_cannot_be_converted_is_refused(error, message, arguments):
    with pytest.raises(error, match=message):
        Converted(*arguments)

"""The bundled sets, against scikit-learn's own arrays."""

import sys

import numpy as np
import pytest
from sklearn import datasets

from graphnn.errors import GraphError, GraphnnError
from graphnn.nn.data import bundled


def test_digits_are_images_in_the_unit_interval():
    found, raw = bundled.digits(), datasets.load_digits()
    assert (found["x"].shape, found["x"].dtype) == ((1797, 1, 8, 8), np.float32)
    np.testing.assert_array_equal(found["x"][:, 0] * 16, raw.images)
    assert found["y"].dtype == np.int64
    np.testing.assert_array_equal(found["y"], raw.target)


def test_digits_are_enlarged_and_centred():
    found, small = bundled.digits(size=28, margin=4)["x"], bundled.digits()["x"]
    assert (found.shape, found.dtype) == ((1797, 1, 28, 28), np.float32)
    inner = found[:, :, 4:-4, 4:-4]
    assert found.sum() == inner.sum()
    # Interpolation keeps the range, the mean grey and the centre of the ink.
    assert 0 <= found.min() < found.max() <= 1
    np.testing.assert_allclose(inner.mean(), small.mean(), rtol=0.01)
    rows = [np.average(np.arange(len(ink)) - (len(ink) - 1) / 2, weights=ink) for ink in (found.sum((0, 1, 3)),)]
    np.testing.assert_allclose(rows, 2.5 * np.average(np.arange(8) - 3.5, weights=small.sum((0, 1, 3))), atol=0.05)
    np.testing.assert_array_equal(bundled.digits(size=12, margin=2)["x"][:, :, 2:-2, 2:-2], small)
    for wrong in ({"size": 0}, {"size": 8, "margin": 4}, {"size": "8"}, {"margin": -1}, {"size": 8.5}):
        with pytest.raises(GraphError, match=r"digits: (size|margin) is an int"):
            bundled.digits(**wrong)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_tables_of_classes(name):
    raw = getattr(datasets, f"load_{name}")()
    plain, scaled = getattr(bundled, name)(standardize=False), getattr(bundled, name)()
    assert plain["x"].dtype == scaled["x"].dtype == np.float32
    np.testing.assert_array_equal(plain["x"], raw.data.astype(np.float32))
    np.testing.assert_allclose(scaled["x"].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled["x"].std(0), 1, rtol=1e-5)
    assert plain["y"].dtype == np.int64
    np.testing.assert_array_equal(plain["y"], raw.target)


def test_diabetes_has_a_column_of_targets():
    found = bundled.diabetes(standardize=False)
    assert found["y"].dtype == np.float32
    np.testing.assert_array_equal(found["y"][:, 0], datasets.load_diabetes().target)


def test_sample_images():
    image = bundled.sample_image("flower")
    assert (image.shape, image.dtype) == ((1, 3, 427, 640), np.float32)
    expected = datasets.load_sample_image("flower.jpg")
    np.testing.assert_allclose(image[0, 2] * 255, expected[:, :, 2], rtol=1e-6)
    with pytest.raises(GraphError, match="'horse' is not one of china, flower"):
        bundled.sample_image("horse")


def test_a_missing_library_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(GraphnnError, match=r"gn\.data\.digits needs scipy\.ndimage: pip install 'graphnn\[data\]'"):
        bundled.digits(28)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(GraphnnError, match=r"gn\.data\.iris needs sklearn: pip install 'graphnn\[data\]'"):
        bundled.iris()

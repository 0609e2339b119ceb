"""Augmentation: what each bound does, that it stays within it, and that it is a function of where a row stands."""

import sys

import numpy as np
import pytest

from graphnn.errors import DTypeError, GraphError, GraphnnError, ShapeError
from graphnn.nn.data.augmentation import Augmentation

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(40, 2, 9, 9)).astype(np.float32)
ALL = Augmentation(reflect=0.5, translate=2, rotate=20, contrast=0.5, skew=0.3, seed=3)


def blob(y, x, size=41):
    """An image of one smooth spot at (y, x) about the centre, 20 times."""
    at = np.arange(size) - size // 2
    spot = np.exp(-((at[:, None] - y) ** 2 + (at - x) ** 2) / 8)
    return np.broadcast_to(spot, (20, 1, size, size)).copy()


def centres(images):
    """Where the spots are, (N, 2)."""
    at = np.arange(images.shape[-1]) - images.shape[-1] // 2
    mass = images[:, 0] / images[:, 0].sum((1, 2), keepdims=True)
    return np.stack([mass.sum(2) @ at, mass.sum(1) @ at], axis=1)


def test_nothing_asked_for_changes_nothing():
    np.testing.assert_array_equal(Augmentation()(IMAGES), IMAGES)


def test_reflection_mirrors_about_half_of_the_images():
    found = Augmentation(reflect=0.5)(IMAGES)
    mirrored = (found == IMAGES[..., ::-1]).all((1, 2, 3))
    np.testing.assert_array_equal(found[~mirrored], IMAGES[~mirrored])
    assert 10 < mirrored.sum() < 30
    np.testing.assert_array_equal(Augmentation(reflect=1)(IMAGES), IMAGES[..., ::-1])


def test_translation_moves_within_its_bounds():
    found = centres(Augmentation(translate=(5, 0))(blob(0, 0)))
    assert 3 < np.abs(found[:, 0]).max() <= 5.01
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-6)
    assert len(set(found[:, 0].round(6))) == 20  # each image by an amount of its own
    sideways = centres(Augmentation(translate=4)(blob(2, -3))) - (2, -3)
    assert (np.abs(sideways).max(axis=0) > 2).all()
    assert (np.abs(sideways) <= 4.01).all()


def test_rotation_keeps_the_distance_from_the_centre():
    found = centres(Augmentation(rotate=30)(blob(0, 10)))
    np.testing.assert_allclose(np.hypot(*found.T), 10, atol=0.05)
    angles = np.degrees(np.arctan2(found[:, 0], found[:, 1]))
    assert 20 < np.abs(angles).max() <= 30.1
    assert angles.min() < 0 < angles.max()


def test_skew_moves_rows_sideways_in_proportion():
    augment = Augmentation(skew=0.5)
    near, far = centres(augment(blob(5, 0))), centres(augment(blob(10, 0)))
    np.testing.assert_allclose(near[:, 0], 5, atol=0.05)
    np.testing.assert_allclose(far[:, 1], 2 * near[:, 1], atol=0.05)
    assert 1.5 < np.abs(near[:, 1]).max() <= 2.51


def test_contrast_scales_about_the_mean():
    found = Augmentation(contrast=0.6)(IMAGES)
    means = IMAGES.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found.mean((1, 2, 3), keepdims=True), means, rtol=1e-5)
    factors = ((found - means) / (IMAGES - means)).reshape(40, -1)
    np.testing.assert_allclose(factors, np.broadcast_to(np.median(factors, 1, keepdims=True), factors.shape), rtol=0.02)
    assert 0.4 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.61


def test_borders():
    ones = np.ones((20, 1, 9, 9))
    assert Augmentation(translate=4)(ones).min() == 0
    for border in ("reflect", "symmetric", "replicate"):
        np.testing.assert_allclose(Augmentation(translate=4, rotate=90, border=border)(ones), 1)


def test_a_row_depends_on_seed_epoch_batch_and_its_number_alone():
    found = ALL(IMAGES, 2, 5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ALL(IMAGES, 2, 5))
    np.testing.assert_array_equal(found[:7], ALL(IMAGES[:7], 2, 5))  # a shorter batch
    for other in (ALL(IMAGES, 2, 6), ALL(IMAGES, 3, 5), Augmentation(0.5, 2, 20, 0.5, 0.3, seed=4)(IMAGES, 2, 5)):
        assert (other != found).any((1, 2, 3)).all()


def test_one_more_kind_of_change_leaves_the_others_as_they_were():
    moved, both = Augmentation(rotate=20)(IMAGES), Augmentation(rotate=20, reflect=1)(IMAGES[..., ::-1])
    np.testing.assert_array_equal(moved, both)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reflect": 1.5},
        {"reflect": "0.5"},
        {"translate": -1},
        {"translate": (1, 2, 3)},
        {"translate": "ab"},
        {"translate": (1, None)},
        {"rotate": 181},
        {"rotate": float("nan")},
        {"skew": float("inf")},
        {"contrast": True},
        {"contrast": 1.01},
        {"border": "wrap"},
        {"border": ["zero"]},
        {"seed": -1},
        {"seed": 0.5},
    ],
)
def test_bounds_that_make_no_sense_are_refused(wrong):
    with pytest.raises(GraphError, match=f"Augmentation: {next(iter(wrong))}"):
        Augmentation(**wrong)


def test_other_images_are_refused(monkeypatch):
    with pytest.raises(ShapeError, match=r"images are \(N, C, H, W\), the array given has shape \(40, 2, 9\)"):
        ALL(IMAGES[..., 0])
    with pytest.raises(DTypeError, match="images are floats, the array given is uint8"):
        ALL(IMAGES.astype(np.uint8))
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(GraphnnError, match=r"needs scipy\.ndimage: pip install 'graphnn\[data\]'"):
        ALL(IMAGES)

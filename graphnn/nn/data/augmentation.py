"""Training images changed at random within bounds, so that a network sees more than there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.arguments import NONNEGATIVE, check_count, check_number
from graphnn.nn.data.optional import needs

Array = npt.NDArray[Any]

_BORDERS = {"zero": "constant", "reflect": "mirror", "symmetric": "reflect", "replicate": "nearest"}  # SciPy's names


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Changes each image of a batch by an amount of its own, drawn uniformly within these bounds.

    reflect    probability of a mirror image, left to right
    translate  pixels up or down and left or right, or a pair of bounds (vertical, horizontal)
    rotate     degrees to either side about the centre
    contrast   the differences from the image's mean times 1 - contrast to 1 + contrast
    skew       a shear: rows move sideways by up to this many pixels per row from the centre
    border     what lies outside of an image: "zero", "reflect", "symmetric" or "replicate"
    seed       of all of it

    augment(images, epoch, batch) takes floats (N, C, H, W) and gives new ones of that shape and dtype. What happens to
    row n depends on seed, epoch, batch and n alone, so a training that is resumed in the middle of an epoch goes on as
    if it had never stopped. Rotation, skew and translation are one bilinear interpolation (scipy.ndimage).

    Raises GraphError for a bound out of range, GraphnnError where SciPy is missing, ShapeError and DTypeError for
    another kind of images. P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for Convolutional Neural
    Networks", ICDAR 2003.
    """

    reflect: float = 0.0
    translate: float | tuple[float, float] = 0.0
    rotate: float = 0.0
    contrast: float = 0.0
    skew: float = 0.0
    border: str = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        pair = self.translate if isinstance(self.translate, Sequence) else (self.translate, self.translate)
        if isinstance(pair, str) or len(pair) != 2:
            raise GraphError(f"Augmentation: translate is a number of pixels or a pair of them, not {pair!r}")
        for what, value, domain in (
            ("reflect", self.reflect, sympy.Interval(0, 1)),
            ("translate", pair[0], NONNEGATIVE),
            ("translate", pair[1], NONNEGATIVE),
            ("rotate", self.rotate, sympy.Interval(0, 180)),
            ("contrast", self.contrast, sympy.Interval(0, 1)),
            ("skew", self.skew, NONNEGATIVE),
        ):
            check_number(f"Augmentation: {what}", value, domain)
        if not isinstance(self.border, str) or self.border not in _BORDERS:
            raise GraphError(f"Augmentation: border {self.border!r} is not one of {', '.join(_BORDERS)}")
        check_count("Augmentation: seed", self.seed, 0)
        object.__setattr__(self, "translate", (float(pair[0]), float(pair[1])))

    def __call__(self, images: Array, epoch: int = 0, batch: int = 0) -> Array:
        if images.ndim != 4:
            raise ShapeError(f"Augmentation: images are (N, C, H, W), the array given has shape {images.shape}")
        if images.dtype.kind != "f":
            raise DTypeError(f"Augmentation: images are floats, the array given is {images.dtype}")
        generator = np.random.default_rng([self.seed, epoch, batch])
        # Every amount is drawn, so that one more kind of change leaves the others as they were.
        drawn = generator.uniform(-1, 1, (len(images), 6))
        mirrored = (drawn[:, 0] + 1) / 2 < self.reflect
        changed: Array = np.where(mirrored[:, None, None, None], images[..., ::-1], images)
        vertical, horizontal = self.translate  # type: ignore[misc] # a pair since __post_init__
        if self.rotate or self.skew or vertical or horizontal:
            angles, skews = np.radians(self.rotate) * drawn[:, 1], self.skew * drawn[:, 2]
            shifts = drawn[:, 3:5] * (vertical, horizontal)
            changed = _move(changed, _matrices(angles, skews), shifts, _BORDERS[self.border])
        if self.contrast:
            means = changed.mean(axis=(1, 2, 3), keepdims=True)
            factors = (1 + self.contrast * drawn[:, 5])[:, None, None, None].astype(images.dtype)
            changed = means + factors * (changed - means)
        return changed


def _matrices(angles: Array, skews: Array) -> Array:
    """From a pixel's (row, column) about the centre to where it comes from: unrotated, then unskewed. (N, 2, 2)"""
    cosines, sines = np.cos(angles), np.sin(angles)
    rotations = np.stack([np.stack([cosines, sines], -1), np.stack([-sines, cosines], -1)], -2)
    shears = np.zeros_like(rotations)
    shears[:, 0, 0] = shears[:, 1, 1] = 1
    shears[:, 1, 0] = -skews
    combined: Array = shears @ rotations
    return combined


def _move(images: Array, matrices: Array, shifts: Array, mode: str) -> Array:
    """Each image moved by the inverse of its matrix about the centre, then by its shift."""
    with needs("Augmentation"):
        from scipy.ndimage import affine_transform
    centre = (np.array(images.shape[2:]) - 1) / 2
    offsets = centre - np.einsum("nij,nj->ni", matrices, centre + shifts)
    moved = np.empty_like(images)
    for image, target, matrix, offset in zip(images, moved, matrices, offsets, strict=True):
        for channel, out in zip(image, target, strict=True):
            affine_transform(channel, matrix, offset, output=out, order=1, mode=mode)
    return moved

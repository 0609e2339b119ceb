"""gn.data: arrays before they are trained on: files, ready-made sets, conversion by batches, augmentation."""

from graphnn.nn.data.augmentation import Augmentation
from graphnn.nn.data.bundled import breast_cancer, diabetes, digits, iris, sample_image, wine
from graphnn.nn.data.idx import read_idx, write_idx
from graphnn.nn.training.converted import Converted

__all__ = [
    "Augmentation",
    "Converted",
    "breast_cancer",
    "diabetes",
    "digits",
    "iris",
    "read_idx",
    "sample_image",
    "wine",
    "write_idx",
]

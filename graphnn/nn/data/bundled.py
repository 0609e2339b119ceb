"""scikit-learn's bundled data sets as dicts of arrays that `Trainer.fit` takes as they are.

"x" is float32, "y" holds int64 class numbers, or a column of float32 targets. Nothing is downloaded: the files come
with scikit-learn. GraphnnError, naming the extra to install, where that is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError
from graphnn.nn.arguments import check_count
from graphnn.nn.data.optional import needs

Arrays = dict[str, npt.NDArray[Any]]
_SIDE = 8  # of an image in scikit-learn's digits
_SAMPLES = ("china", "flower")


def digits(size: int = _SIDE, margin: int = 0) -> Arrays:
    """1797 handwritten digits: x (1797, 1, size, size) in [0, 1] with ink at 1, y their values.

    The images are 8 x 8 and are enlarged by bilinear interpolation to size - 2*margin, with `margin` empty pixels on
    each side: size=28, margin=4 centres 20 x 20 pixels in 28 x 28, as MNIST does. E. Alpaydin, C. Kaynak, "Optical
    Recognition of Handwritten Digits", UCI repository, 1998 (its test set). GraphError for less than one pixel.
    """
    margin = check_count("digits: margin", margin, 0)
    inner = check_count("digits: size", size, 2 * margin + 1) - 2 * margin
    bunch = _datasets("digits").load_digits()
    images = (bunch.images / 16).astype(np.float32)  # 17 levels, 0 to 16
    if inner != _SIDE:
        with needs("gn.data.digits"):
            from scipy.ndimage import zoom
        factor = inner / _SIDE
        # grid_mode: pixels are areas, so that the digit stays centred.
        images = zoom(images, (1, factor, factor), order=1, mode="nearest", grid_mode=True)
    edge = (margin, margin)
    return {"x": np.pad(images, ((0, 0), edge, edge))[:, np.newaxis], "y": bunch.target.astype(np.int64)}


def iris(standardize: bool = True) -> Arrays:
    """150 irises of 3 species: x (150, 4) sepal and petal sizes (cm). R. A. Fisher, 1936.

    standardize=True gives each column mean 0 and standard deviation 1 over all rows, test rows included.
    """
    return _table("iris", standardize)


def wine(standardize: bool = True) -> Arrays:
    """178 wines of 3 cultivars: x (178, 13) chemical analyses. M. Forina et al., 1988. Arguments as of `iris`."""
    return _table("wine", standardize)


def breast_cancer(standardize: bool = True) -> Arrays:
    """569 tumours, malignant (0) or benign (1): x (569, 30) sizes of cell nuclei. W. N. Street et al., 1993.

    Arguments as of `iris`.
    """
    return _table("breast_cancer", standardize)


def diabetes(standardize: bool = True) -> Arrays:
    """442 patients: x (442, 10) baseline values, y (442, 1) disease progression after a year. B. Efron et al., 2004.

    Arguments as of `iris`; y is standardised like a column of x.
    """
    return _table("diabetes", standardize)


def sample_image(name: str = "china") -> npt.NDArray[np.float32]:
    """A photograph: "china" or "flower", (1, 3, 427, 640) in [0, 1], red, green, blue. GraphError for another name."""
    if name not in _SAMPLES:
        raise GraphError(f"sample_image: {name!r} is not one of {', '.join(_SAMPLES)}")
    pixels = _datasets("sample_image").load_sample_image(f"{name}.jpg")
    image: npt.NDArray[np.float32] = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis] / np.float32(255))
    return image


def _table(name: str, standardize: bool) -> Arrays:
    bunch = getattr(_datasets(name), f"load_{name}")()
    x, y = bunch.data, bunch.target
    if y.dtype.kind == "f":
        y = y[:, np.newaxis]
        return {"x": _column_scaled(x, standardize), "y": _column_scaled(y, standardize)}
    return {"x": _column_scaled(x, standardize), "y": y.astype(np.int64)}


def _column_scaled(table: npt.NDArray[np.float64], standardize: bool) -> npt.NDArray[np.float32]:
    scaled = (table - table.mean(axis=0)) / table.std(axis=0) if standardize else table
    return scaled.astype(np.float32)


def _datasets(what: str) -> Any:
    with needs(f"gn.data.{what}"):
        from sklearn import datasets
    return datasets

"""Linear models: regression, softmax regression, and the support vector machine on edge features."""

from __future__ import annotations

import numpy as np

from graphnn.declare.network import Tensor
from graphnn.errors import ShapeError
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.convolution import checked_channels
from graphnn.nn.layers.dense import dense
from graphnn.ops.arguments import check_tensors
from graphnn.ops.convolution import correlate
from graphnn.ops.elementwise import abs as absolute
from graphnn.ops.elementwise import multiply, subtract
from graphnn.ops.indexing import one_hot
from graphnn.ops.layout import reshape
from graphnn.ops.pooling import avg_pool

HORIZONTAL = ((-1, -1, -1), (1, 1, 1), (0, 0, 0))
VERTICAL = ((-1, 1, 0), (-1, 1, 0), (-1, 1, 0))


def linear_regression(x: Tensor, outputs: int = 1, name: str = "linear") -> Tensor:
    """y = x W + b, from 0; with mean_squared_error, least squares.

    Shapes: x (N, K), {name}.W (K, outputs), {name}.b (outputs,), result (N, outputs). Errors are those of `dense`.
    """
    return dense(x, outputs, init=0.0, name=name)


def softmax_regression(x: Tensor, classes: int, name: str = "logits") -> Tensor:
    """Logits x W + b, from 0, for softmax_cross_entropy: multinomial logistic regression.

    Shapes: x (N, K), {name}.W (K, classes), {name}.b (classes,), result (N, classes); (K + 1)*classes parameters.
    Errors are those of `dense`.
    """
    return dense(x, classes, init=0.0, name=name)


def edge_features(images: Tensor, cell: int = 2, name: str = "edges") -> Tensor:
    """How strong horizontal and vertical edges are in each cell of an image: features made by hand.

    Each channel's mean is correlated with two fixed 3 x 3 filters, whose absolute values are averaged over cells of
    `cell` x `cell` pixels. Shapes: images (N, C, H, W) with ints but for N, {name}.filters (2, C, 3, 3) fixed, result
    (N, 2*(H/cell)*(W/cell)). Raises ShapeError where x is no such array or smaller than a cell, DTypeError where it is
    no float, GraphError for a cell below 1. An error leaves the network as it was.
    """
    channels = checked_channels("edge_features", images, 2)
    check_count("edge_features: cell", cell, 1)
    height, width = images.shape[2:]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ShapeError(f"edge_features: '{images.name}' has shape {images.shape}; its last two extents must be ints")
    filters = np.repeat(np.array([HORIZONTAL, VERTICAL], float)[:, np.newaxis], channels, axis=1) / max(1, channels)
    network = images.network
    with network.composing("edge_features", name) as final:
        fixed = network.parameter(f"{final}.filters", filters.shape, init=filters, dtype=images.dtype, trainable=False)
        responses = correlate(images, fixed, padding="same", name=f"{final}.responses")
        pooled = avg_pool(absolute(responses, name=f"{final}.strength"), cell, name=f"{final}.cells")
        return reshape(pooled, (images.shape[0], 2 * (height // cell) * (width // cell)), name=final)


def linear_svm(features: Tensor, classes: int = 1, name: str = "svm") -> Tensor:
    """Scores s = x W + b, from 0, for `hinge` and weight decay: a support vector machine for each class.

    Targets are -1 and 1: a column for two classes, `one_against_rest` of the labels for several; the class is the
    largest score. Shapes: features (N, K), {name}.W (K, classes), {name}.b (classes,), result (N, classes). Errors are
    those of `dense`. C. Cortes and V. Vapnik, "Support-Vector Networks", Machine Learning 20, 1995.
    """
    return dense(features, classes, init=0.0, name=name)


def one_against_rest(labels: Tensor, classes: int, dtype: str = "float32", name: str | None = None) -> Tensor:
    """1 in the column of the label and -1 in the others: labels (N,) to (N, classes). Errors are those of `one_hot`."""
    check_tensors("one_against_rest", labels)
    with labels.network.composing("one_against_rest", name) as final:
        chosen = one_hot(labels, classes, dtype=dtype, name=f"{final}.one_hot")
        return subtract(multiply(chosen, 2, name=f"{final}.doubled"), 1, name=final)

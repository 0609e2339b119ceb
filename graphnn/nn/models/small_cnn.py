"""A small convolutional network for small images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphnn.declare.initializer import He
from graphnn.declare.network import Tensor
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.activation import Activation
from graphnn.nn.layers.convolution import checked_channels, conv2d
from graphnn.nn.layers.dense import dense
from graphnn.ops.elementwise import relu
from graphnn.ops.layout import reshape
from graphnn.ops.pooling import max_pool


def small_cnn(
    images: Tensor,
    classes: int = 10,
    channels: Sequence[int] = (10, 10, 10),
    activation: Activation = relu,
    name: str = "cnn",
) -> Tensor:
    """Logits of [conv, relu, conv, relu, pool] for each entry of `channels`, then one dense layer.

    Convolutions are 3 x 3 and keep the size, pools take the largest of 2 x 2. For images (N, 3, 32, 32), 10 classes and
    10 channels throughout, the network that Stanford's course CS231n shows for CIFAR-10, 17 layers with relu, pools and
    softmax counted, and about 7,000 parameters:

    | layer | result | parameters |
    |---|---|---|
    | conv1, conv2, pool2 | 10 x 16 x 16 | 280 + 910 |
    | conv3, conv4, pool4 | 10 x 8 x 8 | 910 + 910 |
    | conv5, conv6, pool6 | 10 x 4 x 4 | 910 + 910 |
    | fc | 10 | 1,610 |
    | all | | 6,440 |

    Weights start as He's. Raises ShapeError where images are no (N, C, H, W) with ints but for N, or too small to be
    halved so often; DTypeError where they are no float, GraphError for channels below 1. An error leaves the network as
    it was. A. Karpathy, J. Johnson, F.-F. Li, CS231n: Convolutional Neural Networks for Visual Recognition, 2016.
    """
    checked_channels("small_cnn", images, 2)
    height, width = images.shape[2:]
    if not isinstance(channels, Sequence):
        raise GraphError(f"small_cnn: channels is a sequence of ints, not {channels!r:.40}")
    for count in channels:
        check_count("small_cnn: channels", count, 1)
    scale = 2 ** len(channels)
    if not (isinstance(height, int) and isinstance(width, int) and min(height, width) >= scale):
        raise ShapeError(
            f"small_cnn: '{images.name}' has shape {images.shape}; its last two extents are ints of at least {scale}"
        )
    with images.network.composing("small_cnn", name) as final:
        h = images
        for block, count in enumerate(channels, 1):
            for number in (2 * block - 1, 2 * block):
                label = f"{final}.conv{number}"
                h = conv2d(h, count, 3, padding=1, activation=activation, init=He(), name=label)
            h = max_pool(h, 2, name=f"{final}.pool{2 * block}")
        flat = reshape(h, (images.shape[0], math.prod(map(int, h.shape[1:]))), name=f"{final}.flat")
        return dense(flat, classes, name=f"{final}.fc")

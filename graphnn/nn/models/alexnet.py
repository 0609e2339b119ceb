"""AlexNet: the network of 2012 with its two groups, and the one-tower form.

A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012;
A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphnn.declare.initializer import Constant, Normal
from graphnn.declare.network import Tensor
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.layers.convolution import checked_channels, conv2d
from graphnn.nn.layers.dense import dense
from graphnn.nn.layers.dropout import dropout
from graphnn.nn.layers.normalisation import local_response_norm
from graphnn.ops.elementwise import relu
from graphnn.ops.layout import reshape
from graphnn.ops.pooling import max_pool

SIDES = (224, 227)


@dataclass(frozen=True, slots=True)
class _Convolution:
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    first_bias: float = 0.0
    pooled: bool = False


# fmt: off
_FORMS = {
    "2012": (_Convolution(96, 11, 4, pooled=True), _Convolution(256, 5, 1, 2, 2, 1.0, pooled=True),
             _Convolution(384, 3, 1, 1), _Convolution(384, 3, 1, 1, 2, 1.0),
             _Convolution(256, 3, 1, 1, 2, 1.0, pooled=True)),
    "one-tower": (_Convolution(64, 11, 4, pooled=True), _Convolution(192, 5, 1, 2, pooled=True),
                  _Convolution(384, 3, 1, 1), _Convolution(256, 3, 1, 1), _Convolution(256, 3, 1, 1, pooled=True)),
}
# fmt: on


def alexnet(
    images: Tensor, classes: int = 1000, form: str = "2012", drop: float = 0.5, name: str = "alexnet"
) -> Tensor:
    """Logits of AlexNet for images (N, 3, 224, 224) or (N, 3, 227, 227). With 1000 classes:

    | layer | form="2012" | parameters | form="one-tower" | parameters |
    |---|---|---|---|---|
    | conv1: 11 x 11, stride 4 | 96 x 55 x 55 | 34,944 | 64 x 55 x 55 | 23,296 |
    | pool1: 3 x 3, stride 2 | 96 x 27 x 27 | | 64 x 27 x 27 | |
    | conv2: 5 x 5, padding 2 | 256 x 27 x 27, 2 groups | 307,456 | 192 x 27 x 27 | 307,392 |
    | pool2 | 256 x 13 x 13 | | 192 x 13 x 13 | |
    | conv3: 3 x 3, padding 1 | 384 x 13 x 13 | 885,120 | 384 x 13 x 13 | 663,936 |
    | conv4: 3 x 3, padding 1 | 384 x 13 x 13, 2 groups | 663,936 | 256 x 13 x 13 | 884,992 |
    | conv5: 3 x 3, padding 1 | 256 x 13 x 13, 2 groups | 442,624 | 256 x 13 x 13 | 590,080 |
    | pool5 | 256 x 6 x 6 | | 256 x 6 x 6 | |
    | fc6 | 4096 | 37,752,832 | 4096 | 37,752,832 |
    | fc7 | 4096 | 16,781,312 | 4096 | 16,781,312 |
    | fc8 | 1000 | 4,097,000 | 1000 | 4,097,000 |
    | all | | 60,965,224 | | 61,100,840 |

    Rectified units after all but fc8; `drop` is the probability of dropout after fc6 and fc7. That of 2012 has local
    response normalisation in front of pool1 and pool2. The paper says 224 pixels and means 227: smaller images are
    padded by 2 and 1. Weights start as N(0, 0.01^2), biases at 0, and at 1 in conv2, conv4, conv5, fc6 and fc7 of the
    form of 2012, as there.

    Raises ShapeError for other images, GraphError for another form, DTypeError where the images are no float. An error
    leaves the network as it was.
    """
    if not isinstance(form, str) or form not in _FORMS:
        raise GraphError(f"alexnet: form is '2012' or 'one-tower', not {form!r}")
    side = images.shape[-1] if checked_channels("alexnet", images, 2) == 3 else None
    if side not in SIDES or images.shape[2] != side:
        raise ShapeError(
            f"alexnet: images are (N, 3, 224, 224) or (N, 3, 227, 227), '{images.name}' has {images.shape}"
        )
    published = form == "2012"
    weights = Normal(0.01)
    initializers = images.network.initializers
    with images.network.composing("alexnet", name) as final:
        h = images
        for number, layer in enumerate(_FORMS[form], 1):
            label = f"{final}.conv{number}"
            # 55 places of 11 pixels, 4 apart, take 227.
            padding = ((2, 1), (2, 1)) if number == 1 and side == 224 else layer.padding
            h = conv2d(
                h,
                layer.channels,
                layer.kernel,
                stride=layer.stride,
                padding=padding,
                groups=layer.groups,
                activation=relu,
                init=weights,
                name=label,
            )
            initializers[f"{label}.b"] = Constant(layer.first_bias)
            if layer.pooled and published and number < 3:
                h = local_response_norm(h, name=f"{final}.norm{number}")
            if layer.pooled:
                h = max_pool(h, 3, stride=2, name=f"{final}.pool{number}")
        h = reshape(h, (images.shape[0], 256 * 6 * 6), name=f"{final}.flat")
        for label in (f"{final}.fc6", f"{final}.fc7"):
            h = dense(h, 4096, relu, init=weights, name=label)
            initializers[f"{label}.b"] = Constant(float(published))
            h = dropout(h, drop, name=f"{label}.dropout")
        return dense(h, classes, init=weights, name=f"{final}.fc8")

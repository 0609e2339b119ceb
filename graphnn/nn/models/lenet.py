"""LeNet-5: the form of 1998, and the form that is common today.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of
the IEEE 86 (1998), section II.B.
"""

from __future__ import annotations

import sympy

from graphnn.declare.initializer import Glorot
from graphnn.declare.network import Tensor
from graphnn.declare.notation import Sum, indices, operands
from graphnn.declare.op import elementwise, op
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.layers.activation import Activation, activate
from graphnn.nn.layers.convolution import checked_channels, conv2d, finish
from graphnn.nn.layers.dense import dense
from graphnn.nn.models.glyphs import DIGITS
from graphnn.ops.elementwise import tanh
from graphnn.ops.indexing import concatenate
from graphnn.ops.indexing import slice as read_slice
from graphnn.ops.layout import reshape
from graphnn.ops.pooling import avg_pool

n, o, y, x, a, b, j, u, v = indices("n o y x a b j u v")
X, W, B = operands("x W b")

# Appendix A of the paper.
AMPLITUDE, SLOPE = sympy.Rational("1.7159"), sympy.Rational(2, 3)


def _squash(t: sympy.Expr) -> sympy.Expr:
    s = SLOPE * t
    return AMPLITUDE * (sympy.exp(s) - sympy.exp(-s)) / (sympy.exp(s) + sympy.exp(-s))


squash = elementwise("scaled_tanh", _squash, "float")

sub_sample = op(
    "sub_sample",
    (n, o, y, x),
    W[o] * Sum(X[n, o, 2 * y + u, 2 * x + v], u, v) + B[o],
    {y: X.shape[2] // 2, x: X.shape[3] // 2, u: 2, v: 2},
)

# Table I of the paper: which maps of S2 each map of C3 reads. It is cyclic: maps 0-5 read 3 neighbours from their own
# number on, 6-11 read 4, 12-14 two pairs of neighbours 3 apart, and 15 reads all. So each group is an affine access to
# S2 with its first maps repeated behind the last, map o + 3*a + b. The shapes are (maps, pairs, neighbours).
TABLE = ((6, 1, 3), (6, 1, 4), (3, 2, 2), (1, 1, 6))
REPEATED = 3
cyclic = op(
    "cyclic_correlate",
    (n, o, y, x),
    Sum(W[o, a, b, u, v] * X[n, o + 3 * a + b, y + u, x + v], a, b, u, v),
    {y: X.shape[2] - W.shape[3] + 1, x: X.shape[3] - W.shape[4] + 1},
)

rbf = op("minus_squared_distance", (n, o), -Sum((X[n, j] - W[o, j]) ** 2, j))


def lenet5(
    images: Tensor,
    form: str = "modern",
    output: str | None = None,
    activation: Activation | None = None,
    classes: int = 10,
    name: str = "lenet5",
) -> Tensor:
    """Logits of LeNet-5 for images (N, 1, 28, 28), or (N, 1, 32, 32) of the same digits within a wider border.

    form="modern": 61,706 parameters with 10 classes; tanh after each convolution and dense layer but the last.

    | layer | result | parameters |
    |---|---|---|
    | c1: 5 x 5, padded by 2 where the image has 28 x 28 | 6 x 28 x 28 | 156 |
    | s2: mean of 2 x 2 | 6 x 14 x 14 | |
    | c3: 5 x 5 | 16 x 10 x 10 | 2,416 |
    | s4: mean of 2 x 2 | 16 x 5 x 5 | |
    | c5 | 120 | 48,120 |
    | f6 | 84 | 10,164 |
    | output | 10 | 850 |

    form="1998": 60,000 trainable parameters; every layer to f6 is followed by 1.7159 tanh(2 x/3). s2 and s4 have a
    coefficient and a bias per map (12 and 32); c3 is connected to s2 by the paper's table I (1,516); the output is
    minus the squared distance of f6 from a fixed picture of each digit (+1 and -1 on 7 x 12 pixels, 840 fixed numbers),
    so that softmax_cross_entropy is the paper's equation 9 without its rubbish class.

    `output` is "rbf", that layer of pictures, or "dense"; what the form has unless given. So is `activation`.

    Raises ShapeError for other images, GraphError for another form or output, and for another number of classes than 10
    with output="rbf"; DTypeError where the images are no float. An error leaves the network as it was.
    """
    if form not in ("modern", "1998") or output not in ("rbf", "dense", None):
        raise GraphError(f"lenet5: form is 'modern' or '1998' and output 'rbf' or 'dense', not {form!r} and {output!r}")
    published = form == "1998"
    pictures = published if output is None else output == "rbf"
    if pictures and classes != len(DIGITS):
        raise GraphError(f"lenet5: the pictures of output='rbf' are of 10 digits, not of {classes!r:.40} classes")
    if checked_channels("lenet5", images, 2) != 1 or images.shape[2:] not in ((28, 28), (32, 32)):
        raise ShapeError(
            f"lenet5: images are (N, 1, 28, 28) or (N, 1, 32, 32), '{images.name}' has shape {images.shape}"
        )
    act = activation or (squash if published else tanh)
    with images.network.composing("lenet5", name) as final:
        padding = 2 if images.shape[2] == 28 else 0
        h = conv2d(images, 6, 5, padding=padding, activation=act, name=f"{final}.c1")
        h = _published(h, act, final) if published else _modern(h, act, final)
        h = dense(h, 84, act, name=f"{final}.f6")
        if not pictures:
            return dense(h, classes, name=f"{final}.output")
        codes = h.network.parameter(f"{final}.output.codes", (10, 84), init=DIGITS, dtype=h.dtype, trainable=False)
        return rbf(h, codes, name=f"{final}.output")


def _modern(h: Tensor, act: Activation, final: str) -> Tensor:
    """The layers from s2 to c5."""
    h = avg_pool(h, 2, name=f"{final}.s2")
    h = conv2d(h, 16, 5, activation=act, name=f"{final}.c3")
    h = reshape(avg_pool(h, 2, name=f"{final}.s4"), (h.shape[0], 400), name=f"{final}.flat")
    return dense(h, 120, act, name=f"{final}.c5")


def _published(h: Tensor, act: Activation, final: str) -> Tensor:
    """The layers from s2 to c5."""
    h = _sub_sampled(h, act, f"{final}.s2")
    h = _partly_connected(h, act, f"{final}.c3")
    h = _sub_sampled(h, act, f"{final}.s4")
    h = conv2d(h, 120, 5, activation=act, name=f"{final}.c5")
    return reshape(h, (h.shape[0], 120), name=f"{final}.flat")


def _sub_sampled(h: Tensor, act: Activation, name: str) -> Tensor:
    """A coefficient times the sum of 2 x 2, and a bias, for each map. The coefficients start as those of a mean."""
    network, maps = h.network, int(h.shape[1])
    coefficients = network.parameter(f"{name}.W", maps, init=0.25, dtype=h.dtype)
    biases = network.parameter(f"{name}.b", maps, dtype=h.dtype, role="bias")
    return activate("lenet5", act, sub_sample(h, coefficients, biases, name=f"{name}.z"), name)


def _partly_connected(h: Tensor, act: Activation, name: str) -> Tensor:
    first = read_slice(h, (slice(None), slice(REPEATED)), name=f"{name}.first")
    around = concatenate([h, first], axis=1, name=f"{name}.around")
    groups = []
    for number, (maps, pairs, neighbours) in enumerate(TABLE):
        shape = (maps, pairs, neighbours, 5, 5)
        weights = h.network.parameter(f"{name}.W{number}", shape, init=Glorot(), dtype=h.dtype)
        groups.append(cyclic(around, weights, name=f"{name}.{number}"))
    together = concatenate(groups, axis=1, name=f"{name}.xW")
    return finish("lenet5", together, 16, True, act, name)

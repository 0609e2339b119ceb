"""Definitions only: every op is one formula in index notation, or a composition of such.

elementwise.py   sigmoid to where: pointwise formulas, with broadcasting
activation.py    elu to hard_sigmoid
contraction.py   matmul
reduction.py     sum to argmax, and the softmax family
layout.py        reshape, transpose
indexing.py      slice, gather, one_hot, concatenate, stack
losses.py        quadratic to hinge
padding.py       pad
convolution.py   correlate, convolve
pooling.py       max_pool, avg_pool, and both over all spatial axes
resize.py        upsample
window.py        what slides: strides, dilations, padding
random.py        threefry; bernoulli, random_uniform, random_normal draw by it
arguments.py     what the functions above share: checks, names of axes

Importing this package fills the registry of `declare/`. Nothing here is a derivative and nothing runs.
"""

from graphnn.ops import (
    activation,
    contraction,
    convolution,
    elementwise,
    indexing,
    layout,
    losses,
    padding,
    pooling,
    random,
    reduction,
    resize,
)

__all__ = [
    "activation",
    "contraction",
    "convolution",
    "elementwise",
    "indexing",
    "layout",
    "losses",
    "padding",
    "pooling",
    "random",
    "reduction",
    "resize",
]

"""Random convolutional networks, as trained: large enough for what the schedule never does to small graphs.

Decoded from small integers as the graphs of graphs.py are. A network has a mean loss, gradients, and often updates by
an optimizer. Activations are smooth, or their arguments are away from the kinks, so that a difference is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import graphnn as gn
from tests.three_way.runner import Accuracy

BATCHES = (16, 32, 16, 17, 16, 48, 1, 16, 7, 32, 33, 16, 0, 16, 31, 64, 16, 2)
CHANNELS = (16, 32, 16, 17, 24, 32, 33, 48, 16, 3, 15)
EXTENTS = (8, 12, 9, 16, 14, 8, 7, 6, 17, 13, 5, 31)
WINDOWS = (*((3, 3),) * 6, (2, 2), (5, 5), (1, 1), (3, 1), (1, 5), (2, 3), (4, 4), (3, 5))
LARGEST, MOST_WORK = 60_000, 12_000_000  # elements of an image, multiply-adds of a layer
T = TypeVar("T")
Array = np.ndarray[Any, Any]
Layer = Callable[["Images", gn.Tensor], gn.Tensor | None]


@dataclass(frozen=True, slots=True)
class Training:
    """What to compute: outputs and updates from these values. `rows` is an output with a row for each example."""

    outputs: list[gn.Tensor]
    rows: gn.Tensor
    updates: dict[str, gn.Tensor]
    values: dict[str, Array]
    sizes: dict[str, int]
    accuracy: Accuracy
    training: bool
    ways: Iterator[int]

    @property
    def network(self) -> gn.Network:
        return self.rows.network


@dataclass(slots=True)
class Images:
    """A network under construction, with the values of its inputs."""

    codes: Iterator[int]
    dtype: str
    training: bool
    rng: np.random.Generator
    network: gn.Network = field(default_factory=lambda: gn.Network("images"))
    values: dict[str, Array] = field(default_factory=dict)
    layers: list[gn.Tensor] = field(default_factory=list)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first where the codes have run out."""
        return options[next(self.codes, 0) % len(options)]

    def shape(self, tensor: gn.Tensor) -> tuple[int, ...]:
        """The shape with the number of examples in it."""
        return tuple(len(self.values["x"]) if d == "N" else int(d) for d in tensor.shape)

    def value(self, tensor: gn.Tensor) -> Array:
        (value,) = gn.evaluate([tensor], self.values, training=self.training)
        return value

    def parameter(self, *shape: int) -> gn.Tensor:
        width = prod(shape[1:]) if len(shape) > 1 else 4
        name = self.network.fresh_name("p")
        return self.network.parameter(name, shape, dtype=self.dtype, init=gn.Normal(width**-0.5))


def decode_training(codes: Sequence[int]) -> Training:
    """The network of a list of integers."""
    stream = iter(codes)
    rng = np.random.default_rng(list(codes))
    first = next(stream, 0)
    g = Images(stream, ("float32", "float32", "float64")[first % 3], first % 2 == 0, rng)
    batch, symbolic = g.pick(BATCHES), g.pick((True, False))
    shape = (batch, g.pick(CHANNELS), g.pick(EXTENTS), g.pick(EXTENTS))
    while prod(shape) > LARGEST:
        shape = (*shape[:2], shape[2] // 2 + 1, shape[3] // 2 + 1)
    made = rng.integers(-4, 5, shape) / 4 if g.pick((False, True)) else rng.normal(size=shape)
    g.values["x"] = made.astype("float32").astype("float64")
    g.layers.append(g.network.input("x", ("N" if symbolic else batch, *shape[1:]), dtype=g.dtype))
    for number in range(g.pick((3, 2, 4, 5))):
        layer = g.pick(LAYERS if number else (*LAYERS, *(_plain,) * len(LAYERS)))(g, g.layers[-1])
        if layer is not None and prod(g.shape(layer)) <= LARGEST:
            g.layers.append(layer)
    rows = _head(g, g.layers[-1])
    loss = _loss(g, rows)
    reached = [t for t in g.network.ancestors([loss]) if t.kind == "parameter"]
    leaves = [*reached, *([g.network["x"]] if g.pick((True, False, False)) or not reached else [])]
    gradients = gn.gradients(loss, leaves, ties=g.pick(("first", "first", "split"))) if batch else []
    outputs = [loss, rows, *gradients]
    if gradients and g.pick((False, False, False, True)) and prod(shape) < 4000:
        squares = gn.sum(gn.square(g.pick(gradients)))
        outputs += gn.gradients(squares, leaves[:2])
    optimizer = g.pick((None, gn.Momentum(0.1), gn.Adam(0.01, eps=0.1), gn.SGD(0.1), gn.RMSProp(0.01, eps=0.1)))
    updates = optimizer.updates(reached, gradients[: len(reached)]) if optimizer and reached and batch else {}
    if updates and g.pick((True, False)):  # as a trainer's step: arrays of gradients are not kept
        outputs = outputs[:2]
    sizes = {"N": batch} if symbolic and g.pick((True, True, False)) else {}
    accuracy: Accuracy = g.pick(("fast", "fast", "fast", "tight"))
    return Training(outputs, rows, updates, g.values, sizes, accuracy, g.training, stream)


def _head(g: Images, x: gn.Tensor) -> gn.Tensor:
    """The images as they are, their means over the pixels, or a dense layer on flat ones."""
    kind = g.pick(("dense", "images", "means"))
    if kind == "images":
        return x
    if kind == "means":
        return gn.mean(x, axis=(2, 3))
    flat = gn.reshape(x, (x.shape[0], prod(g.shape(x)[1:])))
    units = g.pick((10, 16, 1, 33, 128))
    weights = gn.transpose(g.parameter(units, int(flat.shape[1])))
    return gn.matmul(flat, weights) + g.parameter(units)


def _loss(g: Images, rows: gn.Tensor) -> gn.Tensor:
    if rows.ndim == 2 and g.shape(rows)[1] > 1 and len(g.values["x"]) and g.pick((True, False)):
        labels = g.network.input("labels", rows.shape[:1], dtype="int64")
        g.values["labels"] = g.rng.integers(0, rows.shape[1], g.shape(rows)[0])
        return gn.softmax_cross_entropy(rows, labels, name="loss")
    return gn.sum(gn.square(rows) * (1 / max(1, prod(g.shape(rows)))), name="loss")


# Layers: each takes images to images, or gives None where it does not apply.


def _convolution(g: Images, x: gn.Tensor, stride: Any, dilation: Any) -> gn.Tensor | None:
    shape = g.shape(x)
    channels, filters, window = shape[1], g.pick((*CHANNELS, 1)), g.pick(WINDOWS)
    groups = g.pick((1, 1, 1, 1, 1, 1, 2, channels))
    if groups > 1:
        filters = groups * max(1, filters // groups)
    padding = g.pick(("same", "same", 0, 1, ((2, 1), (0, 1)), ((0, 3), (1, 0))))
    mode = g.pick((*("zero",) * 9, "reflect", "symmetric", "replicate"))
    if channels % groups or prod(shape) * filters // groups * prod(window) > MOST_WORK:
        return None
    op = g.pick((gn.correlate, gn.correlate, gn.convolve))
    kernel = g.parameter(filters, channels // groups, *window)
    try:
        y = op(x, kernel, stride, padding, mode, dilation, groups)
    except gn.ShapeError:  # the window does not fit
        return None
    return y + g.parameter(filters, 1, 1) if g.pick((True, False)) else y


def _plain(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    return _convolution(g, x, 1, 1)


def _spread(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    return _convolution(g, x, g.pick((2, 1, (1, 2), (2, 1), 3)), g.pick((1, 2, (1, 2), 3)))


def _transposed(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    shape = g.shape(x)
    filters, window = g.pick((2, 16, 1, 17)), g.pick(WINDOWS)
    if prod(shape) * filters * prod(window) > MOST_WORK or prod(shape) > 6000:
        return None
    kernel = g.parameter(shape[1], filters, *window)
    return gn.correlate_transpose(x, kernel, g.pick((2, 1, 3)), g.pick((0, "same")), 0, dilation=g.pick((1, 2)))


def _pooled(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    size, stride, around = g.pick((2, 3, (2, 1))), g.pick((None, 1, 2, 3)), g.pick((0, 0, (1, 0), (1, 1)))
    sizes = (size, size) if isinstance(size, int) else size
    before, after = (around, around) if isinstance(around, int) else around
    if around and (1 in sizes or not isinstance(size, int)):
        before = after = 0
    if any(n + before + after < k for n, k in zip(g.shape(x)[2:], sizes, strict=True)):
        return None
    if g.pick(("max", "max", "avg")) == "avg":
        return gn.avg_pool(x, size, stride, ((before, after),) * 2)
    if x is not g.layers[0] and not _distinct(np.pad(g.value(x), ((0, 0),) * 2 + ((before, after),) * 2), sizes):
        return None
    return gn.max_pool(x, size, stride, ((before, after),) * 2)


def _distinct(v: Array, sizes: tuple[int, ...]) -> bool:
    """Whether the two largest of each window are apart, or exactly 0 as those of relu are."""
    windows = sliding_window_view(v, sizes, (2, 3)).reshape(-1, prod(sizes))
    ordered = np.sort(windows, axis=1)[:, -2:]
    return bool(((np.diff(ordered) > 1e-4) | (ordered[:, 1:] == 0)).all())


def _relu(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    return gn.relu(x) if (np.abs(g.value(x)) > 1e-4).all() else gn.softplus(x)


def _normalised(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    v = g.value(x)
    if v.size == 0 or (g.training and v.var((0, 2, 3)).min() < 0.05):
        return None
    return gn.batch_norm(x, 1, eps=0.01)


def _joined(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    alike = [t for t in g.layers if g.shape(t)[2:] == g.shape(x)[2:]]
    y = g.pick(alike)
    return x + y * 0.5 if x.shape == y.shape and g.pick((True, False)) else gn.concatenate([x, y], axis=1)


def _dropped(g: Images, x: gn.Tensor) -> gn.Tensor | None:
    return gn.dropout(x, 0.5, shared=g.pick(((), (2, 3)))) if 0 not in g.shape(x) else None


LAYERS: tuple[Layer, ...] = (
    *(_plain,) * 8,
    *(_spread, _spread, _transposed, _pooled, _pooled, _pooled),
    *(_relu, _normalised, _joined, _dropped),
    *(lambda g, x: gn.tanh(x), lambda g, x: gn.sigmoid(x), lambda g, x: gn.softplus(x)),
)

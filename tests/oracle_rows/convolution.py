"""Oracle rows of padding, convolution, pooling and upsampling: numpy.pad, scipy.signal and scipy.ndimage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage, signal

from tests.oracle_rows.record import Array, Attributes, Case, Oracle, distinct, normal

NUMPY_MODES = {"zero": "constant", "replicate": "edge"}
Pairs = list[tuple[int, int]]


def each(value: Any, count: int) -> tuple[Any, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)


def pairs_of(padding: Any, extents: Sequence[int], sizes: Sequence[int], strides: Any, dilations: Any) -> Pairs:
    """(before, after) of each axis; "same" as TensorFlow defines it."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(extents, sizes, strides, dilations, strict=True)
        ]
        return [(t // 2, t - t // 2) for t in totals]
    return [(p, p) if isinstance(p, int) else tuple(p) for p in each(padding, len(sizes))]


# ---------------------------------------------------------------- padding


def pad(x: Array, padding: Any, mode: str = "zero", value: float = 0) -> Array:
    options = {"constant_values": value} if mode in ("zero", "constant") else {}
    return np.pad(x, padding, mode=NUMPY_MODES.get(mode, mode), **options)  # type: ignore[call-overload,no-any-return]


def pad_gradient(g: Array, x: Array, padding: Any, mode: str = "zero", value: float = 0) -> list[Array]:
    """Pads the elements' numbers likewise, which says where each element went."""
    sources = pad(np.arange(1, x.size + 1).reshape(x.shape), padding, mode, 0)
    return [np.bincount(sources.ravel(), g.ravel(), x.size + 1)[1:].reshape(x.shape)]


def pad_cases(rng: np.random.Generator) -> list[Case]:
    amounts: list[Any] = [1, ((1, 2), (0, 3)), ((0, 0), (2, 1))]
    modes: list[Attributes] = [{"mode": m} for m in ("zero", "reflect", "symmetric", "replicate", "edge")]
    modes.append({"mode": "constant", "value": 1.5})
    return [((normal(rng, 3, 4),), {"padding": p, **m}) for p, m in itertools.product(amounts, modes)]


# ---------------------------------------------------------------- correlation


def spread(x: Array, steps: Sequence[int]) -> Array:
    """The last axes with steps - 1 zeros between elements."""
    lead = x.ndim - len(steps)
    out = np.zeros((*x.shape[:lead], *(s * (n - 1) + 1 for s, n in zip(steps, x.shape[lead:], strict=True))))
    out[(..., *(slice(None, None, s) for s in steps))] = x
    return out


class Correlation:
    """One call, brought to the form x (batch, in, *spatial), W (out, in/groups, *window), nothing padded."""

    def __init__(self, x: Array, W: Array, flip: bool, attributes: Attributes) -> None:
        self.plain = W.ndim <= 2
        self.groups = attributes.get("groups", 1)
        self.count = W.ndim if self.plain else W.ndim - 2
        self.strides = each(attributes.get("stride", 1), self.count)
        self.dilations = each(attributes.get("dilation", 1), self.count)
        spatial, window = x.shape[x.ndim - self.count :], W.shape[W.ndim - self.count :]
        pairs = pairs_of(attributes.get("padding", 0), spatial, window, self.strides, self.dilations)
        self.around: Pairs = [(0, 0)] * (x.ndim - self.count) + pairs
        self.mode = attributes.get("padding_mode", "zero")
        padded = pad(x, self.around, self.mode)
        self.lead = x.shape[: x.ndim - self.count - (not self.plain)]
        self.x = padded.reshape(-1, 1 if self.plain else x.shape[-self.count - 1], *padded.shape[-self.count :])
        self.flip = (..., *((slice(None, None, -1),) * self.count)) if flip else ...
        self.W = spread((W[None, None] if self.plain else W)[self.flip], self.dilations)
        self.out, self.depth = self.W.shape[:2]

    def channels(self) -> list[tuple[int, int, int]]:
        """(output channel, channel of W, input channel) of each pair that is connected."""
        per = self.out // self.groups
        return [(o, c, self.depth * (o // per) + c) for o in range(self.out) for c in range(self.depth)]

    def value(self) -> Array:
        places = tuple(slice(None, None, s) for s in self.strides)
        sample = signal.correlate(self.x[0, 0], self.W[0, 0], "valid", "direct")[places]
        out = np.zeros((len(self.x), self.out, *sample.shape))
        for n, (o, w, c) in itertools.product(range(len(self.x)), self.channels()):
            out[n, o] += signal.correlate(self.x[n, c], self.W[o, w], "valid", "direct")[places]
        return out.reshape(*self.lead, *(() if self.plain else (self.out,)), *sample.shape)

    def gradient(self, g: Array, x: Array, W: Array) -> list[Array]:
        """With g on the places of stride 1: dx is its full convolution with W, dW the correlation of x with it."""
        room = [n - k + 1 for n, k in zip(self.x.shape[2:], self.W.shape[2:], strict=True)]
        fine = np.zeros((len(self.x), self.out, *room))
        coarse = spread(g.reshape(len(self.x), self.out, *g.shape[g.ndim - self.count :]), self.strides)
        fine[(..., *(slice(0, n) for n in coarse.shape[2:]))] = coarse
        dx, dW = np.zeros_like(self.x), np.zeros_like(self.W)
        for n, (o, w, c) in itertools.product(range(len(self.x)), self.channels()):
            dx[n, c] += signal.convolve(fine[n, o], self.W[o, w], "full", "direct")
            dW[o, w] += signal.correlate(self.x[n, c], fine[n, o], "valid", "direct")
        whole = [n + a + b for n, (a, b) in zip(x.shape, self.around, strict=True)]
        (unpadded,) = pad_gradient(dx.reshape(whole), x, self.around, self.mode)
        taps = dW[(..., *(slice(None, None, d) for d in self.dilations))][self.flip]
        return [unpadded, taps.reshape(W.shape)]


CORRELATIONS: list[tuple[tuple[int, ...], tuple[int, ...], Attributes]] = [
    ((9,), (3,), {}),
    ((2, 9), (3,), {"padding": 2, "stride": 2}),
    ((6, 7), (3, 2), {"padding": ((1, 0), (0, 2))}),
    ((2, 6, 7), (2, 3), {"padding": "same", "padding_mode": "symmetric"}),
    ((2, 2, 8), (3, 2, 3), {"stride": 2, "dilation": 2, "padding": 1}),
    ((1, 2, 5, 6), (3, 2, 3, 2), {}),
    ((2, 5, 6), (3, 2, 3, 2), {"padding": 1}),
    ((2, 2, 7, 6), (2, 2, 3, 2), {"stride": (2, 3), "dilation": (2, 2), "padding": ((1, 2), (2, 0))}),
    ((1, 4, 5, 4), (6, 2, 3, 3), {"groups": 2, "padding": 1, "stride": 2}),
    ((2, 3, 5, 4), (3, 1, 2, 3), {"groups": 3, "padding": "same", "stride": 2, "dilation": (1, 2)}),
    ((1, 2, 5, 6), (2, 2, 3, 3), {"padding": 2, "padding_mode": "reflect", "stride": 2}),
    ((1, 2, 4, 3), (2, 2, 3, 3), {"padding": ((3, 0), (1, 2)), "padding_mode": "replicate", "dilation": 2}),
    ((1, 2, 4, 3, 5), (2, 2, 2, 2, 3), {"padding": 1, "stride": (1, 2, 2)}),
]


def correlation_row(name: str, flip: bool) -> Oracle:
    return Oracle(
        name,
        lambda rng: [((normal(rng, *x), normal(rng, *w)), attributes) for x, w, attributes in CORRELATIONS],
        lambda x, W, **attributes: Correlation(x, W, flip, attributes).value(),
        lambda g, x, W, **attributes: Correlation(x, W, flip, attributes).gradient(g, x, W),
    )


# ---------------------------------------------------------------- pooling


def windows(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> tuple[Array, Array]:
    """(values, flat positions in x) of shape (N, C, *places, elements); -inf and -1 in the padding."""
    count = x.ndim - 2
    sizes = each(size, count)
    strides = each(sizes if stride is None else stride, count)
    around = [(0, 0), (0, 0), *pairs_of(padding, x.shape[2:], sizes, strides, (1,) * count)]
    found = []
    for source, outside in ((x, -np.inf), (np.arange(x.size).reshape(x.shape), -1)):
        padded = np.pad(source, around, constant_values=outside)
        view = np.lib.stride_tricks.sliding_window_view(padded, sizes, axis=tuple(range(2, x.ndim)))
        view = view[(..., *(slice(None, None, s) for s in strides), *((slice(None),) * count))]
        found.append(view.reshape(*view.shape[: 2 + count], -1))
    return found[0], found[1]


def gather_back(g: Array, x: Array, positions: Array, weights: Array) -> list[Array]:
    inside = positions >= 0
    return [np.bincount(positions[inside], (g[..., None] * weights)[inside], x.size).reshape(x.shape)]


def max_pool_gradient(g: Array, x: Array, **attributes: Any) -> list[Array]:
    values, positions = windows(x, **attributes)
    return gather_back(g, x, positions, np.eye(values.shape[-1])[np.argmax(values, axis=-1)])


def average_weights(positions: Array, include_padding: bool) -> Array:
    count = positions.shape[-1] if include_padding else (positions >= 0).sum(axis=-1, keepdims=True)
    return np.broadcast_to(1 / count, positions.shape)


def avg_pool(x: Array, include_padding: bool = False, **attributes: Any) -> Array:
    values, positions = windows(x, **attributes)
    inside = np.where(positions >= 0, values, 0)
    return np.asarray((inside * average_weights(positions, include_padding)).sum(axis=-1))


def avg_pool_gradient(g: Array, x: Array, include_padding: bool = False, **attributes: Any) -> list[Array]:
    positions = windows(x, **attributes)[1]
    return gather_back(g, x, positions, average_weights(positions, include_padding))


def gap(x: Array, **attributes: Any) -> Array:
    """How far the largest element of each window is above the next."""
    values = np.sort(windows(x, **attributes)[0], axis=-1)
    return np.asarray(values[..., -1] - values[..., -2])


POOLS: list[tuple[tuple[int, ...], Attributes]] = [
    ((2, 2, 4, 6), {"size": 2}),
    ((2, 2, 5, 6), {"size": 3, "stride": 2}),
    ((1, 2, 5, 6), {"size": (2, 3), "stride": 1, "padding": 1}),
    ((1, 2, 7, 5), {"size": 3, "stride": (2, 3), "padding": ((0, 1), (2, 2))}),
    ((1, 2, 5, 4), {"size": 3, "stride": 2, "padding": "same"}),
    ((2, 3, 9), {"size": 2, "stride": 3}),
    ((1, 2, 3, 4, 5), {"size": 2, "stride": 2, "padding": "same"}),
]


def spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def over_all(x: Array) -> Attributes:
    return {"size": x.shape[2:]}


# ---------------------------------------------------------------- upsampling


def interpolation(extent: int, factor: int, mode: str) -> Array:
    """The matrix (factor*extent, extent) of one axis: what scipy makes of each unit vector at the new centres."""
    centres = (np.arange(factor * extent) + 0.5) / factor - 0.5
    order = {"nearest": 0, "bilinear": 1}[mode]
    if order == 0:
        centres = np.floor(centres + 0.5)  # the pixel that a centre lies in
    rows = [ndimage.map_coordinates(unit, [centres], order=order, mode="nearest") for unit in np.eye(extent)]
    return np.stack(rows, axis=1)


def resized(x: Array, factor: Any, mode: str, transposed: bool, extents: Sequence[int]) -> Array:
    for axis, (f, extent) in enumerate(zip(each(factor, x.ndim - 2), extents, strict=True), 2):
        matrix = interpolation(extent, f, mode)
        x = np.moveaxis(np.tensordot(matrix.T if transposed else matrix, x, (1, axis)), 0, axis)
    return x


UPSAMPLES: list[tuple[tuple[int, ...], Attributes]] = [
    (shape, {"factor": factor, "mode": mode})
    for mode in ("nearest", "bilinear")
    for shape, factor in (((2, 2, 3, 4), 2), ((1, 2, 4, 3), (3, 1)), ((2, 1, 5), 4), ((1, 1, 1, 3), (2, 5)))
]

CONVOLUTIONS = [
    Oracle("pad", pad_cases, pad, pad_gradient),
    correlation_row("correlate", flip=False),
    correlation_row("convolve", flip=True),
    Oracle(
        "max_pool",
        lambda rng: [((distinct(rng, *shape),), attributes) for shape, attributes in POOLS],
        lambda x, **attributes: np.max(windows(x, **attributes)[0], axis=-1),
        max_pool_gradient,
        kinks=gap,
    ),
    Oracle(
        "avg_pool",
        lambda rng: [
            ((normal(rng, *shape),), {**attributes, **more})
            for shape, attributes in POOLS
            for more in ({}, {"include_padding": True})
        ],
        avg_pool,
        avg_pool_gradient,
    ),
    Oracle(
        "global_max_pool",
        lambda rng: [((distinct(rng, *shape),), {}) for shape in ((2, 3, 4, 2), (2, 2, 5), (1, 2, 2, 3, 2))],
        lambda x: x.max(axis=spatial(x)),
        lambda g, x: max_pool_gradient(g.reshape(*g.shape, *((1,) * (x.ndim - 2))), x, **over_all(x)),
        kinks=lambda x: gap(x, **over_all(x)),
    ),
    Oracle(
        "global_avg_pool",
        lambda rng: [((normal(rng, *shape),), {}) for shape in ((2, 3, 4, 2), (2, 2, 5), (1, 2, 2, 3, 2))],
        lambda x: x.mean(axis=spatial(x)),
        lambda g, x: [np.broadcast_to(np.expand_dims(g, spatial(x)), x.shape) / np.prod(x.shape[2:])],
    ),
    Oracle(
        "upsample",
        lambda rng: [((normal(rng, *shape),), attributes) for shape, attributes in UPSAMPLES],
        lambda x, factor, mode: resized(x, factor, mode, False, x.shape[2:]),
        lambda g, x, factor, mode: [resized(g, factor, mode, True, x.shape[2:])],
    ),
]

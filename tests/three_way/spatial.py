"""Steps of random graphs with windows: strides, dilations, groups and paddings that need not divide anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import graphnn as gn

if TYPE_CHECKING:
    from tests.three_way.graphs import Graph, Step


def _as_image(x: gn.Tensor) -> gn.Tensor | None:
    """A tensor as (N, C, *spatial)."""
    if x.ndim == 3:
        return x
    return gn.reshape(x, (1, 1, *x.shape)) if x.ndim in (1, 2) else None


def _amounts(g: Graph, count: int) -> tuple[tuple[int, int], ...]:
    return tuple((g.pick((0, 1, 2)), g.pick((0, 1, 3))) for _ in range(count))


def pad(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    amounts, mode = _amounts(g, x.ndim), g.pick(("reflect", "symmetric", "replicate", "zero"))
    least = {"reflect": 1, "symmetric": 0, "replicate": -2}.get(mode, -4)
    whole = all(isinstance(d, int) and d > max(least + max(p), 0) for d, p in zip(x.shape, amounts, strict=True))
    if x.ndim == 0 or (mode != "zero" and not whole):
        return None
    return gn.pad(x, amounts, mode)


def correlate(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    """With a kernel of its own; strides, dilations, groups, paddings and windows that need not divide anything."""
    image = _as_image(x) if g.pick((True, True, False)) else x
    if image is None or image.ndim == 0 or g.value(x).size > 600:
        return None
    channels = image is not x or (x.ndim == 3 and isinstance(x.shape[1], int))
    count = image.ndim - 2 if channels else g.pick(range(1, min(image.ndim, 2) + 1))
    extents = (1, 1, *g.value(x).shape)[-count:]
    window = tuple(g.pick((2, 3, 1)) for _ in range(count))
    strides, dilations = (tuple(g.pick((1, 2, 3)) for _ in range(count)) for _ in range(2))
    amounts, mode = _amounts(g, count), g.pick(("zero", "reflect", "symmetric", "replicate"))
    covered = [d * (k - 1) + 1 for d, k in zip(dilations, window, strict=True)]
    if any(n + sum(p) < c for n, p, c in zip(extents, amounts, covered, strict=True)):
        return None
    shape: tuple[int, ...] = window
    groups = 1
    if channels:
        inputs = int(image.shape[1])
        groups = g.pick([k for k in (1, 2, 3, inputs) if k and inputs % k == 0])
        shape = (groups * g.pick((2, 1)), inputs // groups, *window)
    name = f"W{len(g.values)}"
    kernel = g.network.input(name, shape, dtype=g.dtype)
    g.values[name] = g.known[name] = np.round(np.random.default_rng(len(g.values)).uniform(-1, 1, shape), 2)
    g.values[name] = g.known[name] = g.known[name].astype(np.float32).astype(np.float64)
    try:
        return g.pick((gn.correlate, gn.convolve))(image, kernel, strides, amounts, mode, dilations, groups)
    except gn.ShapeError:  # nothing to mirror, or a symbolic extent
        return None


def correlate_transpose(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    image = _as_image(x)
    if image is None or not isinstance(image.shape[1], int) or not 0 < g.value(x).size <= 200:
        return None
    count, inputs = image.ndim - 2, image.shape[1]
    groups = g.pick([k for k in (1, 2, inputs) if inputs % k == 0])
    shape = (inputs, g.pick((1, 2)), *(g.pick((2, 3, 4)) for _ in range(count)))
    name = f"W{len(g.values)}"
    kernel = g.network.input(name, shape, dtype=g.dtype)
    g.values[name] = g.known[name] = np.random.default_rng(len(g.values)).integers(-4, 5, shape) / 4
    stride = g.pick((1, 2, 3))
    return gn.correlate_transpose(image, kernel, stride, g.pick((0, "same")), 0, dilation=g.pick((1, 2)), groups=groups)


def pool(name: str) -> Step:
    def step(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
        image = _as_image(x)
        if image is None or 0 in g.value(x).shape or (name == "max_pool" and not g.distinct(g.value(x))):
            return None
        size, stride, before, after = g.pick((2, 3)), g.pick((2, 1, 3)), g.pick((0, 1)), g.pick((0, 1))
        spatial = (1, 1, *g.value(x).shape)[2 - image.ndim :]
        if any(n + before + after < size for n in spatial):
            return None
        return getattr(gn, name)(image, size, stride, ((before, after),) * (image.ndim - 2))

    return step


def upsample(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    image = _as_image(x)
    if image is None or g.value(x).size > 300:
        return None
    return gn.upsample(image, g.pick((2, 3)), g.pick(("bilinear", "nearest")))

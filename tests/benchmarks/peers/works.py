"""The works as data: every library builds the same network from it. No import beyond NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

RATE = 0.1
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Layer:
    """`kind` is dense, conv, max or avg (pooling 2 x 2); `units` are its outputs; a convolution has the other two."""

    kind: str
    units: int = 0
    window: int = 0
    padding: int = 0


@dataclass(frozen=True)
class Work:
    """A network of layers with one activation after each dense and conv but the last, softmax cross-entropy, SGD."""

    batch: int
    shape: tuple[int, ...]
    activation: str
    layers: tuple[Layer, ...]

    @property
    def classes(self) -> int:
        return self.layers[-1].units

    def data(self) -> tuple[Array, Array]:
        """Random images and labels; never zeros, which some hardware multiplies faster."""
        generator = np.random.default_rng(0)
        x = generator.normal(size=(self.batch, *self.shape)).astype(np.float32)
        return x, generator.integers(0, self.classes, self.batch)

    def weights(self) -> list[tuple[Array, Array]]:
        """First weights and biases: dense (inputs, units), conv (units, channels, window, window)."""
        generator = np.random.default_rng(1)
        found = []
        extents = list(self.shape)
        for layer in self.layers:
            if layer.kind == "conv":
                shape: tuple[int, ...] = (layer.units, extents[0], layer.window, layer.window)
                fan = int(np.prod(shape[1:]))
                grown = 2 * layer.padding - layer.window + 1
                extents = [layer.units, extents[1] + grown, extents[2] + grown]
            elif layer.kind == "dense":
                fan = int(np.prod(extents))
                shape, extents = (fan, layer.units), [layer.units]
            else:
                extents = [extents[0], extents[1] // 2, extents[2] // 2]
                continue
            scale = np.sqrt(1 / fan)
            found.append((generator.normal(0, scale, shape).astype(np.float32), np.zeros(layer.units, np.float32)))
        return found

    @property
    def flops(self) -> int:
        """Multiply-adds count twice: forward, weight gradients, and input gradients of all layers but the first."""
        total, first = 0, True
        extents = list(self.shape)
        for layer in self.layers:
            if layer.kind in ("max", "avg"):
                extents = [extents[0], extents[1] // 2, extents[2] // 2]
                continue
            if layer.kind == "conv":
                grown = 2 * layer.padding - layer.window + 1
                products = layer.units * extents[0] * layer.window**2 * (extents[1] + grown) * (extents[2] + grown)
                extents = [layer.units, extents[1] + grown, extents[2] + grown]
            else:
                products = int(np.prod(extents)) * layer.units
                extents = [layer.units]
            total += 2 * self.batch * products * (2 if first else 3)
            first = False
        return total


def dense(*units: int) -> tuple[Layer, ...]:
    return tuple(Layer("dense", n) for n in units)


def conv(units: int, window: int, padding: int) -> Layer:
    return Layer("conv", units, window, padding)


AVERAGE, LARGEST = Layer("avg"), Layer("max")
WORKS = {
    "mlp64": Work(64, (784,), "sigmoid", dense(128, 64, 10)),
    "mlp512": Work(512, (784,), "sigmoid", dense(512, 256, 10)),
    "lenet64": Work(64, (1, 28, 28), "tanh", (conv(6, 5, 2), AVERAGE, conv(16, 5, 0), AVERAGE, *dense(120, 84, 10))),
    "vgg64": Work(
        64,
        (3, 32, 32),
        "relu",
        (conv(32, 3, 1), conv(32, 3, 1), LARGEST, conv(64, 3, 1), conv(64, 3, 1), LARGEST, *dense(128, 10)),
    ),
}

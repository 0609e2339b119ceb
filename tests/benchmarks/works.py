"""The works as data: every library builds the same network from it. No import beyond NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

RATE = 0.1
ROWS = 64  # columns of a row of softmax
Array = np.ndarray[Any, Any]
Kind = Literal["step", "epoch", "inference", "chain"]


@dataclass(frozen=True)
class Layer:
    """`kind` is dense, conv, max or avg; `units` are its outputs; convolutions and pooling have the other three."""

    kind: str
    units: int = 0
    window: int = 0
    stride: int = 1
    padding: int = 0

    def output(self, extents: tuple[int, ...]) -> tuple[int, ...]:
        """Channels and sides after this layer; (units,) after a dense one."""
        if self.kind == "dense":
            return (self.units,)
        sides = ((side + 2 * self.padding - self.window) // self.stride + 1 for side in extents[1:])
        return (self.units or extents[0], *sides)

    @property
    def has_weights(self) -> bool:
        return self.kind in ("dense", "conv")


@dataclass(frozen=True)
class Net:
    """A network of layers, with one activation after each dense and conv layer.

    With the cross-entropy of a softmax the last layer has no activation; with the quadratic loss it has. An "epoch" is
    a loop of `steps` SGD steps over as many batches, one call in all; its times are those of one step.
    """

    kind: Kind
    batch: int
    shape: tuple[int, ...]
    activation: str
    layers: tuple[Layer, ...]
    quadratic: bool = False
    steps: int = 1
    rate: float = RATE

    @property
    def classes(self) -> int:
        return self.layers[-1].units

    def data(self) -> tuple[Array, Array]:
        """Random images and labels, or targets; never zeros, which some hardware multiplies faster."""
        generator = np.random.default_rng(0)
        rows = self.batch * self.steps
        x = generator.normal(size=(rows, *self.shape)).astype(np.float32)
        if self.quadratic:
            return x, generator.random((rows, self.classes), np.float32)
        return x, generator.integers(0, self.classes, rows)

    def extents(self) -> Iterator[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
        """(layer, extents of its input, extents of its output)."""
        before = self.shape
        for layer in self.layers:
            after = layer.output(before)
            yield layer, before, after
            before = after

    def weights(self) -> list[tuple[Array, Array]]:
        """First weights and biases: dense (inputs, units), conv (units, channels, window, window)."""
        generator = np.random.default_rng(1)
        found = []
        for layer, before, _ in self.extents():
            if not layer.has_weights:
                continue
            convolves = layer.kind == "conv"
            fan = before[0] * layer.window**2 if convolves else prod(before)
            weight = generator.standard_normal((layer.units, fan), np.float32) * np.float32(fan**-0.5)
            bias = 0.1 * generator.standard_normal(layer.units, np.float32)
            shape = (layer.units, before[0], layer.window, layer.window)
            found.append((weight.reshape(shape) if convolves else np.ascontiguousarray(weight.T), bias))
        return found

    @property
    def flops(self) -> int:
        """Multiply-adds count twice; a step has those of the weights' and of all but the first inputs' gradients."""
        total, first = 0, True
        for layer, before, after in self.extents():
            if layer.has_weights:
                terms = before[0] * layer.window**2 if layer.kind == "conv" else prod(before)
                times = 1 if self.kind == "inference" else 2 if first else 3
                total += 2 * self.batch * terms * prod(after) * times
                first = False
        return total


@dataclass(frozen=True)
class Chain:
    """An elementwise formula on `elements` floats, or softmax of rows of 64 columns, or one update of Adam.

    `traffic` is how many floats an element reads and writes.
    """

    formula: Literal["sigmoid", "gelu", "softmax", "adam"]
    elements: int
    traffic: int = 2
    kind: Kind = "chain"
    steps: int = 1

    def data(self) -> tuple[Array, ...]:
        """x; for Adam weight, gradient, and first moments m and v of earlier steps."""
        generator = np.random.default_rng(0)
        shape = (self.elements // ROWS, ROWS)
        x = generator.standard_normal(shape, np.float32)
        if self.formula != "adam":
            return (x,)
        g, m = (generator.standard_normal(shape, np.float32) for _ in range(2))
        return x, g, m, m * m + np.float32(0.1)

    @property
    def flops(self) -> int:
        return 0


Work = Net | Chain
ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def dense(*units: int) -> tuple[Layer, ...]:
    return tuple(Layer("dense", n) for n in units)


def conv(units: int, window: int, padding: int, stride: int = 1) -> Layer:
    return Layer("conv", units, window, stride, padding)


AVERAGE, LARGEST, OVERLAPPING = Layer("avg", 0, 2, 2), Layer("max", 0, 2, 2), Layer("max", 0, 3, 2)
LENET = (1, 28, 28), "tanh", (conv(6, 5, 2), AVERAGE, conv(16, 5, 0), AVERAGE, *dense(120, 84, 10))
VGG = (
    (3, 32, 32),
    "relu",
    (conv(32, 3, 1), conv(32, 3, 1), LARGEST, conv(64, 3, 1), conv(64, 3, 1), LARGEST, *dense(128, 10)),
)
# fmt: off
ALEXNET = (
    (3, 224, 224), "relu",
    (conv(64, 11, 2, 4), OVERLAPPING, conv(192, 5, 2), OVERLAPPING, conv(384, 3, 1), conv(256, 3, 1), conv(256, 3, 1),
     OVERLAPPING, *dense(4096, 4096, 1000)),
)
# fmt: on
CACHED, LARGE = 4096, 16 * 2**20
WORKS: dict[str, Work] = {
    "tiny": Net("step", 1, (2,), "sigmoid", dense(2, 2), quadratic=True),
    "tiny epoch": Net("epoch", 1, (2,), "sigmoid", dense(2, 2), quadratic=True, steps=5000),
    "mlp64": Net("step", 64, (784,), "sigmoid", dense(128, 64, 10)),
    "mlp512": Net("step", 512, (784,), "sigmoid", dense(512, 256, 10)),
    "lenet64": Net("step", 64, *LENET),
    "lenet64 inference": Net("inference", 64, *LENET),
    "vgg64": Net("step", 64, *VGG),
    "vgg64 inference": Net("inference", 64, *VGG),
    "alexnet1 inference": Net("inference", 1, *ALEXNET),
    "alexnet16": Net("step", 16, *ALEXNET, rate=0.01),
    **{
        f"{formula} {size}": Chain(formula, elements, traffic)
        for size, elements in (("4k", CACHED), ("16M", LARGE))
        for formula, traffic in (("sigmoid", 2), ("gelu", 2), ("adam", 7), ("softmax", 2))
    },
}
STEPS = [name for name, work in WORKS.items() if work.kind == "step"]

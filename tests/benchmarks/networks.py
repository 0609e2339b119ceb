"""The benchmarked works: sigmoid networks with an SGD step, in graphnn and in NumPy.

tiny    2-2-2, sigmoid throughout, quadratic loss, batch 1
mlp64   784-128-64-10, softmax cross-entropy over logits, batch 64
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import graphnn as gn

RATE = 0.1
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Work:
    name: str
    widths: tuple[int, ...]
    batch: int
    loss: Literal["quadratic", "softmax_cross_entropy"]

    def declare(self) -> gn.Tensor:
        """The loss of a new network with the inputs x and y."""
        net = gn.Network(self.name)
        h = net.input("x", ("N", self.widths[0]))
        integer = self.loss == "softmax_cross_entropy"
        y = net.input("y", ("N",), dtype="int64") if integer else net.input("y", ("N", self.widths[-1]))
        for k, width in enumerate(self.widths[1:]):
            last = integer and k == len(self.widths) - 2
            h = gn.dense(h, width, activation=None if last else gn.sigmoid, name=f"layer{k}")
        loss: gn.Tensor = getattr(gn, self.loss)(h, y)
        loss.network.initialize(seed=0)
        return loss

    def data(self) -> dict[str, Array]:
        """A batch of random inputs and targets; never zeros, which some hardware multiplies faster."""
        generator = np.random.default_rng(0)
        x = generator.normal(size=(self.batch, self.widths[0])).astype(np.float32)
        if self.loss == "softmax_cross_entropy":
            return {"x": x, "y": generator.integers(0, self.widths[-1], self.batch)}
        return {"x": x, "y": generator.random((self.batch, self.widths[-1]), np.float32)}

    @property
    def flops(self) -> int:
        """Multiply-adds count twice: forward, the weights' gradients, and the deltas of all layers but the first."""
        products = [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])


TINY = Work("tiny", (2, 2, 2), 1, "quadratic")
MLP64 = Work("mlp64", (784, 128, 64, 10), 64, "softmax_cross_entropy")
CLASSIC = Work("classic", (784, 30, 10), 10, "quadratic")
WORKS = {work.name: work for work in (TINY, CLASSIC, MLP64)}


def trainer(loss: gn.Tensor, work: Work) -> gn.Trainer:
    return gn.Trainer(loss, optimizer=gn.SGD(RATE), batch_size=work.batch)


def numpy_step(work: Work, state: dict[str, Array], x: Array, y: Array) -> Callable[[], float]:
    """The same step written out: three dozen calls of NumPy, large temporaries reused, nothing computed twice.

    It updates the arrays of `state` in place and returns the loss before that.
    """
    layers = range(len(work.widths) - 1)
    weights = [state[f"layer{k}.W"] for k in layers]
    biases = [state[f"layer{k}.b"] for k in layers]
    gradients = [np.empty_like(w) for w in weights]
    rows, n, rate = np.arange(len(x)), np.float32(len(x)), np.float32(RATE)

    def sigmoid(z: Array) -> Array:
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        return np.reciprocal(z, out=z)

    def cross_entropy(z: Array) -> tuple[float, Array]:
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).sum() / n
        p[rows, y] -= 1
        p /= n
        return loss, p

    def quadratic(a: Array) -> tuple[float, Array]:
        error = a - y
        loss = (error * error).sum() / (2 * n)
        error /= n
        return loss, error * a * (1 - a)

    def step() -> float:
        outputs = [x]
        for k in layers:
            z = outputs[-1] @ weights[k]
            z += biases[k]
            outputs.append(z if k == layers[-1] and work.loss == "softmax_cross_entropy" else sigmoid(z))
        loss, delta = cross_entropy(outputs[-1]) if work.loss == "softmax_cross_entropy" else quadratic(outputs[-1])
        for k in reversed(layers):
            before = outputs[k]
            np.matmul(before.T, delta, out=gradients[k])
            gradients[k] *= rate
            bias = delta.sum(axis=0)
            bias *= rate
            if k:
                delta = delta @ weights[k].T
                delta *= before
                delta *= 1 - before
            weights[k] -= gradients[k]
            biases[k] -= bias
        return float(loss)

    return step

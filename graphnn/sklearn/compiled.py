"""Compiled networks that estimators borrow: compiling takes longer than most of their fits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from graphnn.declare.network import Network, Tensor
from graphnn.declare.registry import OPS
from graphnn.nn.models.mlp import mlp
from graphnn.nn.optimizers import rules
from graphnn.nn.optimizers.rule import Optimizer, Rule
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.losses import quadratic, softmax_cross_entropy
from graphnn.ops.reduction import softmax
from graphnn.pipeline import compile
from graphnn.run.executable import Executable
from graphnn.simplify.expr import DType

OPTIMIZERS: dict[str, Rule] = {
    "sgd": rules.SGD,
    "momentum": rules.Momentum,
    "nesterov": rules.Nesterov,
    "adagrad": rules.Adagrad,
    "rmsprop": rules.RMSProp,
    "adam": rules.Adam,
}
KEPT = 16  # compiled networks for later fits: some 100 kB each


@dataclass(frozen=True)
class Design:
    """All that decides what is compiled."""

    features: int
    outputs: int
    hidden: tuple[int, ...]
    activation: str | Callable[[Tensor], Tensor]
    optimizer: str | Optimizer
    learning_rate: float
    alpha: float
    batch_size: int
    dtype: DType
    classifier: bool
    weighted: bool


class Model:
    """A compiled network: trains, and gives what it predicts."""

    def __init__(self, design: Design) -> None:
        net = Network("mlp")
        x = net.input("x", ("N", design.features), dtype=design.dtype)
        activation = design.activation
        if isinstance(activation, str):
            activation = OPS[activation]
        raw = mlp(x, design.hidden, design.outputs, activation)
        if design.classifier:
            y = net.input("y", ("N",), dtype="int64")
            weights = net.input("weights", ("N",), dtype=design.dtype) if design.weighted else None
            loss, predicted = softmax_cross_entropy(raw, y, weights), softmax(raw)
        else:
            loss, predicted = quadratic(raw, net.input("y", ("N", design.outputs), dtype=design.dtype)), raw
        optimizer = design.optimizer
        if isinstance(optimizer, str):
            optimizer = OPTIMIZERS[optimizer](design.learning_rate)
        self.network = net
        self.trainer = Trainer(loss, optimizer, design.batch_size, weight_decay=design.alpha)
        self.predict: Executable = compile(predicted)

    def start(self, seed: int) -> None:
        """First values, slots and order of rows as of a network that was never trained."""
        self.network.initialize(seed)
        self.trainer.generator = np.random.default_rng(seed)


class Pool:
    """Compiled networks that nobody uses, by design; the oldest ones go first."""

    def __init__(self) -> None:
        self._free: list[tuple[Design, Model]] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, design: Design) -> Iterator[Model]:
        """A model of the design for one caller alone."""
        with self._lock:
            number = next((n for n, (known, _) in enumerate(self._free) if known == design), None)
            model = None if number is None else self._free.pop(number)[1]
        model = Model(design) if model is None else model
        yield model  # after an error it is not used again
        with self._lock:
            self._free = [*self._free, (design, model)][-KEPT:]


POOL = Pool()

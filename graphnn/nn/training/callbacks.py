"""Callbacks of `fit`: called at the end of each epoch as callback(trainer, history); True stops the training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError

if TYPE_CHECKING:
    from graphnn.nn.training.history import History
    from graphnn.nn.training.trainer import Trainer


@dataclass(slots=True)
class EarlyStopping:
    """Stops when `monitor` has not improved for `patience` epochs, and puts the best epoch's parameters back.

    `monitor` is "val_loss", "loss" or the name of a metric; mode "min" means that less is better, "max" more.
    Optimizer slots stay as they are. One object watches one fit.
    """

    patience: int = 5
    monitor: str = "val_loss"
    mode: str = "min"
    _best: float = field(default=math.inf, init=False)
    _best_epoch: int = field(default=0, init=False)
    _values: dict[str, npt.NDArray[Any]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise GraphError(f"EarlyStopping: mode is 'min' or 'max', not {self.mode!r}")
        if self.patience < 1:
            raise GraphError(f"EarlyStopping: patience is at least 1 epoch, not {self.patience!r}")

    def __call__(self, trainer: Trainer, history: History) -> bool:
        last = history.last()
        if self.monitor not in last:
            raise GraphError(f"EarlyStopping: nothing is recorded as {self.monitor!r}; there are {', '.join(last)}")
        state = trainer.network.state
        badness = last[self.monitor] if self.mode == "min" else -last[self.monitor]
        if badness < self._best:
            self._best, self._best_epoch = badness, history.epochs
            self._values = {p.name: np.array(state[p.name]) for p in trainer.parameters}
        if history.epochs - self._best_epoch < self.patience:
            return False
        for name, value in self._values.items():
            state[name] = value
        return True

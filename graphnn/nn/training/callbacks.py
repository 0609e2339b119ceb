"""Callbacks of `fit`: what happens between its steps and epochs.

gn.Callback      what to subclass; a plain function callback(trainer, history) is called at each epoch's end
gn.EarlyStopping ends a training that no longer improves, with the best weights
gn.Checkpoint    saves the trainer, so that a training that was killed goes on bit for bit
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError
from graphnn.nn.arguments import NONNEGATIVE, check_count, check_number

if TYPE_CHECKING:
    from graphnn.nn.training.history import History
    from graphnn.nn.training.trainer import Trainer

Memory = Mapping[str, npt.ArrayLike]


class Callback:
    """What `fit` calls; each method does nothing unless you override it. True from `step` or `epoch` ends the fit.

    `step` and `epoch` are called again by a resumed fit where Ctrl-C or an error left them before their end.
    One object serves one fit at a time. What it has to remember so that a resumed fit goes on alike is its `memory`.
    """

    def begin(self, trainer: Trainer, recorded: Sequence[str]) -> None:
        """Before anything is trained; `recorded` names the values that the history will have. Forget an earlier fit."""

    def step(self, trainer: Trainer, loss: float) -> bool | None:
        """After each step that is `due`, with the loss of its batch before it."""
        return None

    def due(self, made: int) -> float:
        """In how many steps, of which `made` are made, `step` has to be called: 1 where it is overridden.

        The steps until then run in one native call. `step` may also be called earlier, for another callback.
        """
        return 1 if getattr(self.step, "__func__", None) is not Callback.step else math.inf

    def epoch(self, trainer: Trainer, history: History) -> bool | None:
        """After each epoch, which the history has already."""
        return None

    def end(self, trainer: Trainer, history: History) -> None:
        """When the fit is over; not after an error or an interrupt."""

    def verdict(self) -> str:
        """Why it ended the fit, as `fit` shows it beside the progress; nothing where it did not."""
        return ""

    def memory(self) -> Memory:
        """Numbers and arrays by name, for checkpoints."""
        return {}

    def recall(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a `memory`; called after `begin` where a fit is resumed."""


class EachEpoch(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[Trainer, History], bool | None]) -> None:
        self._function = function

    def epoch(self, trainer: Trainer, history: History) -> bool | None:
        return self._function(trainer, history)


class EarlyStopping(Callback):
    """Stops when `monitor` has not improved for `patience` epochs, and puts the best epoch's weights back.

    patience   epochs without an improvement
    monitor    "val_loss", "loss" or the name of a metric
    mode       "min" means that less is better, "max" more
    min_delta  an improvement is one by more than this

    The best weights are put back at the end of every fit, also when it ran all of its epochs; weights here are all
    variables that the loss depends on or a step changes, statistics of normalisations too, but for the optimizer's
    slots. An interrupted fit keeps the latest ones. GraphError before the first epoch where nothing is recorded as
    `monitor`.

    `best` and `best_epoch` tell of the best epoch so far, `stopped` after which one it ended the fit (None: it did
    not). A fit that it ended is over, and resume=True adds nothing. One that ran all of its epochs can be made longer
    by resume=True: it goes on with the weights that were put back and with the latest slots, and patience counts on.
    """

    def __init__(self, patience: int = 5, monitor: str = "val_loss", mode: str = "min", min_delta: float = 0.0) -> None:
        if mode not in ("min", "max"):
            raise GraphError(f"EarlyStopping: mode is 'min' or 'max', not {mode!r}")
        self.patience, self.monitor, self.mode = check_count("EarlyStopping: patience", patience, 1), monitor, mode
        self.min_delta = check_number("EarlyStopping: min_delta", min_delta, NONNEGATIVE)
        self._badness, self.best_epoch = math.inf, 0
        self.stopped: int | None = None
        self._values: dict[str, npt.NDArray[Any]] = {}

    @property
    def best(self) -> float:
        """The best value of what is monitored; an infinity before the first epoch."""
        return self._badness if self.mode == "min" else -self._badness

    def __repr__(self) -> str:
        return f"EarlyStopping({self.patience}, {self.monitor!r}, {self.mode!r}, {self.min_delta})"

    def begin(self, trainer: Trainer, recorded: Sequence[str]) -> None:
        if self.monitor not in recorded:
            hint = "; give fit validation data" if self.monitor == "val_loss" else ""
            raise GraphError(
                f"EarlyStopping: nothing is recorded as {self.monitor!r}; there are {', '.join(recorded)}{hint}"
            )
        self._badness, self.best_epoch, self.stopped, self._values = math.inf, 0, None, {}

    def epoch(self, trainer: Trainer, history: History) -> bool:
        value = history.last()[self.monitor]
        badness = value if self.mode == "min" else -value
        if badness < self._badness - self.min_delta:
            # The best value comes last: where Ctrl-C gets in between, the epoch is heard of again and does it all.
            self._values = {name: np.array(trainer.network.state[name]) for name in trainer.weights}
            self.best_epoch = history.epochs
            self._badness = badness
        if history.epochs - self.best_epoch < self.patience:
            return False
        self.stopped = history.epochs
        return True

    def verdict(self) -> str:
        if self.stopped is None:
            return ""
        if not self.best_epoch:
            return f"stopped after epoch {self.stopped}: {self.monitor} was never a number"
        return (
            f"stopped after epoch {self.stopped}: {self.monitor} was best in epoch {self.best_epoch}, {self.best:.4g}; "
            "the weights are those of that epoch"
        )

    def end(self, trainer: Trainer, history: History) -> None:
        for name, value in self._values.items():
            trainer.network.state[name] = value

    def memory(self) -> Memory:
        return {"best": self._badness, "epoch": self.best_epoch} | {f"value/{n}": v for n, v in self._values.items()}

    def recall(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._badness, self.best_epoch = float(memory["best"]), int(memory["epoch"])
        values = {name.partition("/") for name in memory if name.startswith("value/")}
        self._values = {name: memory[f"value/{name}"] for _, _, name in sorted(values)}


class Checkpoint(Callback):
    """Saves the trainer to `path` after every so many epochs, or steps; after each epoch unless told otherwise.

    The file is replaced whole (`Trainer.save`): whatever happens meanwhile, the last complete one is there. It is
    written after all other callbacks have run. The error of a disk that is full ends the fit.
    """

    def __init__(
        self, path: str | PathLike[str], every_epochs: int | None = None, every_steps: int | None = None
    ) -> None:
        if not isinstance(path, str | PathLike):
            raise GraphError(f"Checkpoint: path is the name of a file, not {path!r:.40}")
        if every_epochs is not None and every_steps is not None:
            raise GraphError("Checkpoint: give every_epochs or every_steps, not both")
        self.path = fspath(path)
        self._steps = None if every_steps is None else check_count("Checkpoint: every_steps", every_steps, 1)
        self._epochs = check_count("Checkpoint: every_epochs", 1 if every_epochs is None else every_epochs, 1)

    def due(self, made: int) -> float:
        return math.inf if self._steps is None else self._steps - made % self._steps

    def step(self, trainer: Trainer, loss: float) -> None:
        if self._steps is not None and len(trainer.history.steps) % self._steps == 0:
            trainer.save(self.path)

    def epoch(self, trainer: Trainer, history: History) -> None:
        if self._steps is None and history.epochs % self._epochs == 0:
            trainer.save(self.path)


def as_callbacks(given: Any) -> list[Callback]:
    """The callbacks in the order in which they are called: checkpoints last, so that they hold what the others know.

    Raises GraphError for what is neither a Callback nor a function.
    """
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise GraphError(f"callbacks= takes a list of callbacks, not {given!r:.40}")
    found = []
    for callback in given:
        if isinstance(callback, type) or not (isinstance(callback, Callback) or callable(callback)):
            raise GraphError(f"a callback is a gn.Callback or a function of (trainer, history), not {callback!r:.60}")
        found.append(callback if isinstance(callback, Callback) else EachEpoch(callback))
    return sorted(found, key=lambda c: isinstance(c, Checkpoint))

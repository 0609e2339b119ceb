"""The course of a fit: where it begins, and its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphnn.errors import GraphError
from graphnn.nn.training.batches import Batches
from graphnn.nn.training.callbacks import Callback
from graphnn.nn.training.evaluation import Evaluation
from graphnn.nn.training.history import History
from graphnn.nn.training.interrupt import Interrupts
from graphnn.nn.training.position import Position, set_generator
from graphnn.nn.training.progress import Bar
from graphnn.nn.training.snapshot import memories_of, recall

if TYPE_CHECKING:
    from graphnn.nn.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Fit:
    """What a fit works with; where it is stands in the trainer's `position` and `history`."""

    batches: Batches
    evaluation: Evaluation
    callbacks: Sequence[Callback]
    epochs: float
    steps: float


def begin_fit(trainer: Trainer, fit: Fit, rows: int, size: int, shuffle: bool, resume: bool) -> None:
    """Set history, position and callbacks to where the fit begins."""
    recorded = ["loss", *fit.evaluation.names]
    if resume:
        if not trainer.position.rows:
            raise GraphError("there is no fit to resume: restore a checkpoint first, or leave out resume=True")
        if trainer.history.epochs and sorted(trainer.history.series()) != sorted(recorded):
            raise GraphError(
                f"the fit to resume has recorded {', '.join(trainer.history.series())}; "
                f"this one records {', '.join(recorded)}"
            )
        trainer.position.over(rows, size, shuffle)
        memories = memories_of(trainer.callbacks) if trainer.restored is None else trainer.restored
    for callback in fit.callbacks:
        callback.begin(trainer, recorded)
    if resume:
        recall(fit.callbacks, memories)
    else:
        trainer.history, trainer.position = History(), Position()
        trainer.position.begin_epoch(trainer.generator)
        trainer.position.over(rows, size, shuffle)
    trainer.callbacks, trainer.restored = list(fit.callbacks), None


def run_epoch(trainer: Trainer, fit: Fit, interrupts: Interrupts, bar: Bar) -> None:
    """What is left of the present epoch, or of the steps."""
    history, position = trainer.history, trainer.position
    set_generator(trainer.generator, position.generator)
    order = trainer.generator.permutation(position.rows) if position.shuffle else np.arange(position.rows)
    with closing(fit.batches.over(order, history.epochs, position.batch)) as drawn:
        for batch, count in drawn:
            run = trainer.executable(count)
            with interrupts.step():
                loss, finite = trainer.read(run(**batch))
                if finite:
                    history.steps.append(loss)
                    position.batch, position.total = position.batch + 1, position.total + count * loss
            if not finite:
                first = position.batch * position.size
                when = f"epoch {history.epochs + 1}, step {len(history.steps) + 1}"
                raise trainer.find_bad(batch, order[first : first + count], when)
            bar.advance()
            for callback in fit.callbacks:  # those that save come last, and save that others have stopped the fit
                position.stopped |= bool(callback.step(trainer, loss))
            if position.stopped or len(history.steps) >= fit.steps:
                break
    if position.batch < len(fit.batches):
        return
    values = fit.evaluation()
    with interrupts.step():
        history.record(position.total / position.rows, values)
        position.begin_epoch(trainer.generator)
    bar.end_epoch(history)
    for callback in fit.callbacks:
        position.stopped |= bool(callback.epoch(trainer, history))

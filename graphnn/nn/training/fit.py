"""The course of a fit: where it begins, and its epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError
from graphnn.nn.training.batches import Batches
from graphnn.nn.training.callbacks import Callback
from graphnn.nn.training.evaluation import Evaluation
from graphnn.nn.training.history import History
from graphnn.nn.training.interrupt import Interrupts
from graphnn.nn.training.position import Position
from graphnn.nn.training.progress import Bar
from graphnn.nn.training.snapshot import match_memories, memories_of
from graphnn.run.steps import Steps, Stretch

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
        takers = match_memories(fit.callbacks, memories)
    for callback in fit.callbacks:
        callback.begin(trainer, recorded)
    if resume:
        for taker, memory in takers:
            taker.recall(memory)
    else:
        trainer.history, trainer.position = History(), Position()
        trainer.position.begin(trainer.generator)
        trainer.position.over(rows, size, shuffle)
    trainer.callbacks, trainer.restored = list(fit.callbacks), None
    tell(trainer, fit)


def tell(trainer: Trainer, fit: Fit) -> None:
    """Call the callbacks that have yet to hear of the latest step or epoch; again, where one was interrupted."""
    history, position = trainer.history, trainer.position
    position.waiting = min(position.waiting, len(fit.callbacks))
    while position.waiting > 0:
        callback = fit.callbacks[-position.waiting]
        position.waiting -= 1  # before the call: a checkpoint that is made there need not be made again
        try:
            stops = callback.step(trainer, history.steps[-1]) if position.batch else callback.epoch(trainer, history)
        except BaseException:
            position.waiting += 1
            raise
        position.stopped |= bool(stops)


def run_epoch(trainer: Trainer, fit: Fit, interrupts: Interrupts, bar: Bar) -> None:
    """What is left of the present epoch, or of the steps."""
    history, position = trainer.history, trainer.position
    order = position.draw(trainer.generator)
    drawn = fit.batches.stretches(order, history.epochs, position.batch)
    try:
        for stretch in drawn:
            run_stretch(trainer, fit, stretch, order, interrupts, bar)
            if position.stopped or len(history.steps) >= fit.steps:
                break
    finally:
        drawn.close()
    if position.batch < len(fit.batches):
        return
    values = fit.evaluation()
    with interrupts.step():
        history.record(position.total / position.rows, values)
        position.end_epoch(trainer.generator)
        position.waiting = len(fit.callbacks)
    bar.end_epoch(history)
    tell(trainer, fit)


def run_stretch(
    trainer: Trainer,
    fit: Fit,
    stretch: Stretch,
    order: npt.NDArray[np.int64] | None,
    interrupts: Interrupts,
    bar: Bar,
) -> None:
    """The steps of a stretch, as many in one native call as no callback has to hear of.

    `order` is that of the epoch's rows, None for the one in which they lie.
    """
    history, position = trainer.history, trainer.position
    steps, made = trainer.steps(stretch.size), 0
    while made < stretch.steps and not (position.stopped or len(history.steps) >= fit.steps):
        before, record = len(history.steps), record_of(trainer, fit, steps)
        due = [callback.due(before) for callback in fit.callbacks]
        count = int(min(stretch.steps - made, fit.steps - before, *due))
        report = partial(_show, bar, before)
        trainer.underway = partial(_settle, steps, record)
        with interrupts.step(steps.stop):
            try:
                finite = steps.run(stretch, made, count, position.total, report)
            finally:
                record()
                trainer.underway = None
        made += steps.done
        if not finite:
            when = f"epoch {history.epochs + 1}, step {len(history.steps) + 1}"
            first = position.batch * position.size
            rows = np.arange(first, first + stretch.size) if order is None else order[first : first + stretch.size]
            raise trainer.find_bad(stretch.batch(made), rows, when)
        bar.show(len(history.steps))
        tell(trainer, fit)


def record_of(trainer: Trainer, fit: Fit, steps: Steps) -> Callable[[], None]:
    """What writes the steps of the next run, as many as it has made, into history and position.

    Called again, even in the middle of a call, it does the same again: a signal handler may save the trainer.
    """
    history, position = trainer.history, trainer.position
    before, batch = len(history.steps), position.batch
    steps.reset()

    def record() -> None:
        losses = steps.losses
        if len(losses):
            history.steps.put(before, losses)
            position.batch, position.total = batch + len(losses), steps.total
            position.waiting = len(fit.callbacks)

    return record


def _settle(steps: Steps, record: Callable[[], None]) -> None:
    steps.pause()
    record()


def _show(bar: Bar, before: int, done: int) -> None:
    bar.show(before + done)

"""Trainer: gradients, optimizer and loss compiled to one native step, and fits of such steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from os import PathLike
from typing import Any, Literal
from weakref import ref

import numpy as np

from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.derive.sweep import gradients
from graphnn.errors import DTypeError, GraphError, NumericError
from graphnn.nn.arguments import NONNEGATIVE, check_count, check_number
from graphnn.nn.optimizers.rule import Optimizer
from graphnn.nn.optimizers.rules import SGD
from graphnn.nn.training.batches import (
    Arrays,
    Augment,
    Batches,
    batch_symbol,
    check_arrays,
    check_sources,
    expect,
    match_augment,
)
from graphnn.nn.training.callbacks import Callback, as_callbacks
from graphnn.nn.training.checkpoint import read_checkpoint, write_checkpoint
from graphnn.nn.training.evaluation import Evaluation, Metric, inputs_of, split_off
from graphnn.nn.training.fit import Fit, begin_fit, run_epoch
from graphnn.nn.training.history import History
from graphnn.nn.training.interrupt import Interrupts
from graphnn.nn.training.objective import check_loss, check_optimizer, trained_parameters
from graphnn.nn.training.penalty import penalise
from graphnn.nn.training.position import Position, set_generator
from graphnn.nn.training.progress import progress_bar
from graphnn.nn.training.snapshot import (
    Memories,
    check_snapshot,
    fingerprint,
    memories_of,
    put_state,
    take_snapshot,
)
from graphnn.nn.training.watch import guard
from graphnn.pipeline import compile
from graphnn.run.boundary import by_keyword
from graphnn.run.executable import Executable
from graphnn.run.steps import Steps
from graphnn.simplify.expr import DType

Watch = bool | Literal["gradients"]


class Trainer:
    """Trains the parameters that a scalar loss depends on; their values and the optimizer's slots are `network.state`.

    parameters    names or Tensors to train; the trainable ones that the loss depends on unless given
    batch_size    rows per step, along the symbolic size that the inputs lead with; None: all rows at each step
    seed          of the order of rows in `fit`; first values are drawn by `network.initialize(seed)`
    dtype         "float32" or "float64": computes in it, arrays given and state included; as declared unless given
    weight_decay  adds weight_decay/2 * sum w^2 over the trained weights, not biases, to the loss
    l1            adds l1 * sum |w| over the trained weights, not biases, to the loss
    threads       of the compiled code, as in `compile`
    watch         a step whose loss is not finite changes nothing and raises NumericError, which names the first bad
                  node; "gradients": also one whose gradients are not, for a pass over them; False: no such check
    tune          times several schedules of the step for `batch_size` rows, as `compile` does, and takes the fastest

    The step is compiled for `batch_size` rows; one more, for any number of rows, is compiled when first needed (a
    ragged last batch). The gradients and updates are nodes of the network. Slots that the network holds from an
    earlier Trainer with the same optimizer go on from where they are.

    Raises ShapeError for a loss that is no scalar, DTypeError for one that is no float, GraphError where it depends
    on no parameter or not on one of `parameters` and where `optimizer` is none, DeriveError where there is no gradient.
    An error leaves the network as it was.
    """

    def __init__(
        self,
        loss: Tensor,
        optimizer: Optimizer | None = None,
        batch_size: int | None = 32,
        seed: int = 0,
        parameters: Iterable[Tensor | str] | None = None,
        dtype: DType | None = None,
        threads: int | None = None,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        watch: Watch = True,
        tune: bool = False,
    ) -> None:
        check_loss(loss)
        check_optimizer(optimizer)
        if dtype not in (None, *FLOATS):
            raise DTypeError(f"dtype is float32, float64 or None, not {dtype!r}")
        if not isinstance(watch, bool) and watch != "gradients":
            raise GraphError(f"watch is True, False or 'gradients', not {watch!r:.40}")
        if not isinstance(tune, bool):
            raise GraphError(f"tune is True or False, not {tune!r:.40}")
        self.network, self.optimizer, self.tune = loss.network, optimizer or SGD(), tune
        self.batch_size = None if batch_size is None else check_count("batch_size", batch_size, 1)
        self.seed = check_count("seed", seed, 0)
        self.dtype, self.threads = dtype, None if threads is None else check_count("threads", threads, 1)
        self.watch: Watch = watch
        weight_decay = check_number("weight_decay", weight_decay, NONNEGATIVE)
        l1 = check_number("l1", l1, NONNEGATIVE)
        with self.network.composing("trainer"):
            self.parameters = trained_parameters(loss, parameters)
            self.loss = penalise(loss, self.parameters, weight_decay, l1)
            inputs = inputs_of([self.loss])
            self.batch_symbol = None if self.batch_size is None else batch_symbol(inputs)
            self._expected = expect(inputs, self.batch_symbol, self.dtype)
            self._batched = tuple(name for name, expected in self._expected.items() if expected.rows)
            self._gradients = gradients(self.loss, self.parameters)
            updates = self.optimizer.updates(self.parameters, self._gradients)
            self._updates = {**self.network.updates_of([self.loss]), **updates}
            self._outputs, self._watched = [self.loss], self._updates
            if watch:
                checked = self._gradients if watch == "gradients" else []
                finite, self._watched = guard(self.loss, checked, self._updates, self.dtype)
                self._outputs += [finite]
        self.history, self.position = History(), Position()  # of the latest fit
        self.generator = np.random.default_rng(self.seed)
        self.position.begin(self.generator)
        self.callbacks: list[Callback] = []  # of the latest fit
        self.restored: Memories | None = None  # what callbacks remember, between `restore` and the fit that goes on
        self.underway: Callable[[], None] | None = None  # ends the steps that a fit is making, and records them
        self._steps: dict[int | None, Executable] = {}
        self._loops: dict[Executable, Steps] = {}
        self._evaluators: dict[tuple[tuple[str, Tensor], ...], Executable] = {}

    def __repr__(self) -> str:
        return f"<trainer of '{self.loss.name}': {len(self.parameters)} parameters by {self.optimizer}>"

    @cached_property
    def variables(self) -> list[str]:
        """The state variables that a step reads or writes: what a checkpoint holds."""
        read, _ = self.network.requests.reach([self.loss, *self._updates.values()])
        reached = {t.name for t in read} | self._updates.keys()
        return [name for name in self.network.state_variables if name in reached]

    @cached_property
    def weights(self) -> list[str]:
        """The state variables that the trained network consists of: parameters and statistics, no optimizer slots."""
        own = self.network.updates_of([self.loss])
        reached = {t.name for t in self.network.ancestors([self.loss])} | own.keys()
        return [name for name in self.variables if name in reached]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the formulas of the loss and all updates: equal for equal networks, losses and optimizers."""
        return fingerprint([self.loss], self._updates)

    def executable(self, rows: int | None = None) -> Executable:
        """The compiled step for a batch of that many rows; `batch_size` unless given."""
        key = self.batch_size if self.batch_symbol is not None and rows in (None, self.batch_size) else None
        if key not in self._steps:
            sizes = {} if key is None else {str(self.batch_symbol): key}
            outputs = self._outputs if self.watch == "gradients" else self.loss
            self._steps[key] = compile(
                outputs,
                sizes=sizes,
                threads=self.threads,
                dtype=self.dtype,
                training=True,
                updates=self._watched,
                tune=self.tune and (key is not None or self.batch_symbol is None),
            )
        return self._steps[key]

    def steps(self, rows: int) -> Steps:
        """What runs many steps on batches of that many rows in one native call."""
        program = self.executable(rows)
        if program not in self._loops:
            self._loops[program] = program.steps(self.watch is True)
        return self._loops[program]

    def evaluator(self, tensors: Mapping[str, Tensor]) -> Executable:
        """The compiled values of the tensors, not in training, for any number of rows."""
        key = tuple(tensors.items())
        if key not in self._evaluators:
            self._evaluators[key] = compile(tensors, threads=self.threads, dtype=self.dtype)
        return self._evaluators[key]

    def step(self, /, *positional: Any, **arrays: Any) -> float:
        """One update of all parameters and slots by one native call; the loss before it.

        Takes an array per input by keyword, of any equal number of rows; BoundaryError where they do not fit,
        NumericError where the watch finds the loss, or a gradient, not finite.
        """
        native = self.__dict__.get("step")  # where this method was held since before there was one
        return float((native or self._checked_step)(*positional, **arrays))

    def _checked_step(self, /, *positional: Any, **arrays: Any) -> float:
        if positional:
            raise by_keyword("step", self._expected)
        checked, rows = check_arrays(self._expected, arrays, "step")
        program = self.executable(rows)
        loss, finite = self.read(program(**checked))
        if not finite:
            raise self.find_bad(checked, np.arange(rows), "step")
        # Once the program has a native entry, steps on arrays like these are calls of it.
        native = program.float_function(
            partial(_step, ref(self)), partial(_bad_step, ref(self)) if self.watch else None
        )
        if native is not None and type(self).step is Trainer.step:
            self.__dict__["step"] = native
        return loss

    def read(self, result: Any) -> tuple[float, bool]:
        """(the loss, whether the step was made) of what an executable gave."""
        if self.watch == "gradients":
            return float(result[0]), bool(result[1])
        loss = float(result)
        return loss, not self.watch or math.isfinite(loss)

    def find_bad(self, batch: Arrays, rows: Any, when: str) -> NumericError:
        from graphnn.nn.training.first_bad import find_first_bad  # a good step needs no formulas

        outputs = [self.loss, *(self._gradients if self.watch == "gradients" else [])]
        return find_first_bad(outputs, batch, self.dtype, self.batch_symbol, rows, when)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint: all that it takes to go on bit for bit, as safetensors with JSON in the metadata.

        It holds the state of the network (parameters, slots, statistics, counters), the generator of row orders, the
        position in the epoch, the history and what callbacks remember. The file is replaced whole: whatever happens
        meanwhile, a complete one is there. During a `fit`, callbacks and signal handlers may call it: steps that are
        being made end first, and go on afterwards. Raises OSError as `open` does.
        """
        if self.underway is not None:
            self.underway()
        memories = memories_of(self.callbacks) if self.restored is None else self.restored
        write_checkpoint(path, take_snapshot(self, memories))

    def restore(self, path: str | PathLike[str]) -> None:
        """Take up a checkpoint; `fit(..., resume=True)` then goes on with the fit that it was saved in.

        Raises BoundaryError for a file that is cut off, damaged, of a newer format, or of another network, loss,
        optimizer or dtype; OSError as `open` does. An error changes nothing.
        """
        saved = read_checkpoint(path)
        history, position, memories = check_snapshot(self, saved, path)
        put_state(self, saved)
        self.history, self.position, self.restored = history, position, memories
        set_generator(self.generator, position.generator)

    def fit(
        self,
        data: Mapping[str, Any],
        epochs: int | None = None,
        validation: Mapping[str, Any] | float | None = None,
        metrics: Mapping[str, Metric] | None = None,
        shuffle: bool = True,
        callbacks: Iterable[Callback | Callable[[Trainer, History], bool | None]] = (),
        progress: bool = True,
        augment: Augment | Mapping[str, Augment] | None = None,
        evaluation_batch_size: int | None = None,
        steps: int | None = None,
        resume: bool = False,
    ) -> History:
        """Epochs of mini-batches drawn without replacement; what was recorded, also kept as `trainer.history`.

        data        an array per input of the loss; also memory maps and gn.data.Converted, of which only the rows of a
                    batch are read; integers narrower than int64 are converted, other dtypes must be the inputs'
        epochs      how many; 1 unless given
        steps       in place of epochs: how many steps; an epoch that is cut short is not evaluated
        validation  arrays for the loss and metrics at each epoch's end, or a fraction of the rows of `data` (drawn by
                    the seed, and copied) that is set aside for that
        metrics     scalar Tensors of the network, or functions of the arrays that give a number; evaluated on the
                    validation data, on the training data where there is none
        callbacks   gn.Callback objects, or functions called as callback(trainer, history) at each epoch's end, which
                    stop the fit by giving True
        augment     gn.data.Augmentation or another function (rows of a batch, epoch, number of the batch) -> rows, for
                    the input of images, or by input name; called on a thread, ahead of the step
        evaluation_batch_size
                    rows per call at the epoch's end, for losses and metrics that are means over rows; all unless given
        resume      go on with the fit that `restore` read, that was interrupted, or that is to be longer: `epochs` and
                    `steps` count from its beginning. Given the same arguments, the weights become those of a fit that
                    was never interrupted, bit for bit. A fit that a callback stopped is over.

        The steps of an epoch are one native call where the arrays are C-contiguous in memory and nothing augments them,
        interrupted for a callback that is `due`; else one for each batch. The results are the same.

        Ctrl-C raises KeyboardInterrupt between two steps or during an evaluation: the state is that of a whole number
        of steps, and `trainer.history` has the finished epochs. Raises BoundaryError for arrays that do not fit before
        any step; for a label out of range, before the native call that reads it; NumericError where the watch finds a
        step that is not finite: the state is then that before it.
        """
        sources, rows = check_sources(self._expected, data, "fit")
        if isinstance(validation, float):
            kept, validation = split_off(sources, self._batched, rows, validation, self.seed)
            sources, rows = check_sources(self._expected, kept, "fit")
        for option, given in (("shuffle", shuffle), ("progress", progress), ("resume", resume)):
            if not isinstance(given, bool):
                raise GraphError(f"{option} is True or False, not {given!r:.40}")
        if steps is not None and epochs is not None:
            raise GraphError(f"give epochs= or steps=, not both ({epochs!r:.20} and {steps!r:.20})")
        evaluation = Evaluation(self, sources, rows, validation, metrics, evaluation_batch_size)
        size = min(self.batch_size or rows, rows)
        fit = Fit(
            Batches(sources, self._batched, rows, size, match_augment(augment, self._expected)),
            evaluation,
            as_callbacks(callbacks),
            math.inf if steps is not None else check_count("epochs", 1 if epochs is None else epochs, 0),
            math.inf if steps is None else check_count("steps", steps, 0),
        )
        begin_fit(self, fit, rows, size, shuffle, resume)
        history, position = self.history, self.position
        total = int(min(fit.epochs * len(fit.batches), fit.steps))
        with (
            Interrupts() as interrupts,
            progress_bar(progress, total, len(fit.batches), len(history.steps)) as bar,
        ):
            # An epoch whose batches are done, but which is not recorded, was interrupted while it was evaluated.
            while position.batch == len(fit.batches) or not (
                position.stopped or history.epochs >= fit.epochs or len(history.steps) >= fit.steps
            ):
                run_epoch(self, fit, interrupts, bar)
            for callback in fit.callbacks:
                if verdict := callback.verdict():
                    bar.tell(verdict)
        for callback in fit.callbacks:
            callback.end(self, history)
        return history


def _step(trainer: ref[Trainer], /, *positional: Any, **arrays: Any) -> float:
    """A step that the native entry leaves; it holds no Trainer, so that one is freed with its last reference."""
    return _alive(trainer)._checked_step(*positional, **arrays)


def _bad_step(trainer: ref[Trainer], /, **arrays: Any) -> float:
    """After a step whose loss was not finite: it changed nothing."""
    found = _alive(trainer)
    checked, rows = check_arrays(found._expected, arrays, "step")
    raise found.find_bad(checked, np.arange(rows), "step")


def _alive(trainer: ref[Trainer]) -> Trainer:
    found = trainer()
    if found is None:
        raise GraphError("the Trainer of this step is no more")
    return found

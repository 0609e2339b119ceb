"""Trainer: gradients, optimizer and loss compiled to one native step, and epochs of such steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.derive.sweep import gradients
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.arguments import check_count
from graphnn.nn.optimizers.rule import Optimizer, Rule
from graphnn.nn.optimizers.rules import SGD
from graphnn.nn.training.batches import Arrays, Batches, batch_symbol, check_arrays, expect
from graphnn.nn.training.history import History
from graphnn.nn.training.interrupt import Interrupts, wait_for
from graphnn.nn.training.penalty import l2_penalty
from graphnn.nn.training.progress import progress_bar
from graphnn.ops.elementwise import add
from graphnn.pipeline import compile
from graphnn.run.boundary import by_keyword
from graphnn.run.executable import Executable
from graphnn.simplify.expr import DType

Metric = Tensor | Callable[[Arrays], float]
Callback = Callable[["Trainer", History], bool | None]


class Trainer:
    """Trains the parameters that a scalar loss depends on; their values and the optimizer's slots are `network.state`.

    parameters    names or Tensors to train; the trainable ones that the loss depends on unless given
    batch_size    rows per step, along the symbolic size that the inputs lead with; None: all rows at each step
    seed          of the order of rows in `fit`; first values are drawn by `network.initialize(seed)`
    dtype         "float32" or "float64": computes in it, arrays given and state included; as declared unless given
    weight_decay  adds weight_decay/2 * sum w^2 over the trained weights, not biases, to the loss
    threads       of the compiled code; 1 unless given

    The step is compiled for `batch_size` rows; one more, for any number of rows, is compiled when first needed (a
    ragged last batch). The gradients and updates are nodes of the network. Slots that the network holds from an
    earlier Trainer with the same optimizer go on from where they are.

    Raises ShapeError for a loss that is no scalar, DTypeError for one that is no float, GraphError where it depends
    on no parameter or not on one of `parameters` and where `optimizer` is none, DeriveError where there is no gradient.
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
    ) -> None:
        if not isinstance(loss, Tensor):
            raise GraphError(f"a Trainer takes the Tensor to minimise, not a {type(loss).__name__}")
        if loss.ndim:
            raise ShapeError(f"the loss '{loss.name}' has shape {loss.shape}; training needs a scalar")
        if loss.dtype not in FLOATS:
            raise DTypeError(f"the loss '{loss.name}' is {loss.dtype}; training needs a float")
        if isinstance(optimizer, Rule):
            raise GraphError(f"'{optimizer.name}' is an update rule, not yet an optimizer; call it: gn.SGD(0.1)")
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise GraphError(f"optimizer= takes an Optimizer such as SGD(0.1), not {optimizer!r}")
        if dtype not in (None, *FLOATS):
            raise DTypeError(f"dtype is float32, float64 or None, not {dtype!r}")
        self.network, self.optimizer = loss.network, optimizer or SGD()
        self.parameters = _trained(loss, parameters)
        self.loss = add(loss, l2_penalty(self.parameters, weight_decay)) if weight_decay else loss
        self.batch_size = None if batch_size is None else check_count("batch_size", batch_size, 1)
        self.dtype, self.threads = dtype, threads or 1
        self.history = History()
        inputs = _inputs([self.loss])
        self._batch = None if self.batch_size is None else batch_symbol(inputs)
        self._expected = expect(inputs, self._batch, self.dtype)
        self._generator = np.random.default_rng(seed)
        self._updates = self.optimizer.updates(self.parameters, gradients(self.loss, self.parameters))
        self._steps: dict[int | None, Executable] = {}

    def __repr__(self) -> str:
        return f"<trainer of '{self.loss.name}': {len(self.parameters)} parameters by {self.optimizer}>"

    def executable(self, rows: int | None = None) -> Executable:
        """The compiled step for a batch of that many rows; `batch_size` unless given."""
        key = self.batch_size if self._batch is not None and rows in (None, self.batch_size) else None
        if key not in self._steps:
            sizes = {} if key is None else {str(self._batch): key}
            self._steps[key] = compile(
                self.loss, sizes=sizes, threads=self.threads, dtype=self.dtype, training=True, updates=self._updates
            )
        return self._steps[key]

    def step(self, /, *positional: Any, **arrays: Any) -> float:
        """One update of all parameters and slots by one native call; the loss before it.

        Takes an array per input by keyword, of any equal number of rows; BoundaryError where they do not fit.
        """
        if positional:
            raise by_keyword("step", self._expected)
        checked, rows = check_arrays(self._expected, arrays, "step")
        return float(self.executable(rows)(**checked))

    def fit(
        self,
        data: Mapping[str, Any],
        epochs: int = 1,
        validation: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
    ) -> History:
        """Epochs of mini-batches drawn without replacement; what was recorded, also kept as `trainer.history`.

        data        an array per input of the loss
        validation  arrays for the loss and metrics at each epoch's end, over all rows in one call
        metrics     scalar Tensors of the network, or functions of the arrays that give a number; evaluated on the
                    validation data, on the training data where there is none
        callbacks   called as callback(trainer, history) at each epoch's end; True stops

        Ctrl-C raises KeyboardInterrupt between two steps or during an evaluation: the state is that of a whole number
        of steps, and `trainer.history` has the finished epochs. Raises BoundaryError for arrays that do not fit before
        any step; for a label out of range, when its batch comes.
        """
        arrays, rows = check_arrays(self._expected, data, "fit")
        epochs = check_count("epochs", epochs, 0)
        evaluate = self._evaluator(arrays, validation, dict(metrics or {}))
        batched = [name for name, expected in self._expected.items() if expected.rows]
        batches = Batches(arrays, batched, rows, self.batch_size or rows)
        history = self.history = History()
        with Interrupts() as interrupts, progress_bar(progress, epochs, len(batches)) as bar:
            for _ in range(epochs):
                order = self._generator.permutation(rows) if shuffle else np.arange(rows)
                total = 0.0
                for batch, count in batches.over(order):
                    run = self.executable(count)
                    with interrupts.step():
                        total += count * float(run(**batch))
                    bar.advance()
                history.record(total / rows, evaluate())
                bar.end_epoch(history)
                answers = [callback(self, history) for callback in callbacks]
                if any(answers):
                    break
        return history

    def _evaluator(
        self, arrays: Arrays, validation: Mapping[str, Any] | None, metrics: dict[str, Metric]
    ) -> Callable[[], dict[str, float]]:
        """A function that gives the validation loss and the metrics, as they are at the time."""
        tensors = {name: metric for name, metric in metrics.items() if isinstance(metric, Tensor)}
        for name, tensor in tensors.items():
            if tensor.network is not self.network or tensor.ndim:
                raise GraphError(f"metric '{name}': {tensor!r} is no scalar of the network of the loss")
        for name, metric in metrics.items():
            if name in ("loss", "val_loss") or not (name in tensors or callable(metric)):
                raise GraphError(f"metric '{name}': give a Tensor or a function of the arrays another name")
        if validation is not None:
            tensors = {"val_loss": self.loss, **tensors}
            expected = expect(_inputs([*tensors.values()]), self._batch, self.dtype)
            arrays, _ = check_arrays(expected, validation, "validation")
        inputs = _inputs([*tensors.values()])
        if missing := [t.name for t in inputs if t.name not in arrays]:
            raise GraphError(f"a metric reads the input '{missing[0]}', which the loss does not: give validation data")
        read = {t.name: arrays[t.name] for t in inputs}
        run = compile(tensors, threads=self.threads, dtype=self.dtype) if tensors else None

        def evaluate() -> dict[str, float]:
            values = wait_for(lambda: run(**read)) if run else {}
            functions = {name: metric(arrays) for name, metric in metrics.items() if not isinstance(metric, Tensor)}
            return {name: float(value) for name, value in {**values, **functions}.items()}

        return evaluate


def _inputs(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The inputs that the tensors depend on, in the order of declaration."""
    if not tensors:
        return []
    network = tensors[0].network
    reached = {t.name for t in network.ancestors(tensors)}
    return [t for name, t in network.inputs.items() if name in reached]


def _trained(loss: Tensor, parameters: Iterable[Tensor | str] | None) -> list[Tensor]:
    """The parameters to train, in the order of declaration."""
    network = loss.network
    reached = {t.name for t in network.ancestors([loss])}
    if parameters is None:
        declared = network.parameters.items()
        wanted = {n for n, _ in declared if n in reached and network.graph.nodes[n]["attributes"]["trainable"]}
    else:
        wanted = {p if isinstance(p, str) else p.name for p in parameters}
        for name in sorted(wanted):
            if name not in network.parameters:
                raise GraphError(f"'{name}' is no parameter; there are {', '.join(network.parameters)}")
            if name not in reached:
                raise GraphError(f"the loss '{loss.name}' does not depend on the parameter '{name}'")
    if not wanted:
        raise GraphError(f"the loss '{loss.name}' depends on no parameter to train")
    return [t for name, t in network.parameters.items() if name in wanted]

"""What `fit` evaluates at the end of each epoch: the validation loss and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnn.declare.network import Tensor
from graphnn.errors import GraphError
from graphnn.nn.arguments import check_count
from graphnn.nn.training.batches import Arrays, Batches, Sources, check_sources, expect, mean_over
from graphnn.nn.training.interrupt import wait_for

if TYPE_CHECKING:
    from graphnn.nn.training.trainer import Trainer

Metric = Tensor | Callable[[Any], float]


class Evaluation:
    """The validation loss and the metrics, as they are at each call.

    All rows go through one native call, or `batch_size` at a time: then a value is the mean over the batches weighted
    by their rows, which is right for what is a mean over rows (the losses and accuracy; not a largest error).
    """

    def __init__(
        self,
        trainer: Trainer,
        sources: Sources,
        rows: int,
        validation: Mapping[str, Any] | None,
        metrics: Mapping[str, Metric] | None,
        batch_size: int | None,
    ) -> None:
        size = None if batch_size is None else check_count("evaluation_batch_size", batch_size, 1)
        tensors, functions = ({}, {}) if metrics is None else _by_kind(metrics, trainer)
        if validation is not None:
            tensors = {"val_loss": trainer.loss, **tensors}
        self.names, self._sources, self._functions = [*tensors, *functions], sources, functions
        self._run, self._batches = None, None
        if not tensors:
            return
        inputs = inputs_of([*tensors.values()])
        expected = expect(inputs, trainer.batch_symbol, trainer.dtype)
        if validation is not None:
            self._sources, rows = check_sources(expected, validation, "validation")
        elif missing := [t.name for t in inputs if t.name not in sources]:
            raise GraphError(f"a metric reads the input '{missing[0]}', which the loss does not: give validation data")
        self._run = trainer.evaluator(tensors)
        self._read, self._rows = [t.name for t in inputs], rows
        if size is not None and trainer.batch_symbol is not None and size < rows:
            batched = [name for name, needed in expected.items() if needed.rows]
            self._batches = Batches({n: self._sources[n] for n in self._read}, batched, rows, size)

    def __call__(self) -> dict[str, float]:
        values = self._evaluate() if self._run is not None else {}
        for name, metric in self._functions.items():
            values[name] = float(metric(dict(self._sources)))
        return values

    def _evaluate(self) -> dict[str, float]:
        if self._batches is not None:
            return mean_over(self._batches, self._rows, self._measure)
        values = self._measure({name: np.asarray(self._sources[name]) for name in self._read})
        return {name: float(value) for name, value in values.items()}

    def _measure(self, arrays: Arrays) -> dict[str, Any]:
        run = self._run
        return wait_for(lambda: run(**arrays)) if run is not None else {}


def _by_kind(
    metrics: Mapping[str, Metric], trainer: Trainer
) -> tuple[dict[str, Tensor], dict[str, Callable[[Any], float]]]:
    """(the metrics that are Tensors, those that are functions). Raises GraphError for what is neither."""
    if not isinstance(metrics, Mapping):
        raise GraphError(f"metrics= takes Tensors or functions by name: {{'accuracy': ...}}, not {metrics!r:.40}")
    tensors = {name: metric for name, metric in metrics.items() if isinstance(metric, Tensor)}
    for name, tensor in tensors.items():
        if tensor.network is not trainer.network or tensor.ndim:
            raise GraphError(f"metric '{name}': {tensor!r} is no scalar of the network of the loss")
    for name, metric in metrics.items():
        if not isinstance(name, str) or name in ("loss", "val_loss") or not (name in tensors or callable(metric)):
            raise GraphError(f"metric {name!r}: give a Tensor or a function of the arrays another name")
    return tensors, {name: metric for name, metric in metrics.items() if not isinstance(metric, Tensor)}


def split_off(sources: Sources, batched: Sequence[str], rows: int, fraction: float, seed: int) -> tuple[Arrays, Arrays]:
    """(the arrays to train on, those to validate on): a `fraction` of the rows, drawn by `seed`, in their old order.

    Raises GraphError for a fraction that is none, or that leaves either part without rows.
    """
    count = round(fraction * rows) if 0 < fraction < 1 else 0
    if not 0 < count < rows:
        raise GraphError(
            f"validation={fraction} of {rows} rows sets {count} aside: give a fraction between 0 and 1 that leaves a "
            "row to train on and one to validate on, or arrays"
        )
    held = np.zeros(rows, bool)
    held[np.random.default_rng([seed, rows]).permutation(rows)[:count]] = True
    whole = {name: np.asarray(source) for name, source in sources.items()}
    parts = [whole | {name: whole[name][chosen] for name in batched} for chosen in (~held, held)]
    return parts[0], parts[1]


def inputs_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The inputs that the tensors depend on, in the order of declaration."""
    if not tensors:
        return []
    network = tensors[0].network
    reached = {t.name for t in network.ancestors(tensors)}
    return [t for name, t in network.inputs.items() if name in reached]

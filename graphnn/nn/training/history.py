"""What a training run recorded, epoch by epoch."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Losses(Sequence[float]):
    """Losses in the order of their steps, 8 bytes for each; equal to a list of the same, and indexed as one."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._values = array("d", values)

    def put(self, first: int, values: npt.NDArray[np.float64]) -> None:
        """Let these be what comes from number `first` on. No signal handler sees half of it."""
        fresh = array("d")
        fresh.frombytes(values.data.cast("B"))
        if first:
            self._values[first:] = fresh
        else:  # without a second copy
            self._values = fresh

    @overload
    def __getitem__(self, place: int, /) -> float: ...
    @overload
    def __getitem__(self, place: slice, /) -> list[float]: ...
    def __getitem__(self, place: int | slice, /) -> float | list[float]:
        found = self._values[place]
        return found if isinstance(found, float) else found.tolist()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float]:
        return iter(self._values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._values, dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return repr(self._values.tolist())


@dataclass(slots=True)
class History:
    """One entry per finished epoch in each list but `steps`.

    loss      mean training loss over the rows of the epoch, while the weights moved
    val_loss  loss on the validation data at the epoch's end; empty where there was none
    metrics   by name, at the epoch's end
    steps     loss of each step's batch, before the step; read it as a list
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    steps: Losses = field(default_factory=Losses)

    def __post_init__(self) -> None:
        if not isinstance(self.steps, Losses):
            self.steps = Losses(self.steps)

    @property
    def epochs(self) -> int:
        """How many epochs have finished."""
        return len(self.loss)

    def record(self, loss: float, evaluated: Mapping[str, float]) -> None:
        """Append an epoch; `evaluated` holds the metrics and, with validation data, "val_loss"."""
        self.loss.append(loss)
        for name, value in evaluated.items():
            series = self.val_loss if name == "val_loss" else self.metrics.setdefault(name, [])
            series.append(value)

    def last(self) -> dict[str, float]:
        """The values of the latest epoch: loss, val_loss and the metrics by name."""
        return {name: values[-1] for name, values in self.series().items()}

    def series(self) -> dict[str, list[float]]:
        """Every list that is not empty, by name."""
        named = {"loss": self.loss, "val_loss": self.val_loss, **self.metrics}
        return {name: values for name, values in named.items() if values}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it; `from_dict` reads it back."""
        metrics = {name: list(values) for name, values in self.metrics.items()}
        return {
            "loss": list(self.loss),
            "val_loss": list(self.val_loss),
            "metrics": metrics,
            "steps": list(self.steps),
        }

    @classmethod
    def from_dict(cls, data: Any) -> History:
        """A History from `to_dict` data, which may lack the steps; GraphError where it is no such thing."""
        if not isinstance(data, dict) or set(data) | {"steps"} != {"loss", "val_loss", "metrics", "steps"}:
            raise GraphError(f"a history has the keys loss, val_loss, metrics and steps, not {data!r:.80}")
        metrics = data["metrics"]
        if not isinstance(metrics, dict) or not all(isinstance(name, str) for name in metrics):
            raise GraphError(f"the metrics of a history are lists by name, not {metrics!r:.80}")
        history = cls(
            _floats("loss", data["loss"]),
            _floats("val_loss", data["val_loss"]),
            {name: _floats(name, values) for name, values in metrics.items()},
            Losses(_floats("steps", data.get("steps", []))),
        )
        for name, values in history.series().items():
            if len(values) != history.epochs:
                raise GraphError(f"'{name}' has {len(values)} epochs, 'loss' has {history.epochs}")
        return history

    def plot(self, path: str | Path | None = None) -> Figure:
        """Losses on the left, metrics (where there are any) on the right, by epoch; saved where `path` is given.

        Before the first epoch has finished, the loss by step.
        """
        # Importing matplotlib takes longer than compiling a small net; only plots need it.
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        unit, training = ("epoch", self.loss) if self.loss else ("step", self.steps)
        panels: list[tuple[str, Mapping[str, Sequence[float]]]] = [
            ("loss", {"training": training, "validation": self.val_loss})
        ]
        panels += [("metric", self.metrics)] if self.metrics else []
        figure = Figure(figsize=(5 * len(panels), 3.6), layout="constrained")
        for axes, (label, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for name, values in lines.items():
                if len(values):
                    axes.plot(range(1, len(values) + 1), values, label=name, marker=".", markersize=4, linewidth=1.5)
            axes.set(xlabel=unit, ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            if axes.lines:
                axes.legend(frameon=False)
        if path is not None:
            figure.savefig(path)
        return figure


def _floats(name: str, values: Any) -> list[float]:
    if not isinstance(values, list) or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise GraphError(f"'{name}' of a history is a list of numbers, not {values!r:.80}")
    return [float(v) for v in values]

"""Where a fit is: what a checkpoint holds beside the state of the network.

The order of an epoch's rows is not stored: it is drawn again from the generator as it was before the epoch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError


@dataclass(slots=True)
class Position:
    """A place in a fit, between two steps.

    generator  state of the generator of row orders, as of the beginning of this epoch
    batch      how many batches of this epoch are done
    total      the sum of their losses, each times its rows
    rows       of the data, size of a batch, and whether they are shuffled: they belong to the epoch's order
    stopped    whether a callback has ended the fit
    waiting    how many callbacks, the last ones, have yet to hear of the latest step or epoch: others were interrupted
    """

    generator: dict[str, Any] = field(default_factory=dict)
    batch: int = 0
    total: float = 0.0
    rows: int = 0
    size: int = 0
    shuffle: bool = True
    stopped: bool = False
    waiting: int = 0

    def begin(self, generator: np.random.Generator) -> None:
        """From here on, the first epoch of a fit, which `generator` is about to draw."""
        self.generator = generator_state(generator)

    def draw(self, generator: np.random.Generator) -> npt.NDArray[np.int64] | None:
        """The order of this epoch's rows, drawn from `generator`; None for that in which they lie."""
        if not self.shuffle:
            return None
        set_generator(generator, self.generator)
        return generator.permutation(self.rows)

    def end_epoch(self, generator: np.random.Generator) -> None:
        """From here on, the epoch after this one."""
        self.batch, self.total = 0, 0.0
        if self.shuffle:
            self.generator = generator_state(generator)

    def over(self, rows: int, size: int, shuffle: bool) -> None:
        """Tell what data the fit is on. GraphError where an epoch has begun on other data."""
        if self.batch and (rows, size, shuffle) != (self.rows, self.size, self.shuffle):
            raise GraphError(
                f"the fit to resume is in the middle of an epoch over {self.rows} rows in batches of {self.size} "
                f"(shuffle={self.shuffle}); it is given {rows} rows in batches of {size} (shuffle={shuffle})"
            )
        self.rows, self.size, self.shuffle = rows, size, shuffle

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Position:
        """A Position from `to_dict` data; ValueError where it is no such thing."""
        kinds = {"generator": dict, "batch": int, "total": float, "rows": int, "size": int}
        kinds |= {"shuffle": bool, "stopped": bool, "waiting": int}
        if not isinstance(data, dict) or data.keys() != kinds.keys():
            raise ValueError(f"a position has {', '.join(kinds)}, not {data!r:.80}")
        for name, kind in kinds.items():
            if type(data[name]) is not kind:
                raise ValueError(f"the position's {name} is {data[name]!r:.40}")
        found = cls(**data)
        set_generator(np.random.default_rng(0), found.generator)
        return found


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of a generator as plain data, made for the caller."""
    return dict(generator.bit_generator.state)


def set_generator(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Put a generator into a state. ValueError where it is none of its kind."""
    try:
        generator.bit_generator.state = state
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"this is no state of a {type(generator.bit_generator).__name__} generator") from error

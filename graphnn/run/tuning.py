"""What measuring the variants of a program gave: plain data, kept in its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from graphnn.run.readers import read_number, read_pairs, read_text


@dataclass(frozen=True, slots=True)
class Tuning:
    """The variant that was `chosen`, and the `seconds` that one call of each took, in the order of measuring."""

    chosen: str
    seconds: Mapping[str, float]

    def __str__(self) -> str:
        """A row per variant, the chosen one marked.

        variant                us
        by cost                131.0
        tiles of 24 registers  128.2  chosen
        """
        width = max(map(len, self.seconds))
        rows = [f"{'variant':{width}}  us"]
        for name, seconds in self.seconds.items():
            rows.append(f"{name:{width}}  {1e6 * seconds:.1f}{'  chosen' if name == self.chosen else ''}")
        return "\n".join(rows) + "\n"

    def to_json(self) -> list[Any]:
        return [self.chosen, [list(row) for row in self.seconds.items()]]

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The inverse of `to_json`. TypeError or ValueError for data of another form."""
        match data:
            case [str(chosen), list(rows)]:
                seconds = {read_text(name): read_number(value) for name, value in read_pairs(rows)}
                if chosen in seconds:
                    return cls(chosen, seconds)
        raise TypeError(f"{data!r} is not a tuning")

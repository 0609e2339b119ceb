"""Formulas of update rules that are made when somebody reads one: a program that is found on disk needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from graphnn.late import sympy


class LateFormulas(Mapping[str, "sympy.Expr"]):
    """Formulas of known targets; `told` is what tells them from others, in any process."""

    def __init__(self, targets: Sequence[str], told: Any, make: Callable[[], Mapping[str, sympy.Expr]]) -> None:
        self._targets, self.told, self._make = tuple(targets), told, make

    @cached_property
    def _made(self) -> Mapping[str, sympy.Expr]:
        return self._make()

    def __getitem__(self, key: str) -> sympy.Expr:
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


def told(formulas: Mapping[str, sympy.Expr]) -> Any:
    """What tells formulas from others, as plain data."""
    if isinstance(formulas, LateFormulas):
        return formulas.told
    from graphnn.declare.text import formula  # where formulas are

    return {key: formula(f) for key, f in formulas.items()}

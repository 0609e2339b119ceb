"""What earlier declarations found out: by op and types of its operands, the outlines of the nodes that make up a call.

Declaring alike tensors again, in this process or a later one, then binds no formula. `run/outlines.py` keeps them
beside the compiled programs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from graphnn.declare.extents import TensorType, from_plain
from graphnn.declare.outline import LateDefinition, LateStep, Outline
from graphnn.errors import GraphError

if TYPE_CHECKING:
    from graphnn.declare.definition import Definition, Recipe, Step

LIMIT = 1024  # calls that are remembered, those found out last; a file of so many is read in about a millisecond


class Outlines:
    """Steps of calls by their keys: those of this process, and those that `read` gives of earlier ones."""

    def __init__(self) -> None:
        self.read: Callable[[], bytes | None] = lambda: None
        self._known: dict[str, Sequence[Step | LateStep]] = {}
        self._new: dict[str, Recipe] = {}  # bound here and kept nowhere yet
        self._kept: dict[str, Any] | None = None
        self._lock = Lock()

    def find(self, key: str, make: Callable[[], Recipe]) -> Sequence[Step | LateStep] | None:
        """The steps of a call; `make` gives its recipe, which is asked for when somebody looks at a definition."""
        steps = self._known.get(key)
        if steps is None:
            if self._kept is None:
                self._kept = _content(self.read())
            if (rows := self._kept.get(key)) is None:
                return None
            steps = _late(rows, make)
            self._remember(key, steps)
        return steps

    def learn(self, key: str, recipe: Recipe) -> None:
        """Remember what a call was bound to."""
        self._remember(key, recipe)
        with self._lock:
            self._new[key] = recipe
            _limit(self._new)

    def _remember(self, key: str, steps: Sequence[Step | LateStep]) -> None:
        with self._lock:
            self._known[key] = steps
            _limit(self._known)

    @property
    def has_new(self) -> bool:
        """Whether there is something to be kept."""
        return bool(self._new)

    def updated(self, kept: bytes | None) -> bytes | None:
        """What is kept, with what is new here; None where nothing is."""
        with self._lock:
            new, self._new = self._new, {}
        rows = {key: _rows(recipe) for key, recipe in new.items()}
        rows = {key: row for key, row in rows.items() if row is not None}
        if not rows:
            return None
        content = {**_content(kept), **rows}
        return json.dumps(dict([*content.items()][-LIMIT:])).encode()


def _limit(memory: dict[str, Any]) -> None:
    if len(memory) > LIMIT:
        del memory[next(iter(memory))]


def _content(data: bytes | None) -> dict[str, Any]:
    content: dict[str, Any] = {} if data is None else json.loads(data)
    return content


def _rows(recipe: Recipe) -> list[Any] | None:
    """A recipe as plain data; None where a size is of a form that cannot be kept."""
    from graphnn.declare.describe import describe  # where formulas are
    from graphnn.declare.sizes import to_plain

    outlines = [describe(step.definition) for step in recipe]
    try:
        return [
            [to_plain(o.type.shape), o.type.dtype, o.digest, o.ways, o.held, step.sources]
            for o, step in zip(outlines, recipe, strict=True)
        ]
    except GraphError:
        return None


def _late(rows: list[Any], make: Callable[[], Recipe]) -> Sequence[LateStep]:
    once = cache(make)
    steps = []
    for number, (shape, dtype, digest, ways, held, sources) in enumerate(rows):
        outline = Outline(
            TensorType(from_plain(shape), dtype), digest, tuple(map(tuple, ways)), tuple(map(tuple, held))
        )
        definition = LateDefinition(outline, partial(_definition, once, number))
        steps.append(LateStep(definition, tuple(sources)))
    return tuple(steps)


def _definition(recipe: Callable[[], Recipe], number: int) -> Definition:
    return recipe()[number].definition


OUTLINES = Outlines()

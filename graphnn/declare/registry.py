"""The names of ops. `ops/` fills the table when it is imported; Tensor operators and files look ops up here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from graphnn.errors import GraphError

OpFunction = Callable[..., Any]
F = TypeVar("F", bound=OpFunction)

OPS: dict[str, OpFunction] = {}


def register(name: str, function: F) -> F:
    """Enter an op (an `Op`, or a function that builds one for its arguments) under its public name."""
    if name in OPS:
        raise GraphError(f"an op named '{name}' is registered already")
    OPS[name] = function
    return function


def find_op(name: str) -> OpFunction:
    """The op of that name; GraphError names those that are close."""
    if name not in OPS:
        close = sorted(OPS, key=lambda known: (-len(set(known) & set(name)) / len(set(known) | set(name)), known))[:3]
        raise GraphError(f"unknown op {name!r}; did you mean {', '.join(close)}?" if OPS else f"unknown op {name!r}")
    return OPS[name]

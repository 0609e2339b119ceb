"""Imports of what the extra `data` installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphnn.errors import GraphnnError


@contextmanager
def needs(what: str) -> Iterator[None]:
    """An import that may fail inside; GraphnnError then says what `what` needs, and how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise GraphnnError(f"{what} needs {error.name}: pip install 'graphnn[data]'") from error

"""Checks that layers and training share."""

from __future__ import annotations

import operator
from typing import Any

from graphnn.errors import GraphError


def check_count(what: str, value: Any, least: int) -> int:
    """The int; GraphError unless `value` is one of at least `least`."""
    try:
        count = operator.index(value)  # an array has __index__, too, and refuses here
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < least:
        raise GraphError(f"{what} is an int of at least {least}, not {' '.join(repr(value).split()):.40}")
    return count

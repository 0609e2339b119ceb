"""Attributes of nodes, which are only shown, as plain data."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """An attribute, which is only shown, as JSON: sequences as lists, and what JSON cannot hold as its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return str(value)

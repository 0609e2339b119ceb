"""The ways that a call can take, as a fixture's parameters: through the native entry, or through Python alone."""

from __future__ import annotations

from typing import Any

import pytest

from graphnn.run.call import WARM
from graphnn.run.executable import Executable
from graphnn.run.native import entry, plan

WAYS = ("native", "native, releasing the GIL", "python")


def choose(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every program that is built from now on take that way."""
    if way == "python":
        monkeypatch.setattr(entry, "native_entry", lambda: None)
    else:
        monkeypatch.setattr(plan, "RELEASE_ABOVE", -1 if "GIL" in way else 2**62)


def warm(program: Executable, **inputs: Any) -> Executable:
    """Call the program until its entry is made, where it can have one; the last two calls are alike."""
    for _ in range(WARM + 2):
        program(**inputs)
    return program


def is_native(program: Executable) -> bool:
    """Whether calls go to the native entry first."""
    return type(program.__call__).__name__ == "builtin_function_or_method"


def left(program: Executable, **inputs: Any) -> bool:
    """Whether a call with these inputs is left to the way through Python."""
    taken: list[object] = []
    assert program._call.entry is not None
    program._call.entry.function(lambda **given: taken.append(given))(**inputs)
    return bool(taken)

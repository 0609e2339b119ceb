"""The loop over steps in this process: linked once."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from graphnn.run.link import link_object
from graphnn.run.native.records import STEPS_SYMBOL
from graphnn.run.objects import runtime_object


@cache
def native_steps() -> Callable[[int], int]:
    """The function of `run/native/steps_code.py` on the address of a record; calls of it release the GIL."""
    library = link_object(runtime_object("steps", _text, opt=1), (STEPS_SYMBOL,))
    _KEPT.append(library)
    return steps_at(library[STEPS_SYMBOL])


def _text(triple: str) -> str:
    from graphnn.run.native.steps_code import steps_text

    return steps_text(triple)


def steps_at(address: int) -> Callable[[int], int]:
    """A loaded function of that kind."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)


_KEPT: list[object] = []  # the code lives as long as what linked it

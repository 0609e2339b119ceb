"""The loop over steps in this process: compiled and linked once."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from graphnn.emit.target import host
from graphnn.run.jit import compile_object
from graphnn.run.link import link_object


@cache
def native_steps() -> Callable[[int], int]:
    """The function of `run/native/steps_code.py` on the address of a record; calls of it release the GIL."""
    from graphnn.run.native.steps_code import SYMBOL, steps_text  # for processes that train

    library = link_object(compile_object(steps_text(host().triple), host(), opt=1), (SYMBOL,))
    _KEPT.append(library)
    return steps_at(library[SYMBOL])


def steps_at(address: int) -> Callable[[int], int]:
    """A loaded function of that kind."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)


_KEPT: list[object] = []  # the code lives as long as what linked it

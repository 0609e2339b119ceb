"""Threads of native programs: how many, the one pool of this process, and a program that knows of both."""

from __future__ import annotations

import ctypes
import os

from graphnn.emit.target import TEAM
from graphnn.errors import CompileError
from graphnn.run.link import NativeFunction, link_object

VARIABLE = "GRAPHNN_NUM_THREADS"
RUN, RESET = "graphnn_pool_run", "graphnn_pool_reset"  # functions of the pool
MOST = 256  # threads of a region


def count_threads(threads: int | None = None) -> int:
    """As many as asked for; else what GRAPHNN_NUM_THREADS says; else one.

    Raises CompileError for what is no positive int.
    """
    if threads is not None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise CompileError(f"threads={threads!r:.40}: a positive int")
        return threads
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise CompileError(f"the environment says {VARIABLE}={text!r:.40}: a positive int")
        return int(text)
    return 1


def load_program(
    code: bytes, entry: str, parallel: bool, threads: int, prepare: str = "", steps: str = ""
) -> NativeFunction:
    """Link a program and, where its entries are `parallel`, give it the pool with this number of threads.

    `prepare` names its entry that fills prepared arrays and `steps` its function of many steps, if it has them. Raises
    CompileError where the object needs a symbol that the process does not have.
    """
    others = filter(None, (TEAM if parallel else "", prepare, steps))
    library = link_object(code, (entry, *others))
    run = _pool() if parallel and threads > 1 else 0
    if run:
        words = (ctypes.c_int64 * 2).from_address(library[TEAM])
        words[:] = [run, min(threads, MOST)]
    return NativeFunction(
        library[entry], library, prepare=library[prepare] if prepare else 0, steps=library[steps] if steps else 0
    )


def _pool() -> int:
    """The address of the pool's `run`; 0 where the system has no POSIX threads: programs then run in one."""
    if RUN not in _POOL:
        _POOL.setdefault(RUN, _make_pool())  # of two threads that make one at the same time, one is heard
    return _POOL[RUN]


_POOL: dict[str, int] = {}


def _make_pool() -> int:
    """Link the pool.

    Its code is never unloaded, since its workers sleep in it until the process ends. A child that `os.fork` makes has
    none of them and begins with an empty pool.
    """
    from graphnn.run.objects import runtime_object
    from graphnn.run.pool_code import pool_text  # most processes run in one thread

    try:
        library = link_object(runtime_object("pool", pool_text), (RUN, RESET))
    except CompileError:
        return 0
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
    reset = ctypes.CFUNCTYPE(None)(library[RESET])
    reset()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset)
    return int(library[RUN])

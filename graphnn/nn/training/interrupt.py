"""Ctrl-C while native code runs: between two steps, or at once where nothing is written."""

from __future__ import annotations

import signal
import threading

# The functions behind those of `signal`, which look for a member of an enumeration that a handler is: 10 us a fit.
from _signal import getsignal  # type: ignore[import-not-found]
from _signal import signal as set_handler
from collections.abc import Callable
from concurrent.futures import Future, wait
from types import FrameType
from typing import TypeVar

from graphnn.run.steps import TICK

T = TypeVar("T")


class Interrupts:
    """Holds a KeyboardInterrupt back while steps run and raises it at the end of one of them.

    So weights and optimizer slots always belong to the same step.

    As a context manager it takes SIGINT over and gives it back. Elsewhere than on the main thread, and where the
    program has a handler of its own, nothing is changed: Python delivers signals to the main thread alone.
    """

    def __init__(self) -> None:
        self.stepping = self.pending = self._installed = False
        self.stop: Callable[[], None] | None = None

    def __enter__(self) -> Interrupts:
        alone = getsignal(signal.SIGINT) is signal.default_int_handler
        if alone and threading.get_ident() == threading.main_thread().ident:
            set_handler(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            set_handler(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.stepping:
            raise KeyboardInterrupt
        self.pending = True
        if self.stop is not None:
            self.stop()

    def step(self, stop: Callable[[], None] | None = None) -> _Step:
        """Everything inside happens, or raises an error of its own, before an interrupt gets through.

        An interrupt calls `stop`, with which what is inside may come to its end sooner.
        """
        return _Step(self, stop)


class _Step:
    """What `Interrupts.step` gives."""

    __slots__ = ("_interrupts", "_stop")

    def __init__(self, interrupts: Interrupts, stop: Callable[[], None] | None) -> None:
        self._interrupts, self._stop = interrupts, stop

    def __enter__(self) -> None:
        self._interrupts.stop, self._interrupts.stepping = self._stop, True

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        interrupts = self._interrupts
        interrupts.stepping = False
        if error is None and interrupts.pending:
            interrupts.pending = False
            raise KeyboardInterrupt


def wait_for(call: Callable[[], T]) -> T:
    """call(), on a thread of its own: Python handles a signal when a native call of the main thread has returned.

    An interrupt leaves the call to finish by itself, so it must be one that changes nothing.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="evaluation").start()
    while not future.done():
        wait([future], TICK)
    return future.result()

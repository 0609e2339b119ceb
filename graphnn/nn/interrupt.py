"""Ctrl-C between two steps: weights and optimizer slots always belong to the same step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Holds a KeyboardInterrupt back while a step runs and raises it at the step's end.

    As a context manager it takes SIGINT over and gives it back. Elsewhere than on the main thread, and where the
    program has a handler of its own, nothing is changed: Python delivers signals to the main thread alone.
    """

    def __init__(self) -> None:
        self._stepping = self._pending = self._installed = False

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._stepping:
            raise KeyboardInterrupt
        self._pending = True

    @contextmanager
    def step(self) -> Iterator[None]:
        """Everything inside happens, or raises an error of its own, before an interrupt gets through."""
        self._stepping = True
        try:
            yield
        finally:
            self._stepping = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

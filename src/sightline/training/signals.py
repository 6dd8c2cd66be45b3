"""SIGINT and SIGTERM ask a training to save and stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final


@final
class Stopped(BaseException):
    """Raised by a signal inside `interruptible()`; not an `Exception`, so that no handler swallows it."""


@final
class StopRequest:
    """Remembers the first SIGINT or SIGTERM; a second one ends the process at once.

    A step is never interrupted: the caller reads `signal_number` between steps. Inside `interruptible()`, for work that
    changes nothing, such as validation, the signal raises `Stopped` at once.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._interruptible = False

    @property
    def name(self) -> str:
        return "" if self.signal_number is None else signal.Signals(self.signal_number).name

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Install the handlers, in the main thread only (a rule of Python); restore the old ones at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        self._interruptible = True
        try:
            if self.signal_number is not None:
                raise Stopped
            yield
        finally:
            self._interruptible = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_DFL)
        if self._interruptible:
            raise Stopped

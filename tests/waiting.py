"""Waiting for another process: until a condition holds, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 300.0  # a limit for what hangs, not a measurement


def wait_until(condition: Callable[[], T]) -> T:
    """The first true value of `condition`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s"
        time.sleep(0.02)
    return value

"""Places at which a long computation may be stopped by whoever asked for it.

    with interruptible(check):  # `check` raises what stops it
        decode(…)

Loops over steps, batches and positions call `interruption_point`, which calls the check of the thread, if it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CHECK: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Calls `check` at every point inside the block, which ends with what it raises."""
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


def interruption_point() -> None:
    """A place at which the computation may be stopped."""
    check = _CHECK.get()
    if check is not None:
        check()

"""Messages of the library on stderr while a command runs."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Printer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(f"sightline: {record.getMessage()}", file=sys.stderr)  # sys.stderr may have been replaced since the start


def command_line() -> str:
    """The command line of this process, as a shell reads it."""
    return shlex.join(["sightline", *sys.argv[1:]])


@contextmanager
def messages(*, quiet: bool = False) -> Iterator[None]:
    """Shows the library's warnings and, unless `quiet`, its informational messages."""
    logger, handler = logging.getLogger("sightline"), _Printer()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)

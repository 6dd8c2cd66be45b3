"""Messages of commands and of the library on stderr, and JSON on stdout."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from sightline.core.json_text import to_json


@final
class _Printer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


def tell(message: str) -> None:
    """Print a message on stderr."""
    print(f"sightline: {message}", file=sys.stderr, flush=True)


def progress_lines(*, quiet: bool = False) -> Callable[[str], object]:
    """A function that prints lines of progress on stderr unless `quiet`."""
    return lambda line: None if quiet else print(line, file=sys.stderr, flush=True)


def print_json(record: Mapping[str, Any]) -> None:
    """Print results as one JSON object."""
    print(to_json(record))


def opened(run: Path, device: str, plugin: list[str] | None = None) -> Any:
    """The trained task of a run, of a model or of the winner of a comparison, on a device, once plugins are loaded."""
    from sightline.models.plugins import load_plugins
    from sightline.tasks.load import load
    from sightline.training.environment import resolve_device

    load_plugins(plugin)
    with messages():
        return load(run).to(resolve_device(device))


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

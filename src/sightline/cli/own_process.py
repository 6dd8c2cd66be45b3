"""Settings of a command's own process, which a library must not choose for the program that uses it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from cyclopts import App


def before_call(command: App, settle: Callable[[], None]) -> None:
    """Let the command, or each of its subcommands, call `settle` before it runs."""
    for nested in (command[name] for name in command if not name.startswith("-")):
        before_call(nested, settle)
    function = command.default_command
    if function is None:
        return

    @functools.wraps(function)
    def settled(*arguments: Any, **options: Any) -> Any:
        settle()
        return function(*arguments, **options)

    command.default_command = settled


def settle() -> None:
    """Flush subnormal numbers, and keep freed memory (see `core.subnormals`, `core.kept_memory`)."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # each process would print torch's advice on DDP

    from sightline.core.kept_memory import keep_freed_memory
    from sightline.core.subnormals import flush_subnormals

    flush_subnormals()
    keep_freed_memory()

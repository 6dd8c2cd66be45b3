"""Calls in a separate process, isolated in memory and from crashes."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from sightline.lab.bench.scenario import Unavailable

T = TypeVar("T")
# Imported once and inherited by every child through fork; nothing is computed before the fork.
PRELOADED = ["sightline.lab.bench.table"]


class ChildFailed(Exception):
    """The process ended without a result; the message says how."""


def in_child(function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)` in a new process; passes `Unavailable` on and turns other errors into `ChildFailed`."""
    context: Any = multiprocessing.get_context("spawn")
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        kind, value = receiver.recv()
    except EOFError:
        process.join()
        raise ChildFailed(_ending(process.exitcode)) from None
    finally:
        receiver.close()
        if process.is_alive():
            process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
    if kind == "unavailable":
        raise Unavailable(value)
    if kind == "failed":
        raise ChildFailed(value)
    return value


def _child(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        message = ("done", function(*arguments))
    except Unavailable as error:
        message = ("unavailable", str(error))
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        message = ("failed", f"{type(error).__name__}: {error} ({at.filename.rpartition('/')[2]}:{at.lineno})")
    sender.send(message)


def _ending(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"the process was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"the process exited with {status}"

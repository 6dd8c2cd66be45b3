"""Calls in processes of their own, so that neither their memory nor their end touches anything else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, final

T = TypeVar("T")

_starting = threading.Lock()


class CallFailed(Exception):
    """The call raised: "ValueError: no such kernel (cases.py:12)"."""


@final
class ProcessDied(CallFailed):
    """The process ended without a result: "the process was ended by SIGKILL (out of memory?)"."""


def in_child(
    function: Callable[..., T],
    *arguments: Any,
    passing: tuple[type[Exception], ...] = (),
    preload: Sequence[str] = (),
) -> T:
    """`function(*arguments)` in a fresh process. Threads may call this side by side.

    Args:
        function: importable by name, like the arguments' types, and not of the script that this program runs.
        passing: exceptions of the call to raise as they are.
        preload: modules that every child needs; imported once and inherited by fork, as far as the first call of this
            program names them.

    Raises:
        CallFailed, ProcessDied.
    """
    context: Any = multiprocessing.get_context("spawn")
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(preload))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, arguments, passing), daemon=True)
    with _without_script():
        process.start()
    sender.close()
    try:
        value, error = receiver.recv()
    except EOFError:
        process.join()
        raise ProcessDied(f"the process {ending(process.exitcode)}") from None
    finally:
        receiver.close()
        if process.is_alive():
            process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
    if error is not None:
        raise error
    return value


@contextmanager
def _without_script() -> Iterator[None]:
    """A process that starts inside does not run the script of this program, which would need a guard against that."""
    with _starting:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ending(status: int | None) -> str:
    """The end of a process, in words: "was ended by SIGKILL (out of memory?)", "exited with 3"."""
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"exited with {status}"


def _child(
    sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], passing: tuple[type[Exception], ...]
) -> None:
    try:
        answer = (function(*arguments), None)
    except passing as error:
        answer = (None, error)
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        answer = (None, CallFailed(f"{type(error).__name__}: {error} ({place})"))
    sender.send(answer)


def peak_memory_bytes() -> int | None:
    """Peak resident set size of this program; None where the system does not say.

    On Linux `getrusage` counts the memory of the process that started this one too, so the kernel's own figure is read.
    """
    with suppress(OSError, StopIteration):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

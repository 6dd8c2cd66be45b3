"""A process that is forked for each job: its children inherit the imports and nothing else. Linux only."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import final

from sightline.core.json_text import to_json
from sightline.lab.jobs import ENDED

_SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)


@final
class Nursery:
    """Forks for every line of standard input and reports how the child ended; `work(path)` gives its exit status.

    It ends with its standard input, and after SIGTERM, which it passes on. Children never outlive it. Neither it nor a
    library may have started threads: a child would wait for them for ever. OpenMP starts none if it may have only one.
    """

    def __init__(self, work: Callable[[Path], int]) -> None:
        self._work = work
        self._child: int | None = None
        self._stopping = False

    def serve(self) -> None:
        """Work until standard input ends or SIGTERM comes."""
        signal.signal(signal.SIGTERM, self._stop)
        for path in self._paths():
            child = self._fork(path)
            status = self._await(child)
            self._child = None
            print(to_json({"stage": ENDED, "status": status}), flush=True)
            if self._stopping:
                return

    def _fork(self, path: Path) -> int:
        """Start a child on a job; a signal meanwhile waits until both sides are ready for it."""
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        child = os.fork()
        if child == 0:
            self._become_child(path, parent)
        self._child = child
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        return child

    def _paths(self) -> Iterator[Path]:
        rest = b""
        while received := os.read(0, 4096):
            *lines, rest = (rest + received).split(b"\n")
            yield from (Path(json.loads(line)) for line in lines)

    def _await(self, child: int) -> int:
        """The exit status of the child, or minus the signal that ended it; ends it with standard input."""
        descriptor = os.pidfd_open(child)
        try:
            ready, _, _ = select.select([0, descriptor], [], [])
            if descriptor not in ready:  # no job comes while one runs: the comparing process has ended
                os.kill(child, signal.SIGKILL)
                self._stopping = True
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        finally:
            os.close(descriptor)

    def _become_child(self, path: Path, parent: int) -> None:
        """Work in this process, a child, and end it."""
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            ctypes.CDLL(None).prctl(_SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if os.getppid() == parent:  # otherwise it has ended already, without the signal
                status = self._work(path)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Pass SIGTERM on to a job, which saves its state, and end after it."""
        if self._child is None:
            os._exit(128 + number)
        self._stopping = True
        os.kill(self._child, number)

"""Worker processes of this machine: each has its share of the cores, reports progress, and ends with its parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, final

from sightline.core.config import decode
from sightline.core.json_text import to_json
from sightline.core.processes import available_cores, ending
from sightline.lab.executor import Executor, Meanwhile, Running
from sightline.lab.jobs import DONE, ENDED, FAILED, FAILING, JOB, LOG, Failure, Job, put_job, read_json

T = TypeVar("T")

POLL_S = 0.2
GRACE_S = 10.0
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


@final
class Worker(Running):
    """A process for one job after another (see `lab.worker`).

    Unlike `core.processes.in_child`, it runs a separate program: its output goes to a log, Ctrl-C does not reach it.
    """

    def __init__(self, threads: int, *, cwd: str | None = None) -> None:
        self.threads = threads
        self._progress: dict[str, Any] = {}
        self._job: Job | None = None
        self._status: int | None = None  # of the job's process, once it has ended
        self._failure: Failure | None = None  # as its process reported it
        self._outside = b""  # what it printed outside of jobs, once it has ended
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `wait`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sightline.lab.worker", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(),
            cwd=cwd,
            start_new_session=True,  # Ctrl-C reaches only the comparing process, which then ends its workers
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a library printed something
            if message.get("stage") == ENDED:
                self._status = message["status"]
            elif message.get("stage") == FAILING:
                self._failure = decode(Failure, message["failure"], where="a message of a worker")
            else:
                self._progress = message

    def take(self, job: Job) -> None:
        """Begin a job, which is in its directory; the one before has ended.

        Raises:
            OSError: the process has ended meanwhile.
        """
        assert self._process.stdin is not None
        self._job, self._progress = job, {"stage": "starting"}
        self._status = self._failure = None
        self._process.stdin.write(to_json(str(job.directory / JOB)).encode() + b"\n")
        self._process.stdin.flush()

    @property
    def progress(self) -> dict[str, Any]:
        """The present job's latest message."""
        return self._progress

    @property
    def job(self) -> Job:
        """The present job, or the last one."""
        if self._job is None:
            raise ValueError("the worker has had no job")
        return self._job

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process can take a job."""
        return self._process.poll() is None

    def ended(self) -> bool:
        """Whether the job has ended, or the process."""
        return self._status is not None or not self.alive

    def failure(self) -> Failure | None:
        if self._done:
            return None
        if self._failure is not None:
            return self._failure
        if (self.job.directory / FAILED).exists():
            return read_json(Failure, self.job.directory / FAILED)
        status = self._end()
        detail = "" if status < 0 else f": {self._last_line()}"
        return Failure("failed", f"the worker process {ending(status)}{detail}")

    @property
    def died(self) -> bool:
        """Whether a signal that nobody handled ended the job's process, or this one, without a result."""
        return self._end() < 0 and not self._done and self._failure is None

    def result(self, kind: type[T]) -> T:
        """The result of a job that succeeded, from its file."""
        return read_json(kind, self.job.directory / DONE)

    @property
    def _done(self) -> bool:
        """Whether there is a result, which is the last thing that a job writes, whole or not at all."""
        return (self.job.directory / DONE).exists()

    def _end(self) -> int:
        """How the job's process ended, or this one if it did not outlive the job."""
        if not self.alive:
            self.wait()
        return self._process.returncode if self._status is None else self._status

    def stop(self) -> None:
        """Ask the process to end; `wait` enforces it."""
        if self.alive:
            self._process.terminate()

    def wait(self) -> None:
        """Wait for the process to end; kill it after `GRACE_S`."""
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if not self._errors.closed:
            self._errors.seek(0)
            self._outside = self._errors.read()
            self._errors.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what the process has not read
                    pipe.close()

    def _last_line(self) -> str:
        log = self.job.directory / LOG
        text = log.read_bytes() if log.exists() else b""
        lines = (text.strip() or self._outside).decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "its log is empty"


def environment() -> dict[str, str]:
    """The environment of a worker: one thread for every library, until a job has its own process and its share.

    OpenMP's threads, once started, make a fork unsafe, and some are started by imports.
    """
    return {**os.environ, **dict.fromkeys(THREAD_COUNTS, "1"), "TOKENIZERS_PARALLELISM": "false"}


@final
class LocalExecutor(Executor[Worker]):
    """Worker processes that are used for one job after another; `idle` are those without a job."""

    def __init__(self) -> None:
        self.active: list[Worker] = []
        self.idle: list[Worker] = []

    @property
    def cores(self) -> list[int]:
        """Those that this process may use."""
        return [available_cores()]

    @property
    def gpus(self) -> int:
        """One: jobs on the same GPU would slow each other down."""
        return 1

    def open(self, workers: int, threads: int, directory: Path) -> None:
        """Start the processes: their imports take seconds."""
        self.idle = [Worker(threads) for _ in range(workers)]

    def start(self, job: Job, threads: int) -> None:
        """Give the job to an idle worker, or to a new one where none is left: the others have died or are too slow."""
        put_job(job)
        while self.idle:
            worker = self.idle.pop(0)
            if worker.threads == threads and worker.alive:
                with suppress(OSError):  # it has just died
                    worker.take(job)
                    break
            worker.stop()
            worker.wait()
        else:
            worker = Worker(threads)
            worker.take(job)
        self.active.append(worker)

    def wait_for_one(self, meanwhile: Meanwhile) -> list[Worker]:
        """Wait until a job ends; return the workers of all that have, which are idle then unless they died."""
        ended: list[Worker] = []
        while self.active and not (ended := [worker for worker in self.active if worker.ended()]):
            meanwhile(self.active)
            time.sleep(POLL_S)
        self.active = [worker for worker in self.active if worker not in ended]
        self.idle += [worker for worker in ended if worker.alive]
        return ended

    def end(self) -> None:
        """Stop all workers."""
        for worker in [*self.active, *self.idle]:
            worker.stop()
        for worker in [*self.active, *self.idle]:
            worker.wait()
        self.active, self.idle = [], []


def log_to(path: Path) -> None:
    """Let standard error write to a new file, for libraries in other languages too."""
    with path.open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())

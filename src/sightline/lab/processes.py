"""Processes of a comparison: each has its share of the cores, reports progress, and ends with its parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import Any, final

from sightline.core.json_text import to_json
from sightline.core.processes import ending
from sightline.lab.jobs import DONE, ENDED, FAILED, JOB, LOG, Failure, Job, read_json, write_json

GRACE_S = 10.0
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


@final
class Worker:
    """A process for one job after another (see `lab.worker`); `progress` is the present one's latest message.

    Unlike `core.processes.in_child`, it runs a separate program: its output goes to a log, Ctrl-C does not reach it.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.progress: dict[str, Any] = {}
        self._job: Job | None = None
        self._status: int | None = None  # of the job's process, once it has ended
        self._outside = b""  # what it printed outside of jobs, once it has ended
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `wait`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sightline.lab.worker", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(),
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
            else:
                self.progress = message

    def take(self, job: Job) -> None:
        """Begin a job; the one before has ended.

        Raises:
            OSError: the process has ended meanwhile.
        """
        assert self._process.stdin is not None
        job.directory.mkdir(parents=True, exist_ok=True)
        for name in (DONE, FAILED, LOG):
            (job.directory / name).unlink(missing_ok=True)
        write_json(job.directory / JOB, job)
        self._job, self.progress = job, {"stage": "starting"}
        self._status = None
        self._process.stdin.write(to_json(str(job.directory / JOB)).encode() + b"\n")
        self._process.stdin.flush()

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
        """The failure of an ended job; None if it succeeded."""
        if not self.alive:
            self.wait()
        directory, status = self.job.directory, self._process.returncode if self._status is None else self._status
        if status == 0 and (directory / DONE).exists():
            return None
        if (directory / FAILED).exists():
            return read_json(Failure, directory / FAILED)
        detail = "" if status < 0 else f": {self._last_line()}"
        return Failure("failed", f"the worker process {ending(status)}{detail}")

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

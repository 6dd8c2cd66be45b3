"""Processes of a comparison: each has its share of the cores, reports progress, and ends with its parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, final

from sightline.core.processes import ending
from sightline.lab.jobs import DONE, FAILED, JOB, LOG, Failure, Job, read_json, write_json

GRACE_S = 10.0


@final
class Worker:
    """One running job; `progress` is its latest progress message.

    Unlike `core.processes.in_child`, it runs a separate program: the thread counts of all libraries are set before
    anything is imported, its output goes to a log, and Ctrl-C does not reach it.
    """

    def __init__(self, job: Job, threads: int) -> None:
        self.job = job
        self.progress: dict[str, Any] = {"stage": "starting"}
        job.directory.mkdir(parents=True, exist_ok=True)
        write_json(job.directory / JOB, job)
        with open(job.directory / LOG, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sightline.lab.worker", str(job.directory / JOB), "--watch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(threads),
                start_new_session=True,  # Ctrl-C reaches only the comparing process, which then ends its workers
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self.progress = json.loads(line)
            except ValueError:
                continue  # a library printed something

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def failure(self) -> Failure | None:
        """The failure of an ended process; None if the job succeeded."""
        self._close()
        directory, status = self.job.directory, self._process.returncode
        if status == 0 and (directory / DONE).exists():
            return None
        if (directory / FAILED).exists():
            return read_json(Failure, directory / FAILED)
        detail = "" if status < 0 else f": {_last_line(directory / LOG)}"
        return Failure("failed", f"the worker process {ending(status)}{detail}")

    def stop(self) -> None:
        """Ask the process to end; `wait` enforces it."""
        if not self.ended():
            self._process.terminate()

    def wait(self) -> None:
        """Wait for the process to end; kill it after `GRACE_S`."""
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker, which limits the threads of every library."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads)), "TOKENIZERS_PARALLELISM": "false"}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "its log is empty"

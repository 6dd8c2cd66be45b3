"""Where the jobs of a comparison run: worker processes of this machine. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import final

from sightline.lab.jobs import Job
from sightline.lab.processes import Worker

POLL_S = 0.2


@final
class LocalExecutor:
    """Worker processes that are used for one job after another; `active` have a job, `idle` none."""

    def __init__(self) -> None:
        self.active: list[Worker] = []
        self.idle: list[Worker] = []

    def open(self, workers: int, threads: int) -> None:
        """Start the processes: their imports take seconds."""
        self.idle = [Worker(threads) for _ in range(workers)]

    def start(self, job: Job, threads: int) -> None:
        """Give the job to an idle worker, or to a new one where none is left: the others have died or are too slow."""
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

    def wait_for_one(self, meanwhile: Callable[[Sequence[Worker]], None]) -> list[Worker]:
        """Wait until a job ends; return the workers of all that have, which are idle then unless they died.

        `meanwhile` is called again and again with the workers that have a job.
        """
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

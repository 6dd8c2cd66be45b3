"""Workers that outlive a comparison of a test: their imports take seconds, and each job has a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sightline.lab.processes import LocalExecutor, Worker

MOST = 2  # of those kept


def place(threads: int) -> tuple[object, ...]:
    """What a process has for good from its start: threads, working directory and environment."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return threads, os.getcwd(), tuple(sorted(environment.items()))


@contextmanager
def kept_workers() -> Iterator[None]:
    """Comparisons of this process take idle workers of earlier ones that were started alike; afterwards all end."""
    kept: list[tuple[tuple[object, ...], Worker]] = []
    started: dict[Worker, tuple[object, ...]] = {}

    def take(threads: int) -> Worker:
        for entry in kept:
            if entry[0] == place(threads) and entry[1].alive:
                kept.remove(entry)
                return entry[1]
        worker = Worker(threads)
        started[worker] = place(threads)
        return worker

    def drop(worker: Worker) -> None:
        started.pop(worker, None)
        worker.stop()
        worker.wait()

    def open_workers(executor: LocalExecutor, workers: int, threads: int, directory: Path) -> None:
        executor.idle = [take(threads) for _ in range(workers)]

    def end(executor: LocalExecutor) -> None:
        for worker in executor.active:
            drop(worker)
        kept.extend((started[worker], worker) for worker in executor.idle if worker in started and worker.alive)
        for worker in executor.idle:
            if worker not in started or not worker.alive:
                drop(worker)
        while len(kept) > MOST:
            drop(kept.pop(0)[1])
        executor.active, executor.idle = [], []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalExecutor, "open", open_workers)
        patch.setattr(LocalExecutor, "end", end)
        try:
            yield
        finally:
            for _, worker in kept:
                drop(worker)

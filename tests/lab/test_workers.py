"""The processes of a comparison: their failures, their end, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.lab.jobs import Failure, Job, put_job
from sightline.lab.plan import CompareConfig
from sightline.lab.processes import LocalExecutor, Worker
from tests.waiting import PATIENCE_S, wait_until


def _worker(job: Job) -> Worker:
    worker = Worker(threads=2)
    put_job(job)
    worker.take(job)
    return worker


def _wait(worker: Worker) -> Failure | None:
    wait_until(worker.ended)
    return worker.failure()


def broken(directory: Path) -> Path:
    """A directory of prepared data that no command writes, on which a job fails with an error that nobody foresaw."""
    place = directory / "prepared"
    place.mkdir(exist_ok=True)
    (place / "pairs.json").write_text("[]", encoding="utf-8")
    return place


@pytest.mark.slow
def test_a_worker_that_cannot_work_says_why_in_one_line(tmp_path: Path) -> None:
    job = Job("run", CompareConfig(archs=("gru",)), tmp_path / "run", broken(tmp_path), "gru", 0, "1steps")
    worker = _worker(job)
    failure = _wait(worker)
    worker.stop()
    worker.wait()
    assert failure is not None
    assert failure.kind == "failed"
    assert "TypeError" in failure.message
    assert "\n" not in failure.message
    assert "Traceback" in (tmp_path / "run" / "worker.log").read_text()


@pytest.mark.slow
def test_a_killed_worker_is_a_failed_run(tmp_path: Path) -> None:
    worker = _worker(Job("prepare", CompareConfig(), tmp_path, tmp_path))
    os.kill(worker.pid, signal.SIGKILL)
    failure = _wait(worker)
    assert failure == Failure("failed", "the worker process was ended by SIGKILL (out of memory?)")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="without safe forks each job has a new process")
def test_a_job_that_fails_ends_neither_its_process_nor_the_next_job(tmp_path: Path) -> None:
    config = CompareConfig(archs=("gru",))
    jobs = [Job("run", config, tmp_path / name, broken(tmp_path), "gru", 0, "1steps") for name in ("one", "two")]
    worker = _worker(jobs[0])
    pid = worker.pid
    try:
        for job in jobs:
            if worker.job is not job:
                put_job(job)
                worker.take(job)
            failure = _wait(worker)
            assert failure is not None
            assert "TypeError" in failure.message
            assert worker.alive
            assert "Traceback" in (job.directory / "worker.log").read_text()  # each job has its own log
        assert worker.pid == pid
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1  # a fork of a process with threads may wait for ever
    finally:
        worker.stop()
        worker.wait()


@pytest.mark.slow
def test_a_worker_that_died_is_replaced(tmp_path: Path) -> None:
    executor = LocalExecutor()
    job = Job("run", CompareConfig(archs=("gru",)), tmp_path / "run", broken(tmp_path), "gru", 0, "1steps")
    executor.open(1, threads=1, directory=tmp_path)
    dead = executor.idle[0].pid
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: not executor.idle[0].alive)
    try:
        executor.start(job, threads=1)
        (worker,) = executor.wait_for_one(lambda _: None)
        assert worker.pid != dead
        assert executor.idle == ([worker] if hasattr(os, "pidfd_open") else [])
    finally:
        executor.end()
    assert not worker.alive


def _children(parent: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            children.append(int(stat.parent.name))
    return children


def _two(workers: list[int]) -> list[int]:
    """Both workers, or none while one has not started."""
    return workers if len(workers) == 2 else []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_worker_outlives_the_comparison(tmp_path: Path, number: signal.Signals) -> None:
    listening = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # tests in the background inherit "ignore"
    program = f"import signal, sys; {listening}; from sightline.cli.app import main; sys.exit(main())"
    compare = ["compare", "--data", "builtin:dates", "--workers", "2", "-o", str(tmp_path / "out")]
    command = [sys.executable, "-c", program, *compare]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    workers = wait_until(lambda: _two(_children(process.pid)))
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert "Traceback" not in errors
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []

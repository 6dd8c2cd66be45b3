"""Jobs whose process dies, trainings that continue from their checkpoints, and stored results that are damaged."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sightline.core.errors import EnvironmentFault, InputError
from sightline.lab import worker
from sightline.lab.continuing import continues
from sightline.lab.executor import Executor, Running
from sightline.lab.jobs import DONE, FAILED, JOB, Failure, Job, JobResult, put_job, read_json, write_json
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.processes import Worker
from sightline.lab.progress import Display
from sightline.lab.resume import begun_job, stored_outcome
from sightline.lab.session import MOST_DEATHS, Session
from sightline.training.loop import train
from sightline.training.state import Progress
from tests.training import toy
from tests.waiting import wait_until

T = TypeVar("T")
CONFIG = CompareConfig(archs=("gru",), seeds=2, search=0.0, budget="12steps")


class Mortal(Running):
    """A job that dies as often as it is told to."""

    def __init__(self, job: Job, died: bool) -> None:
        self._job, self._died = job, died

    @property
    def progress(self) -> dict[str, Any]:
        return {"stage": "training"}

    @property
    def job(self) -> Job:
        return self._job

    @property
    def died(self) -> bool:
        return self._died

    def failure(self) -> Failure | None:
        return Failure("failed", "the worker process was ended by SIGKILL") if self._died else None

    def result(self, kind: type[T]) -> T:
        result: Any = JobResult(0.5, 1e-3, 1.0, [])
        return result


class Mortals(Executor[Mortal]):
    """Starts jobs of which that of each seed dies so many times."""

    def __init__(self, deaths: dict[int, int]) -> None:
        self.active: list[Mortal] = []
        self.left, self.started = dict(deaths), list[Job]()

    @property
    def cores(self) -> list[int]:
        return [2]

    @property
    def gpus(self) -> int:
        return 1

    def open(self, workers: int, threads: int, directory: Path) -> None:
        pass

    def start(self, job: Job, threads: int) -> None:
        put_job(job)
        self.started.append(job)
        self.left[job.seed] -= 1
        self.active.append(Mortal(job, died=self.left[job.seed] >= 0))

    def wait_for_one(self, meanwhile: Callable[[Sequence[Running]], None]) -> list[Mortal]:
        ended, self.active = self.active[:1], self.active[1:]
        return ended

    def end(self) -> None:
        self.active = []


def trained(tmp_path: Path, deaths: dict[int, int]) -> tuple[Session, Mortals]:
    executor = Mortals(deaths)
    plan = divide(CONFIG, 12.0, "steps")
    session = Session(CONFIG, tmp_path, Display(quiet=True), plan=plan, executor=executor)
    session._train([0, 1])
    return session, executor


def test_a_job_whose_process_died_is_started_again_and_the_deaths_are_counted(tmp_path: Path) -> None:
    session, executor = trained(tmp_path, {0: 2, 1: 0})
    assert [(job.seed, job.deaths) for job in executor.started if job.seed == 0] == [(0, 0), (0, 1), (0, 2)]
    assert [(o.job.seed, o.job.deaths, o.failure) for o in session.outcomes] == [(1, 0, None), (0, 2, None)]
    assert read_json(Job, tmp_path / "runs" / "gru-seed0" / JOB).deaths == 2


def test_a_job_whose_process_always_dies_is_a_failure_that_is_stored(tmp_path: Path) -> None:
    session, executor = trained(tmp_path, {0: 100, 1: 0})
    assert len([job for job in executor.started if job.seed == 0]) == MOST_DEATHS == 3
    failure = session.outcomes[-1].failure
    assert failure is not None
    assert failure.message == "its process died 3 times; the last time the worker process was ended by SIGKILL"
    assert read_json(Failure, tmp_path / "runs" / "gru-seed0" / FAILED) == failure


def test_what_failed_for_lack_of_disk_or_memory_is_tried_again_later(tmp_path: Path) -> None:
    job = Job("run", CONFIG, tmp_path / "run", tmp_path, "gru", 0, "12steps", deaths=2)
    put_job(job)
    write_json(job.directory / FAILED, Failure("failed", "runs/gru-seed0: No space left on device", 3))
    assert stored_outcome(replace(job, deaths=0)) is None
    assert begun_job(replace(job, deaths=0)).deaths == 0  # as if nothing had been tried
    write_json(job.directory / FAILED, Failure("diverged", "step 3: the loss is nan", 4))
    assert stored_outcome(job) is not None


@pytest.mark.parametrize("keep", [0, 30, -1], ids=["empty", "cut", "without its end"])
def test_a_damaged_result_is_computed_again(tmp_path: Path, keep: int, caplog: pytest.LogCaptureFixture) -> None:
    job = Job("run", CONFIG, tmp_path / "run", tmp_path, "gru", 0, "12steps")
    put_job(job)
    write_json(job.directory / DONE, JobResult(0.5, 1e-3, 1.0, []))
    assert stored_outcome(job) is not None
    whole = (job.directory / DONE).read_bytes()
    (job.directory / DONE).write_bytes(whole[:keep])
    with caplog.at_level(logging.WARNING, "sightline"):
        assert stored_outcome(job) is None
    assert "result.json: not valid JSON" in caplog.text
    assert "trained again" in caplog.text


def test_the_directory_of_another_job_is_emptied_and_that_of_the_same_kept(tmp_path: Path) -> None:
    job = Job("run", CONFIG, tmp_path / "run", tmp_path, "gru", 0, "12steps", deaths=1)
    for other in (replace(job, lr_factor=3.0), replace(job, budget="13steps"), replace(job, validations=7)):
        put_job(job)
        assert begun_job(replace(job, deaths=0)) == job
        assert begun_job(other) == other
        assert not job.directory.exists()
    put_job(job)
    (job.directory / JOB).write_text("{")
    assert begun_job(replace(job, deaths=0)).deaths == 0
    assert not job.directory.exists()


def test_a_training_continues_only_where_its_checkpoint_and_its_log_are_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert not continues(run)
    train(toy.Toy(), toy.objective, toy.batches(), toy.config("20steps"), run, validate=toy.validate)
    assert continues(run)

    def damaged(change: Callable[[Path], object]) -> Path:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        change(copy)
        return copy

    log = (run / "metrics.jsonl").read_bytes()
    newest, older = (f"checkpoints/step-0000{step}/model.safetensors" for step in (20, 10))
    assert continues(damaged(lambda copy: (copy / newest).write_bytes(b"")))  # from the one before it
    assert not continues(damaged(lambda copy: [(copy / name).write_bytes(b"") for name in (newest, older)]))
    assert not continues(damaged(lambda copy: (copy / "metrics.jsonl").write_bytes(log[: len(log) // 2])))
    assert not continues(damaged(lambda copy: (copy / "metrics.jsonl").write_bytes(b"x" + log[1:])))
    assert not continues(damaged(lambda copy: (copy / "metrics.jsonl").unlink()))


SMALL = {"batch_tokens": 60, "limit": 40, "validation_outputs": 5, "validate_every": 2, "log_every": 1}


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.slow
def test_a_run_that_was_cut_short_continues_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{a}{b}{a}\t{b}{a}{a}\n" for a in "abcdefgh" for b in "ijklmnop"))
    config = replace(CONFIG, data=str(pairs), match="params=9000", tested=10, settings=SMALL)
    preparing = Job("prepare", config, tmp_path / "prepared", tmp_path / "prepared")
    put_job(preparing)
    write_json(preparing.directory / DONE, worker.prepare(preparing))
    jobs = [Job("run", config, tmp_path / name, preparing.directory, "gru", 0, "12steps") for name in ("whole", "cut")]
    for job in jobs:
        put_job(job)
    whole = worker.train(jobs[0])

    def killing(meter: object) -> Callable[[Progress], None]:
        def at_step_seven(progress: Progress) -> None:
            if progress.step == 7:
                raise Killed

        return at_step_seven

    monkeypatch.setattr(worker, "_progress", killing)
    with pytest.raises(Killed):
        worker.train(jobs[1])
    monkeypatch.undo()
    with caplog.at_level(logging.INFO, "sightline"):
        continued = worker.train(begun_job(jobs[1]))
    assert "resumed at step 6" in caplog.text
    assert _timeless(continued) == _timeless(whole)


def _timeless(result: JobResult) -> JobResult:
    untimed = [
        {key: value for key, value in record.items() if key not in ("seconds", "cpu_seconds", "tokens_per_s")}
        for record in result.history
    ]
    return replace(result, train_s=0.0, cpu_s=0.0, ms=None, peak_memory_bytes=0, history=untimed)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the directory belongs")
    with pytest.raises(EnvironmentFault, match="runs/gru-seed0: Not a directory"):
        put_job(Job("run", CONFIG, tmp_path / "runs" / "gru-seed0", tmp_path, "gru", 0, "12steps"))


def test_the_plan_of_a_comparison_is_named_where_it_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"config": {')
    with pytest.raises(InputError, match=r"plan\.json: not valid JSON"):
        read_json(Job, tmp_path / "plan.json")


@pytest.mark.slow
def test_a_failure_is_reported_where_its_file_does_not_fit(tmp_path: Path) -> None:
    """A full disk: the job's directory takes the log, and nothing that is renamed to its place."""
    job = Job("run", CONFIG, tmp_path / "run", tmp_path / "nothing", "gru", 0, "1steps")
    put_job(job)
    for name in (DONE, FAILED):
        (job.directory / name).mkdir()  # a file cannot replace a directory, for root neither
    process = Worker(1)
    try:
        process.take(job)
        wait_until(process.ended)
        (job.directory / DONE).rmdir()
        (job.directory / FAILED).rmdir()
        failure = process.failure()
        assert failure is not None
        assert not process.died
        assert str(tmp_path / "nothing") in failure.message
    finally:
        process.stop()
        process.wait()


def test_stored_jobs_of_before_there_were_deaths_are_read(tmp_path: Path) -> None:
    job = Job("run", CONFIG, tmp_path, tmp_path, "gru", 0, "12steps")
    put_job(job)
    plain = json.loads((tmp_path / JOB).read_text())
    del plain["deaths"]
    (tmp_path / JOB).write_text(json.dumps(plain))
    assert read_json(Job, tmp_path / JOB) == job

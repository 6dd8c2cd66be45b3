"""Runs share the energy of their machine while they run at once, and only then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sightline.lab.energy_shares import EnergyShares
from sightline.lab.executor import Running
from sightline.lab.jobs import DONE, Job, JobResult, put_job, read_json
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.session import Session
from tests.clock import Clock
from tests.lab.test_deaths import Mortal, Mortals

CONFIG = CompareConfig(archs=("gru",), seeds=3, search=0.0, budget="12steps")


class Metered(Mortal):
    """A run in which the machine used 100 J."""

    def result(self, kind: type[Any]) -> Any:
        return JobResult(0.5, 1e-3, 10.0, [], machine_j=100.0)


class TenSeconds(Mortals):
    """Runs that take ten seconds each."""

    def __init__(self, clock: Clock) -> None:
        super().__init__({})
        self.clock = clock

    def start(self, job: Job, threads: int) -> None:
        put_job(job)
        self.active.append(Metered(job, died=False))

    def wait_for_one(self, meanwhile: Callable[[Sequence[Running]], None]) -> list[Mortal]:
        self.clock.now += 10.0
        ended, self.active = self.active, []
        return ended


def test_the_last_of_three_runs_on_two_workers_has_all_that_the_machine_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("sightline.lab.session.time", clock)
    plan = divide(CONFIG, 12.0, "steps", cores=[2])
    assert plan.workers == 2
    session = Session(CONFIG, tmp_path, Display(quiet=True), plan=plan, executor=TenSeconds(clock))
    session._train([0, 1, 2])
    results = {outcome.job.seed: outcome.result for outcome in session.outcomes}
    assert {seed: result and result.energy_j for seed, result in results.items()} == {0: 50.0, 1: 50.0, 2: 100.0}
    for seed, result in results.items():
        assert read_json(JobResult, tmp_path / "runs" / f"gru-seed{seed}" / DONE) == result


def test_a_share_is_the_mean_over_the_time_of_a_job() -> None:
    long, short, other = Path("long"), Path("short"), Path("other")
    shares = EnergyShares()
    shares.count([long, short], 10.0)
    shares.count([long], 30.0)
    assert shares.of(short) == 0.5
    assert shares.of(long) == (10.0 / 2 + 30.0) / 40.0
    shares.count([long, short, other], 10.0, machines=2)  # of a cluster, one and a half on each
    assert shares.of(other) == pytest.approx(2 / 3)
    shares.count([short], 10.0, machines=2)
    assert shares.of(short) == pytest.approx((10.0 / 1.5 + 10.0) / 20.0)
    assert shares.of(Path("at once")) == 1.0

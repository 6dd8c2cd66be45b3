"""Seconds of a run are those of the processor, or of the clock on a GPU: by the device that trained, not by what the
machine has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sightline.lab.cautions import warnings_of
from sightline.lab.jobs import Job, JobResult
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.results import Results
from sightline.lab.session import _plan
from sightline.lab.summary import Outcome, summarise
from sightline.report.spent import timing, training_each
from tests.lab.test_compare import _prepared
from tests.lab.test_deaths import Mortals

DEVICES = [
    ({"device": "mps", "gpus": []}, "mps", True),
    ({"device": "cuda", "gpus": ["one"]}, "auto", True),
    ({"device": "cpu", "gpus": ["one"]}, "cpu", False),
    ({"device": "cpu", "gpus": []}, "auto", False),
    ({"gpus": ["one"]}, "auto", True),  # of an earlier version, as the others below
    ({"gpus": ["one"]}, "cpu", False),
    ({"gpus": []}, "mps", True),
    ({}, "auto", False),
]


def compared(environment: dict[str, Any], asked: str, directory: Path) -> Results:
    """A comparison in which a run had the processor for a third of the time: it waited for a GPU, or for programs."""
    config = CompareConfig(archs=("gru",), seeds=1, device=asked, search=0.0)
    done = JobResult(0.1, 1e-3, 60.0, [], {"exact_match": 0.5}, 500, 100, items=[[1.0, 1.0]] * 4, epochs=1, cpu_s=20.0)
    outcomes = [Outcome(Job("run", config, directory, directory, "gru"), done, None)]
    prepared = _prepared(environment={**environment, "cores": 8})
    return summarise(config, divide(config, 60.0, "seconds"), prepared, outcomes, {}, "")


@pytest.mark.parametrize(("environment", "asked", "by_clock"), DEVICES)
def test_the_device_that_trained_decides_what_seconds_are(
    environment: dict[str, Any], asked: str, by_clock: bool, tmp_path: Path
) -> None:
    results = compared(environment, asked, tmp_path)
    assert results.settings["device"] == asked
    assert results.by_clock == by_clock
    assert results.own_field(results.runs[0]) == ("train_s" if by_clock else "cpu_s")
    assert results.own_s(results.runs[0]) == (60.0 if by_clock else 20.0)
    starved = [warning for warning in results.warnings if warning.startswith("Runs had the processor for less than")]
    assert len(starved) == (not by_clock)
    assert warnings_of(results) == results.warnings
    assert training_each(results).startswith("60 s" if by_clock else "20 s")
    planned = replace(results, runs=[replace(results.runs[0], planned_s=59.0)])
    assert ("with the processor" in timing(planned)) == (not by_clock)


@pytest.mark.parametrize(("environment", "asked", "by_clock"), DEVICES)
def test_one_run_at_a_time_on_a_gpu(environment: dict[str, Any], asked: str, by_clock: bool) -> None:
    config = CompareConfig(archs=("gru", "lstm"), device=asked)
    plan = _plan(config, _prepared(environment=environment), Mortals({}))
    assert plan.workers == (1 if by_clock else 2)  # of two cores

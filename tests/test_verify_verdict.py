"""What benchmarks/verify_verdict.py and benchmarks/verify_planted.py simulate and plant."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import verify_planted as planted
import verify_verdict as benchmark


@pytest.mark.parametrize("scenario", benchmark.SCENARIOS, ids=lambda one: one.name)
def test_trainings_of_identical_architectures_score_alike_on_average(scenario: benchmark.Scenario) -> None:
    means: dict[str, list[float]] = {}
    for seed in range(60):
        scores = scenario.draw(np.random.default_rng(seed))
        assert {right.shape for right in scores.values()} == {(benchmark.LAST, benchmark.ITEMS)}
        for name, right in scores.items():
            means.setdefault(name, []).append(right.mean())
    average = [np.mean(of) for of in means.values()]
    expected = benchmark.MARGIN if scenario.wrong == "practically the same" else 0.0
    assert average[0] - average[1] == pytest.approx(expected, abs=0.025)


def test_recorded_trainings_are_dealt_out_without_repetition() -> None:
    scores = benchmark.recorded()
    assert scores.shape == (benchmark.RECORDINGS, 897)
    assert len(np.unique(scores, axis=0)) == benchmark.RECORDINGS


def test_the_seeds_of_a_plain_lead_end_at_the_first_look() -> None:
    comparison, seeds = benchmark.until_decided(benchmark.of_normal([0.01, 0.01], 5.0)(np.random.default_rng(0)))
    assert seeds == benchmark.FIRST
    assert [pair.outcome for pair in comparison.pairs] == ["better"]


@pytest.mark.parametrize("task", planted.TASKS, ids=lambda one: one.name)
def test_planted_data_is_what_it_says(task: planted.Planted, tmp_path: Path) -> None:
    text = task.write(tmp_path, random.Random(0)).read_text()
    if task.name == "local":
        follow: dict[str, set[str]] = {}
        for place in range(2, len(text)):
            follow.setdefault(text[place - 2 : place], set()).add(text[place])
        assert max(map(len, follow.values())) == 2
        return
    _, *rows = text.splitlines()
    assert len(rows) > 5000
    for source, target in (row.split(",") for row in rows[:200]):
        if task.name == "recall":
            pairs, _, asked = source.partition(":")
            assert dict(zip(pairs[::2], pairs[1::2], strict=True))[asked] == target.removeprefix("v")
        elif task.name == "parity":
            assert target == ("even" if source.count("1") % 2 == 0 else "odd")
        else:
            assert source == target


def test_nineteen_right_verdicts_in_twenty_are_needed() -> None:
    def results(right: int) -> list[dict[str, object]]:
        return [{"name": "copy", "way": "3 seeds", "right": i < right} for i in range(20)]

    assert planted.failures(results(19)) == []
    assert planted.failures(results(18)) == ["copy, 3 seeds (18 of 20)"]

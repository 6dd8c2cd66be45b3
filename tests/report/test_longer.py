"""What the runs reached beside the shorter trials of their rate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightline.lab.results import Architecture, BudgetPlan, PlannedSteps, Rate, Results, Run
from sightline.report.html import render
from sightline.report.longer import Longer, longer, longer_line
from sightline.training.plan import Speed, StepPlan
from tests.report.synthetic import make_results


def valid(*losses: float | None) -> list[dict]:
    return [{"event": "valid", "steps": 10 * (i + 1), "loss": loss} for i, loss in enumerate(losses)]


def results(**changes) -> Results:
    rates = [Rate(1e-3, 2.9, "done"), Rate(3e-3, 2.3121, "done"), Rate(9e-3, None, "diverged")]
    gru = Architecture("gru", {}, learning_rate=1.8e-3, rates=rates, finished=2)
    rnn = Architecture("rnn", {}, learning_rate=3e-3, rates=[Rate(3e-3, None, "diverged")], finished=1)
    runs = [
        Run("gru", 0, "done", history=[*valid(1.9, 1.4), {"event": "end"}]),
        Run("gru", 1, "done", history=valid(1.5)),
        Run("gru", 2, "diverged", history=valid(99.0)),
        Run("rnn", 0, "done", history=valid(1.0)),
    ]
    plan = BudgetPlan("60s", [0, 1], 0.25, 3, "10s", "45s")
    return replace(make_results(), **{"architectures": [gru, rnn], "runs": runs, "budget": plan, **changes})


def test_the_best_trial_is_set_beside_the_mean_end_of_the_runs() -> None:
    assert longer(results()) == [Longer("gru", 2.3121, (1.4 + 1.5) / 2)]
    assert longer_line(results()) == "Validation loss of a trial (10 s) and of the runs (45 s): gru 2.312 → 1.450."


def test_without_a_search_nothing_is_said() -> None:
    without = results(budget=BudgetPlan("60s", [0, 1], final_each="60s"))
    without = replace(without, architectures=[replace(one, rates=[]) for one in without.architectures])
    assert longer(without) == []
    assert longer_line(without) == ""
    assert "a trial" not in render(without)


def test_losses_of_different_samples_are_not_compared() -> None:
    plan = StepPlan(45.0, 900, 10, 1.0, Speed(0.05))
    trial = replace(plan, seconds=10.0, steps=200, validation_share=0.2)
    steps = [PlannedSteps("gru", "batch_size 64", plan, trial)]
    assert longer(results(budget=replace(results().budget, steps=steps))) == []


@pytest.mark.slow
def test_the_page_has_both() -> None:
    page = render(make_results())
    assert "after 10 s" in page
    assert "after 45 s" in page

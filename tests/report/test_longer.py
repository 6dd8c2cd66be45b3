"""What the runs reached beside the shorter trials of their rate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightline.lab.longer_training import expected
from sightline.lab.results import Architecture, BudgetPlan, Estimate, PlannedSteps, Rate, Results, Run
from sightline.report.html import render
from sightline.report.longer import Longer, longer, longer_lines
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
    assert longer_lines(results()) == ["Validation loss of a trial (10 s) and of the runs (45 s): gru 2.312 → 1.450."]


def test_without_a_search_nothing_is_said() -> None:
    without = results(budget=BudgetPlan("60s", [0, 1], final_each="60s"))
    without = replace(without, architectures=[replace(one, rates=[]) for one in without.architectures])
    assert longer(without) == []
    assert longer_lines(without) == []
    assert "a trial" not in render(without)


def with_metric(**changes) -> Results:
    """Trials that have the metric; the best validation of the first run is not its last one."""
    rates = [Rate(1e-3, 2.9, "done", valid=0.31), Rate(3e-3, 2.3, "done", valid=0.4)]
    gru = Architecture("gru", {"exact_match": Estimate(0.68)}, learning_rate=1.8e-3, rates=rates, finished=2)
    lost = Architecture("rnn", {"exact_match": Estimate(0.2)}, rates=[Rate(3e-3, None, "diverged")], finished=1)
    better = {"event": "valid", "loss": 1.2, "exact_match": 0.65, "best": True}
    worse = {"event": "valid", "loss": 1.3, "exact_match": 0.6, "best": False}
    runs = [
        Run("gru", 0, "done", history=[better, worse]),
        Run("gru", 1, "done", history=[better | {"exact_match": 0.75}]),
        Run("rnn", 0, "done", history=[better]),
    ]
    return results(architectures=[gru, lost], runs=runs, **changes)


def test_the_metric_of_the_best_validations_and_what_three_times_the_budget_would_give() -> None:
    interval = expected(with_metric().metric, 0.4, 0.7, 0.68, ratio=4.5, times=3, items=1000)
    assert interval is not None
    assert longer(with_metric()) == [Longer("gru", 0.4, 0.7, "valid", 0.68, interval)]
    low, high = (f"{100 * end:.1f}" for end in interval)
    assert longer_lines(with_metric()) == [
        "Validation exact match of a trial (10 s) and of the runs (45 s): gru 40.0 → 70.0 %.",
        f"Expected after 135 s, on the test items, with a probability of 80 %: gru {low}–{high} %.",
    ]


def test_nothing_is_expected_of_a_longer_budget_where_passes_are_bounded() -> None:
    plan = StepPlan(45.0, 300, 10, 1.0, Speed(0.05), most_steps=300)
    budget = BudgetPlan("60s", [0, 1], 0.25, 3, "10s", "45s", steps=[PlannedSteps("gru", "batch_size 64", plan)])
    (one,) = longer(with_metric(budget=budget))
    assert (one.expected, one.bounded, one.tested) == (None, True, 0.68)
    assert longer_lines(with_metric(budget=budget))[1:] == [
        "A longer budget trains gru no longer: most_epochs allows no more passes."
    ]


def test_what_is_expected_of_a_longer_budget_ends_where_passes_are_bounded() -> None:
    """Three times the budget pays for three times the steps, of which `most_epochs` allows a fifth more than before."""
    plan = StepPlan(45.0, 300, 10, 1.0, Speed(0.05), most_steps=360)
    budget = BudgetPlan("60s", [0, 1], 0.25, 3, "10s", "45s", steps=[PlannedSteps("gru", "batch_size 64", plan)])
    (one,) = longer(with_metric(budget=budget))
    assert one.expected == expected(with_metric().metric, 0.4, 0.7, 0.68, ratio=4.5, times=1.2, items=1000)
    free = replace(plan, most_steps=9000)
    assert (plan.longer(3), plan.longer(1.1), free.longer(3), replace(plan, most_steps=None).longer(3)) == (
        1.2, 1.1, 3, 3
    )  # fmt: skip


def test_runs_that_are_hardly_longer_than_trials_say_nothing_of_longer_ones() -> None:
    shown = longer(with_metric(budget=BudgetPlan("60s", [0, 1], 0.5, 2, "30s", "40s")))
    assert [one.expected for one in shown] == [None]
    assert "expected" not in longer_lines(with_metric(budget=BudgetPlan("60s", [0, 1], 0.5, 2, "30s", "40s")))[-1]


@pytest.mark.parametrize(
    ("budget", "trial", "run", "later"),
    [
        (BudgetPlan("500steps", [0], 0.25, 3, "100steps", "400steps"), "100 steps", "400 steps", "1,200 steps"),
        (BudgetPlan("2Mtok", [0], 0.25, 3, "100000tok", "1500000tok"), "100,000 tokens", "1,500,000 tokens",
         "4,500,000 tokens"),
    ],
)  # fmt: skip
def test_lengths_in_the_unit_of_the_budget(budget: BudgetPlan, trial: str, run: str, later: str) -> None:
    first, second = longer_lines(with_metric(budget=budget))
    assert f"of a trial ({trial}) and of the runs ({run})" in first
    assert f"after {later}," in second


def test_by_the_clock_nothing_is_said() -> None:
    assert longer(with_metric(budget=BudgetPlan("60s-wall", [0, 1], 0.25, 3, "10s-wall", "45s-wall"))) == []


def test_losses_of_different_samples_are_not_compared() -> None:
    plan = StepPlan(45.0, 900, 10, 1.0, Speed(0.05))
    trial = replace(plan, seconds=10.0, steps=200, validation_share=0.2)
    steps = [PlannedSteps("gru", "batch_size 64", plan, trial)]
    assert longer(results(budget=replace(results().budget, steps=steps))) == []


@pytest.mark.slow
def test_the_page_has_the_metric_or_else_the_losses() -> None:
    shown = make_results()
    without = [replace(a, rates=[replace(rate, valid=None) for rate in a.rates]) for a in shown.architectures]
    page, losses = render(shown), render(replace(shown, architectures=without))
    assert "after 10 s" in page
    assert "after 45 s" in page
    assert "after 135 s<small>expected, test" in page
    assert "validation loss<small>" not in page
    assert "validation loss<small>" in losses
    assert "after 135 s" not in losses


@pytest.mark.slow
def test_the_page_says_where_passes_are_bounded() -> None:
    free = make_results()
    plan = StepPlan(45.0, 300, 10, 1.0, Speed(0.05), most_steps=300)
    steps = [PlannedSteps(one.arch, "batch_size 64", plan) for one in free.architectures]
    page = render(replace(free, budget=replace(free.budget, steps=steps)))
    assert ">as now<" in page
    assert "since <code>most_epochs</code> allows no more passes" in page
    assert "as now" not in render(free).lower()

"""The head of a report says what each run had."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sightline.core.sourced import with_sources
from sightline.lab.results import Architecture, BudgetPlan, PlannedSteps, Rate, Results, Run
from sightline.report.figures import drawings
from sightline.report.html import render
from sightline.report.spent import (
    energy,
    joule_text,
    seconds_of_step,
    timing,
    training_cost,
    training_each,
    training_energy,
)
from sightline.training.plan import Speed, StepPlan
from tests.report.cells import without_spans
from tests.report.synthetic import make_results


def results(plan: BudgetPlan, *runs: Run) -> Results:
    return replace(make_results(), budget=plan, runs=list(runs))


def run(seed: int, train_s: float, planned_s: float | None = None, tokens: int = 1000) -> Run:
    return Run("gru", seed, "done", train_s=train_s, planned_s=planned_s, cpu_s=0.9 * train_s, tokens=tokens, steps=500)


SEARCH = {"search_fraction": 0.2, "search_rates": 3}


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (
            BudgetPlan("40s", [0, 1], search_each="5.33333s", final_each="32s", **SEARCH),
            "28–31 s of training each after 8 s of search",
        ),
        (
            BudgetPlan("40s-wall", [0, 1], search_each="5.33333s-wall", final_each="32s-wall", **SEARCH),
            "31–35 s of training each after 8 s of search",
        ),
        (BudgetPlan("40s", [0, 1], final_each="40s"), "28–31 s of training each"),
        (
            BudgetPlan("500steps", [0, 1], search_each="66steps", final_each="400steps", **SEARCH),
            "400 steps of training each after 99 steps of search",
        ),
    ],
    ids=lambda value: value.per_run if isinstance(value, BudgetPlan) else "",
)
def test_a_run_had_what_it_took_and_its_share_of_the_search(plan: BudgetPlan, expected: str) -> None:
    assert training_each(results(plan, run(0, 31.2), run(1, 34.8), Run("rnn", 0, "diverged"))) == expected


@pytest.mark.parametrize(
    ("unit", "device", "expected"),
    [
        ("s", "cpu", "28–31 s of training each after 6–11 s of search"),  # 12 s and 22 s of the processor for two runs
        ("s", "cuda", "31–35 s of training each after 9–16 s of search"),
        ("s-wall", "cpu", "31–35 s of training each after 9–16 s of search"),
        ("steps", "cpu", "32 steps of training each after 10 steps of search"),
    ],
)
def test_the_search_had_what_its_trials_took(unit: str, device: str, expected: str) -> None:
    """Not what they were meant to have: epochs may end before it, and trials that fail take less."""
    plan = BudgetPlan(f"40{unit}", [0, 1], search_each=f"5{unit}", final_each=f"32{unit}", **SEARCH)
    done = results(plan, run(0, 31.2), run(1, 34.8))
    trials = {"gru": [(8.0, 5.0), (10.0, 7.0)], "rnn": [(16.0, 11.0)] * 2}
    failed = Rate(0.1, None, "diverged")
    architectures = [
        Architecture(arch, {}, rates=[*(Rate(0.01, 1.0, "done", None, 1.0, *took) for took in each), failed, failed])
        for arch, each in trials.items()
    ]
    known = replace(done, architectures=architectures, environment={"device": device})
    assert training_each(known) == expected
    with with_sources():
        marked = training_each(known)
    assert ("/architectures/gru/rates/1/train_s" in marked) == (unit == "s-wall" or device == "cuda")


@pytest.mark.slow
def test_the_head_of_the_page_says_it() -> None:
    compared = results(BudgetPlan("40s", [0, 1], final_each="40s"), run(0, 31.2, 40.0), run(1, 34.8, 40.0))
    page = without_spans(render(compared))
    assert "2 seeds, 28–31 s of training each</h1>" in page
    assert "Planned: 40\u00a0s" in page or "Planned: 40 s" in page


def test_without_a_finished_run_it_is_what_they_should_have_had() -> None:
    assert training_each(results(BudgetPlan("40s", [0], final_each="40s"), Run("rnn", 0, "failed"))) == (
        "40 s of training each"
    )


def test_planned_and_real_seconds_and_the_spread_of_speeds() -> None:
    sentence = timing(results(BudgetPlan("40s", [0, 1], final_each="40s"), run(0, 40.0, 39.6), run(1, 50.0, 39.6)))
    assert sentence == (
        "Planned: 40 s of training on an idle machine; it took 40–50 s, 36–45 s of them with the processor. "
        "Runs of one architecture differ by up to 25 % in tokens per second."
    )


def test_nothing_is_planned_for_other_budgets() -> None:
    assert timing(results(BudgetPlan("500steps", [0], final_each="500steps"), run(0, 40.0))) == ""


def test_other_work_on_the_machine_changes_neither_cost_nor_curve() -> None:
    """A run that waited as long as it computed is shown as one that never waited."""
    speed = Speed(step_s=0.02, validation_s=1.0)
    plan = BudgetPlan("20s", [0], steps=[PlannedSteps("gru", "batch_size 64", StepPlan(20.0, 500, 10, 1.0, speed))])
    history = [{"event": "valid", "steps": 100 * t, "seconds": 8.0 * t, "exact_match": t / 10} for t in range(1, 6)]
    alone = results(plan, replace(run(0, 20.0), cpu_s=20.0, history=history))
    beside = results(
        plan, replace(run(0, 40.0), cpu_s=20.0, history=[{**one, "seconds": 16.0 * one["steps"]} for one in history])
    )
    assert training_cost(alone, "gru") == training_cost(beside, "gru") == (20.0, 50.0)
    assert seconds_of_step(beside, "gru") == pytest.approx((500 * 0.02 + 10 * 1.0) / 500)
    curves = [next(one for one in drawings(of) if one.name == "learning-curves").page_svg() for of in (alone, beside)]
    assert curves[0] == curves[1]
    assert "as planned" in curves[0][0]
    assert training_cost(replace(beside, environment={"gpus": ["one"]}), "gru") == (40.0, 25.0)
    assert training_cost(beside, "rnn") == (None, None)


@pytest.mark.parametrize(
    ("joules", "text"),
    [(None, "—"), (850.0, "850 J"), (999.6, "1 kJ"), (12_400.0, "12.4 kJ"), (999_600.0, "1 MJ"), (2e9, "2000 MJ")],
)
def test_joules_are_in_powers_of_1000(joules: float | None, text: str) -> None:
    assert joule_text(joules) == text


@pytest.mark.slow
def test_energy_is_shown_beside_seconds_where_it_is_known() -> None:
    plan = BudgetPlan("40s", [0, 1], final_each="40s", workers=2)
    runs = [replace(run(seed, 31.0), energy_j=joules) for seed, joules in ((0, 850.0), (1, 1250.0))]
    known = replace(results(plan, *runs), environment={"energy_counters": ["package-0", "dram"]})
    assert training_energy(known, "gru") == 1050.0
    assert energy(known) == (
        "Energy: 850 J to 1.25 kJ for each run (package-0, dram, shared equally by the runs at once, up to 2; idle "
        "power and other programs included)."
    )
    page = render(known)
    assert re.search(r'<td data-label="energy" data-source="results.json#/runs/0/energy_j [^>]*>1.05 kJ</td>', page)
    unknown = results(plan, run(0, 31.0))
    assert energy(unknown) == ""
    assert 'data-label="energy"' not in render(unknown)

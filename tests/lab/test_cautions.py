"""What a comparison says of short and starved runs and of a busy machine; the load of others from counters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightline.lab.cautions import cautions, marks
from sightline.lab.load import Counters, OthersLoad, busy_ticks, read_counters
from sightline.lab.results import Architecture, BudgetPlan, PlannedSteps, Rate, Run
from sightline.training.plan import Speed, plan_steps

PLANNED = BudgetPlan(
    "60s", [0, 1], steps=[PlannedSteps("gru", "batch_tokens 2000", plan_steps(60.0, Speed(0.01)))], final_each="60s"
)
GOOD = Run("gru", 0, "done", train_s=60.0, cpu_s=59.0, steps=6000, epochs=3, tokens=600_000)


def sentences(*runs: Run, plan: BudgetPlan = PLANNED, **machine: object) -> list[str]:
    return [caution.sentence for caution in cautions(runs, plan, **machine)]


def test_nothing_is_said_of_runs_that_were_long_enough_and_undisturbed() -> None:
    assert sentences(GOOD, replace(GOOD, seed=1), others_cores=0.1, cores=2) == []


@pytest.mark.parametrize(("steps", "warned"), [(99, True), (100, False)])
def test_fewer_than_a_hundred_steps(steps: int, warned: bool) -> None:
    given = cautions([GOOD, replace(GOOD, arch="rnn", steps=steps)], PLANNED)
    assert [caution.marks for caution in given] == ([{"rnn": "99 steps"}] if warned else [])
    if warned:
        assert given[0].sentence.startswith("Fewer than 100 steps of training (rnn 99): too few to rank")
        assert marks(given, "rnn") == ["99 steps"]
        assert marks(given, "gru") == []


@pytest.mark.parametrize("unit", ["steps", "seconds", "tokens"])
@pytest.mark.parametrize(("share", "steps"), [(1.0, 24), (3.0, 72)])
def test_trials_of_fewer_than_25_steps(unit: str, share: float, steps: int) -> None:
    """Of 24 steps, whether these were the budget or its seconds became them; longer trials that followed decide."""
    trial = plan_steps(2.4, Speed(0.1))
    planned = [PlannedSteps("gru", "batch_size 8", plan_steps(60.0, Speed(0.1)), trial)] if unit == "seconds" else []
    each = {"steps": "24steps", "seconds": "2.4s", "tokens": "24tok"}[unit]
    rates = [
        Rate(0.01, 1.0, "done"),
        Rate(0.03, 2.0, "done"),
        Rate(0.003, 2.0, "done"),
        Rate(0.01, 1.0, "done", share=share),
    ]
    gru = Architecture("gru", {}, learning_rate=0.005, rates=rates)
    listed = cautions([GOOD], replace(PLANNED, steps=planned, search_each=each), [gru])
    few = steps < 25 and unit != "tokens"
    assert [caution.marks for caution in listed] == ([{"gru": "24 steps in a trial"}] if few else [])
    if few:
        assert listed[0].sentence.startswith("Fewer than 25 steps in each trial of a learning rate (gru 24): ")


@pytest.mark.parametrize(
    ("bounded", "advice"),
    [
        ((), "give a larger --budget."),
        (("gru", "rnn"), "allow more passes over the data with --most-epochs."),
        (("rnn",), "give a larger --budget and allow more passes over the data with --most-epochs."),
    ],
)
def test_where_passes_are_bounded_no_larger_budget_is_asked_for(bounded: tuple[str, ...], advice: str) -> None:
    """Of runs and trials: a trial of 8 steps that was followed by one three times as long had 20, the most allowed."""
    run, trial = plan_steps(0.5, Speed(0.01)), plan_steps(0.08, Speed(0.01))
    steps = [
        PlannedSteps(arch, "batch_size 8", replace(run, most_steps=run.steps), replace(trial, most_steps=20))
        if arch in bounded
        else PlannedSteps(arch, "batch_size 8", run, trial)
        for arch in ("gru", "rnn")
    ]
    rates = [Rate(lr, 1.0 if lr == 0.01 else 2.0, "done") for lr in (0.003, 0.01, 0.03)]
    rates.append(Rate(0.01, 1.0, "done", share=3.0))
    architectures = [Architecture(arch, {}, rates=rates) for arch in ("gru", "rnn")]
    runs = [replace(GOOD, arch=arch, steps=run.steps) for arch in ("gru", "rnn")]
    of_runs, of_trials = cautions(runs, replace(PLANNED, steps=steps, search_each="0.08s"), architectures)
    assert of_runs.sentence.endswith(f"too few to rank architectures; {advice}")
    assert of_trials.sentence.endswith(f"too few to rank rates; {advice}")
    assert of_trials.marks == {arch: f"{20 if arch in bounded else 24} steps in a trial" for arch in ("gru", "rnn")}


def test_less_than_one_pass_over_the_data() -> None:
    (sentence,) = sentences(GOOD, replace(GOOD, seed=1, epochs=0))
    assert sentence.startswith("Less than one pass over the training data (gru): ")


@pytest.mark.parametrize(("cpu_s", "warned"), [(47.9, True), (48.1, False)])
def test_runs_that_had_the_processor_for_less_than_four_fifths_of_their_time(cpu_s: float, warned: bool) -> None:
    assert bool(sentences(replace(GOOD, cpu_s=cpu_s))) == warned
    assert sentences(replace(GOOD, cpu_s=cpu_s), on_cpu=False) == []  # a GPU works while the processor waits
    assert sentences(replace(GOOD, cpu_s=None)) == []  # results of an earlier version


def test_a_starved_run_has_its_steps_unless_the_clock_ended_it() -> None:
    starved = replace(GOOD, cpu_s=20.0)
    by_plan, by_clock = sentences(starved), sentences(starved, plan=BudgetPlan("60s-wall", [0]))
    assert by_plan[0].endswith("(gru 33 %): they took longer, for the same steps.")
    assert by_clock[0].endswith("(gru 33 %): they trained less than they would have.")


@pytest.mark.parametrize(("train_s", "warned"), [(71.9, False), (72.1, True)])
def test_speeds_of_one_architecture_that_differ_by_more_than_a_fifth(train_s: float, warned: bool) -> None:
    other = replace(GOOD, seed=1, train_s=train_s, cpu_s=train_s)
    assert bool(sentences(GOOD, other)) == warned
    assert sentences(GOOD, replace(other, arch="lstm")) == []


@pytest.mark.parametrize(("others", "warned"), [(0.2, False), (0.4, True), (None, False)])
def test_a_busy_machine(others: float | None, warned: bool) -> None:
    expected = ["The machine was busy: other programs used 20 % of 2 cores; runs took longer, for the same steps."]
    assert sentences(GOOD, others_cores=others, cores=2) == (expected if warned else [])


def test_a_search_whose_best_rate_has_no_neighbour_on_one_side() -> None:
    low, middle, high = (Rate(lr, loss, "done") for lr, loss in ((0.001, 2.0), (0.003, 1.0), (0.009, 0.5)))
    rates = {
        "gru": [low, middle, high],
        "lstm": [low, middle, Rate(0.009, None, "diverged")],
        "rnn": [middle, replace(high, loss=1.5)],
        "linear": [],
    }
    given = cautions([GOOD], PLANNED, [Architecture(arch, {}, rates=tried) for arch, tried in rates.items()])
    assert [caution.sentence for caution in given] == [
        "gru: the largest learning rate that was tried was the best; raise --rates to try others.",
        "rnn: the smallest learning rate that was tried was the best; raise --rates to try others.",
    ]
    assert marks(given, "gru") == ["the largest rate that was tried was the best"]
    assert marks(given, "lstm") == marks(given, "linear") == []


def test_runs_that_failed_are_not_judged() -> None:
    assert sentences(Run("gru", 0, "diverged", error="step 3: the loss is nan")) == []


def test_the_load_of_others_is_what_this_program_and_its_children_did_not_use() -> None:
    readings = iter([Counters(100.0, 50.0, 5.0), Counters(110.0, 68.0, 13.0)])
    load = OthersLoad(lambda: next(readings))
    assert load.cores() == pytest.approx((18.0 - 8.0) / 10.0)


def test_ticks_are_those_of_the_cores_that_may_be_used_without_idle_ones() -> None:
    lines = ["cpu 9 9 9 9 9 9 9 9 9 9", "cpu0 1 2 3 400 500 6 7 8 9 10", "cpu1 9 9 9 9 9 9 9 9 9 9", "intr 5"]
    assert busy_ticks(lines, {0}) == 1 + 2 + 3 + 6 + 7 + 8


def test_counters_only_grow() -> None:
    before = read_counters()
    if before is None:
        pytest.skip("this system has no /proc/stat")
    while (now := read_counters()) is not None and now.own_s < before.own_s + 0.05:
        pass
    assert now is not None
    assert now.busy_s >= before.busy_s
    assert now.clock_s > before.clock_s

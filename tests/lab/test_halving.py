"""The search of sizes and rates, with losses from a formula in the place of trainings."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.lab.budget_plan import BudgetPlan, PlannedSteps
from sightline.lab.cautions import cautions
from sightline.lab.halving import (
    SearchCandidate,
    best_candidate,
    effort,
    following,
    length,
    size_factors,
    stage_counts,
)
from sightline.lab.jobs import Failure, Job, JobResult
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.results import Architecture, Rate
from sightline.lab.search import Search
from sightline.lab.session import Session
from sightline.lab.summary import Outcome
from sightline.training.budget import Budget
from sightline.training.plan import Speed, plan_steps

CONFIG = CompareConfig(archs=("gru", "rnn"), seeds=2, search=0.5, rates=3, sizes=3)
SIZES = {"gru": [1000, 4000, 16000], "rnn": [500, 2000]}
PRESETS = {"gru": 4000, "rnn": 2000}


def test_sizes_are_a_factor_apart_around_the_preset() -> None:
    assert size_factors(1) == [1.0]
    assert size_factors(2) == [1.0, 4.0]
    assert size_factors(3) == [0.25, 1.0, 4.0]


def test_stages_keep_a_third() -> None:
    assert stage_counts(9) == [9, 3]
    assert stage_counts(6) == [6, 2]
    assert stage_counts(15) == [15, 5, 2]
    assert effort(9) == 9 + 3 * 3
    assert effort(15) == 15 + 5 * 3 + 2 * 9


def searched(
    first: list[SearchCandidate], loss: Mapping[SearchCandidate, float | None], order: random.Random | None = None
) -> tuple[list[dict[SearchCandidate, float | None]], int]:
    """The stages of a whole search, whose trials end in some order, and the length of all its trials."""
    stages: list[dict[SearchCandidate, float | None]] = [{}]
    left, spent = list(first), 0
    while left:
        if order:
            order.shuffle(left)
        candidate = left.pop()
        stages[-1][candidate] = loss[candidate]
        spent += length(len(stages) - 1)
        if kept := following(stages, len(first)):
            assert not left
            left, stages = kept, [*stages, {}]
    return stages, spent


@given(
    losses=st.lists(st.one_of(st.none(), st.integers(0, 5).map(float)), min_size=2, max_size=20),
    seed=st.integers(0, 99),
)
def test_the_best_candidate_wins_in_any_order_within_the_budget(losses: list[float | None], seed: int) -> None:
    first = [SearchCandidate(size, 1.0) for size in range(len(losses))]
    loss = dict(zip(first, losses, strict=True))
    stages, spent = searched(first, loss, random.Random(seed))
    assert spent <= effort(len(first))
    assert (searched(first, loss)[0], spent) == (stages, spent)
    known = [one for one in losses if one is not None]
    chosen = best_candidate(stages)
    if not known:
        assert chosen is None
    else:
        assert chosen is not None
        assert loss[chosen] == min(known)
        assert chosen.size == losses.index(min(known))  # of equals the smallest


def test_no_stage_begins_before_the_one_before_it_has_ended() -> None:
    losses = {SearchCandidate(size, 1.0): float(size) for size in range(9)}
    assert following([dict(list(losses.items())[:8])], 9) == []
    assert following([losses], 9) == [SearchCandidate(0, 1.0), SearchCandidate(1, 1.0), SearchCandidate(2, 1.0)]
    assert following([losses, {SearchCandidate(0, 1.0): 0.0}], 9) == []
    assert following([], 9) == []


def test_a_longer_trial_overrules_a_shorter_one() -> None:
    """A large model that is behind at first and ahead later, as large models are."""
    small, large, worse = SearchCandidate(100, 1.0), SearchCandidate(400, 1.0), SearchCandidate(100, 3.0)
    first = {small: 1.0, large: 1.1, worse: 2.0, SearchCandidate(400, 3.0): None}
    assert following([first], 4) == [small, large]
    assert best_candidate([first, {small: 0.9, large: 0.5}]) == large
    assert best_candidate([first, {small: None, large: None}]) == small


def test_a_candidate_that_was_added_competes_and_changes_no_count() -> None:
    """Five rates and one more: two of the six are tried again, not three."""
    losses = {SearchCandidate(None, float(factor)): 9.0 - factor for factor in range(7)}
    assert following([dict(list(losses.items())[:6])], 6) == [SearchCandidate(None, 5.0), SearchCandidate(None, 4.0)]
    assert following([losses], 6) == [SearchCandidate(None, 6.0), SearchCandidate(None, 5.0)]


@given(amount=st.integers(1000, 10**6), seeds=st.integers(1, 5), rates=st.integers(2, 4), sizes=st.integers(2, 4))
def test_the_whole_search_is_paid_for_out_of_the_budget(amount: int, seeds: int, rates: int, sizes: int) -> None:
    plan = divide(replace(CONFIG, seeds=seeds, rates=rates, sizes=sizes), float(amount), "seconds")
    assert plan.search_each is not None
    spent = effort(rates * sizes) * Budget.parse(plan.search_each).amount
    assert spent + seeds * Budget.parse(plan.final_each).amount == pytest.approx(seeds * amount, rel=1e-4)


def test_the_plan_says_how_sizes_are_searched() -> None:
    plan = divide(CONFIG, 90.0, "seconds")
    assert plan.explained == (
        "90s for each run and 2 seeds make 180s for each architecture. 50 % of it is for the search of size and "
        "learning rate: 9 candidates (3 sizes with 3 rates each), 5s each, then the best 3 for 3 times as long, "
        "compared by the validation loss at their end; the rest is for the runs, 45s each, at the "
        "best rate of the trials, or one between them, divided by the cube root of how much longer they are."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"match": "params=2M"}, "--sizes: with --match every architecture has that size: leave out one of the two"),
        ({"search": 0.0}, "--sizes: sizes are chosen in the search, which --search 0 turns off"),
        ({"sizes": 0}, "--sizes: must be at least 1, found 0"),
    ],
)
def test_sizes_that_cannot_be_searched_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(CONFIG, **changes)
    assert str(caught.value) == message


def ended(job: Job, loss: float | None) -> Outcome:
    if loss is None:
        return Outcome(job, None, Failure("diverged", "step 3: the loss is nan", 4))
    return Outcome(job, JobResult(loss, job.lr_factor, 1.0, [], parameters=job.parameters or 0), None)


def lab(tmp_path: Path) -> Session:
    session = Session(CONFIG, tmp_path, Display(quiet=True), plan=divide(CONFIG, 1800.0, "steps"))
    session.search = Search(CONFIG, PRESETS, SIZES)
    return session


def test_every_trial_has_its_size_its_length_and_a_directory_of_its_own(tmp_path: Path) -> None:
    session = lab(tmp_path)
    assert session.plan.search_each == "100steps"
    jobs = [session._trial("gru", candidate) for candidate in session.search.beginning("gru")]
    assert len({job.directory for job in jobs}) == len(jobs) == 9
    assert [job.config.variants["gru"].get("match") for job in jobs[:3]] == ["params=1000", None, "params=16000"]
    longer = session._trial("gru", SearchCandidate(16000, 3.0), 1)
    assert longer.budget == "300steps"
    assert longer.directory not in {job.directory for job in jobs}


def test_the_runs_have_the_size_and_the_rate_that_the_trials_showed(tmp_path: Path) -> None:
    """For the rnn 2,000 parameters with a third of the rate; every trial of the gru is lost."""
    session = lab(tmp_path)
    jobs = [session._trial(arch, one) for arch in CONFIG.archs for one in session.search.beginning(arch)]
    tried = []
    while jobs:
        job = jobs.pop(0)
        tried.append((job.arch, job.budget))
        right = job.parameters == 2000 and job.lr_factor < 1
        session.search.record(ended(job, None if job.arch == "gru" else 0.5 if right else 1.0 + job.lr_factor))
        jobs += session._further(job.arch)
    assert tried.count(("rnn", "100steps")) == 6
    assert tried.count(("rnn", "300steps")) == 2
    assert tried.count(("gru", "300steps")) == 0
    run = session._run("rnn", 0)
    assert run.parameters == 2000
    assert run.lr_factor == pytest.approx(1 / 3 / (900 / 300) ** (1 / 3), rel=0.005)  # and runs are 3 times as long
    assert "match" not in run.config.variants["rnn"]
    lost = session._run("gru", 1)
    assert (lost.parameters, lost.lr_factor) == (4000, 1.0)


def test_a_longer_trial_has_no_more_epochs_than_a_run_may_have(tmp_path: Path) -> None:
    session = lab(tmp_path)
    steps = plan_steps(10.0, Speed(0.1), most_steps=150)
    planned = [PlannedSteps("gru", "batch_size 8", steps, steps, size) for size in SIZES["gru"]]
    session.plan = replace(session.plan, steps=planned)
    assert session._trial("gru", SearchCandidate(1000, 1.0)).budget == "100steps"
    assert session._trial("gru", SearchCandidate(1000, 1.0), 1).budget == "150steps"


def test_the_steps_of_a_size_are_its_own() -> None:
    slow, fast = (plan_steps(10.0, Speed(step_s)) for step_s in (0.1, 0.01))
    plan = BudgetPlan(
        "", [0], steps=[PlannedSteps("gru", "", slow, None, 400), PlannedSteps("gru", "", fast, None, 100)]
    )
    assert plan.steps_of("gru", 100) == plan.steps[1]
    assert plan.steps_of("gru", 7) is plan.steps_of("gru") is None
    assert PlannedSteps("gru", "", slow).name == "gru"
    assert plan.steps[0].name == "gru.400"


def test_a_size_at_the_edge_is_a_warning() -> None:
    def architecture(arch: str, chosen: int, losses: Mapping[int, float | None]) -> Architecture:
        rates = [Rate(0.01, loss, "done", size) for size, loss in losses.items()]
        rates += [Rate(lr, 9.0, "done", size) for size in losses for lr in (0.003, 0.03)]
        return Architecture(arch, {}, parameters=chosen, learning_rate=0.01, rates=rates)

    given_sizes = [
        architecture("gru", 400, {100: 1.0, 400: 0.5}),
        architecture("lstm", 100, {100: 0.4, 400: 0.5}),
        architecture("rnn", 400, {100: 0.6, 400: 0.5, 1600: None}),
    ]
    assert [caution.sentence for caution in cautions([], BudgetPlan("", [0]), given_sizes)] == [
        "gru: the largest size that was tried was chosen; raise --sizes to try others.",
        "lstm: the smallest size that was tried was chosen; raise --sizes to try others.",
    ]

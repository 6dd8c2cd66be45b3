"""The search of a learning rate, with losses from a formula in the place of trainings; the rates that a trial sees."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.lab.halving import SearchCandidate
from sightline.lab.job_runs import training_config
from sightline.lab.jobs import Failure, Job, JobResult
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.rates import EXTRA, best, beyond, candidates, edge, for_longer, most_trials, optimum, trial_warmup
from sightline.lab.results import Architecture, Rate
from sightline.lab.session import Session
from sightline.lab.summary import Outcome
from sightline.lab.worker import last_loss
from sightline.training.budget import Budget, Spent
from sightline.training.optim import OptimConfig
from sightline.training.pace import Pace
from sightline.training.state import State, TrainConfig

Trial = Callable[[float], float | None]


def searched(trial: Trial, count: int = 3) -> dict[float, float | None]:
    """The losses of a whole search, in the order of its trials."""
    losses = {factor: trial(factor) for factor in candidates(count)}
    while (factor := beyond(losses, count)) is not None:
        losses[factor] = trial(factor)
    return losses


def bowl(optimum: float) -> Trial:
    """Losses with one smallest value, which is what a training shows over rates."""
    return lambda factor: 1.0 + math.log(factor / optimum) ** 2


def diverging_above(limit: float, trial: Trial) -> Trial:
    return lambda factor: trial(factor) if factor <= limit else None


@pytest.mark.parametrize(
    ("trial", "tried", "chosen", "side"),
    [
        (bowl(1.0), [1 / 3, 1, 3], 1, None),
        (bowl(3.0), [1 / 3, 1, 3, 9], 3, None),
        (bowl(1 / 3), [1 / 3, 1, 3, 1 / 9], 1 / 3, None),
        (bowl(100.0), [1 / 3, 1, 3, 9], 9, "largest"),
        (bowl(0.001), [1 / 3, 1, 3, 1 / 9], 1 / 9, "smallest"),
        (diverging_above(1, bowl(100.0)), [1 / 3, 1, 3], 1, None),
        (diverging_above(3, bowl(100.0)), [1 / 3, 1, 3, 9], 3, None),
        (diverging_above(0.2, bowl(1.0)), [1 / 3, 1, 3, 1 / 9], 1 / 9, "smallest"),
        (diverging_above(0.01, bowl(1.0)), [1 / 3, 1, 3, 1 / 9], None, None),
    ],
    ids=["inside", "upper edge", "lower edge", "far above", "far below", "diverged above", "diverged beyond",
         "only the last one ends", "none ends"],
)  # fmt: skip
def test_a_search_looks_beyond_an_edge_and_names_one_that_remains(
    trial: Trial, tried: list[float], chosen: float | None, side: str | None
) -> None:
    losses = searched(trial)
    assert list(losses) == pytest.approx(tried)
    assert best(losses) == pytest.approx(chosen)
    assert edge(losses) == side


@given(
    losses=st.lists(st.none() | st.floats(0, 9), min_size=9, max_size=9), count=st.integers(2, 7), order=st.randoms()
)
def test_no_search_has_more_trials_than_were_planned_or_depends_on_their_order(
    losses: list[float | None], count: int, order: random.Random
) -> None:
    grid = candidates(count)
    grid = [min(grid) / 3.0, *grid, max(grid) * 3.0]
    table = dict(zip(grid, losses, strict=False))

    def trial(factor: float) -> float | None:
        return table[min(grid, key=lambda known: abs(math.log(known / factor)))]

    whole = searched(trial, count)
    assert count <= len(whole) <= most_trials(count) == count + EXTRA
    shuffled = list(whole.items())
    order.shuffle(shuffled)
    assert best(dict(shuffled)) == best(whole)
    known = [loss for loss in whole.values() if loss is not None]
    chosen = best(whole)
    assert whole[chosen] == min(known) if chosen is not None else known == []


def test_nothing_follows_before_all_candidates_have_ended() -> None:
    assert beyond({}, 3) is None
    assert beyond({1.0: 2.0, 3.0: 1.0}, 3) is None
    assert beyond({1.0: 2.0, 3.0: 1.0, 1 / 3: 3.0}, 3) == 9.0


def test_of_equal_losses_the_smaller_rate_is_taken() -> None:
    assert best({3.0: 0.5, 1.0: 0.5, 9.0: 0.7}) == 1.0


@given(middle=st.floats(0.58, 1.73), steepness=st.floats(0.1, 9.0), step=st.sampled_from([2.0, 3.0, 10.0]))
def test_the_best_rate_between_those_tried_is_exact_where_losses_are_a_parabola(
    middle: float, steepness: float, step: float
) -> None:
    losses = {rate: 2.0 + steepness * math.log(rate / middle) ** 2 for rate in (1 / step, 1.0, step)}
    if edge(losses) is None:
        assert optimum(losses) == pytest.approx(middle)
    assert optimum({**losses, step: None}) == best({**losses, step: None})


@given(losses=st.lists(st.none() | st.floats(-3, 9), min_size=2, max_size=6))
def test_the_best_rate_is_at_most_half_a_step_from_the_best_one_that_was_tried(losses: list[float | None]) -> None:
    tried = dict(zip(candidates(len(losses)), losses, strict=True))
    chosen, found = best(tried), optimum(tried)
    if chosen is None or found is None:
        assert chosen is found is None
    else:
        assert abs(math.log(found / chosen)) <= math.log(3) / 2 + 1e-9
    assert optimum(dict(reversed(tried.items()))) == found


def test_a_longer_training_has_a_smaller_rate() -> None:
    """By the power -1/3 of its length, as Bjorck et al. 2025 measured (-0.32)."""
    assert for_longer(0.01, 1) == 0.01
    assert for_longer(0.01, 8) == pytest.approx(0.005)
    assert for_longer(0.01, 0.125) == pytest.approx(0.02)
    assert for_longer(0.01, 10) == pytest.approx(0.01 * 10**-0.32, rel=0.05)


def seen(optim: OptimConfig, budget: str) -> list[float]:
    """The rates of all steps of a training of 1,000 tokens, a tenth of a second and 1e9 operations each."""
    pace, state = Pace(TrainConfig(budget=budget, optim=optim)), State()
    rates = []
    while pace.status(state) is None:
        rates.append(pace.learning_rate(state))
        spent = state.spent
        state.spent = Spent(spent.steps + 1, spent.tokens + 1000, spent.seconds + 0.1, flops=spent.flops + 10**9)
    return rates


BUDGETS = {  # of a run of 480 steps and of its trial of 60
    "steps": ("480steps", "60steps"),
    "tokens": ("480ktok", "60ktok"),
    "flops": ("480e9flop", "60e9flop"),
    "wall": ("48s-wall", "6s-wall"),
}
WARMUPS = {
    "the default": OptimConfig(lr=0.01),
    "none": OptimConfig(lr=0.01, warmup_steps=0),
    "a long share": OptimConfig(lr=0.01, warmup=0.9),
    "as long as the trial": OptimConfig(lr=0.01, warmup_steps=60),
    "as long as the run": OptimConfig(lr=0.01, warmup_steps=480),
    "longer than the run": OptimConfig(lr=0.01, warmup_steps=4000, schedule="inverse_sqrt"),
}


def of_trial(optim: OptimConfig, run: str) -> OptimConfig:
    budget = Budget.parse(run)
    steps = budget.amount if budget.unit == "steps" else None
    return replace(optim, warmup=trial_warmup(optim.warmup, optim.warmup_steps, steps), warmup_steps=None)


@pytest.mark.parametrize("unit", BUDGETS)
@pytest.mark.parametrize("warmup", WARMUPS)
def test_a_trial_sees_the_peak_of_its_rate(unit: str, warmup: str) -> None:
    run, trial = BUDGETS[unit]
    rates = seen(of_trial(WARMUPS[warmup], run), trial)
    assert len(rates) == pytest.approx(60, abs=1)
    assert max(rates) == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("steps", [0, 24, 48, 96, 240])
def test_the_rates_of_a_trial_are_those_of_its_run_in_fewer_steps(steps: int) -> None:
    optim = OptimConfig(lr=0.01, warmup_steps=steps)
    run, trial = (seen(of, budget) for of, budget in ((optim, "480steps"), (of_trial(optim, "480steps"), "60steps")))
    for step, rate in enumerate(trial):
        during = run[8 * step : 8 * step + 8]  # its eight steps
        assert min(during) - 1e-12 <= rate <= max(during) + 1e-12


def test_an_unscaled_warmup_would_hide_the_peak() -> None:
    """What the scaling is for: 100 steps of warm-up in a trial of 60."""
    assert max(seen(OptimConfig(lr=0.01, warmup_steps=100), "60steps")) == pytest.approx(0.006)


def session(tmp_path: Path, budget: float = 600.0, **settings: object) -> Session:
    config = CompareConfig(archs=("gru", "rnn"), seeds=2, search=0.4, settings=settings)
    return Session(config, tmp_path, Display(quiet=True), plan=divide(config, budget, "steps"))


def ended(job: Job, loss: float | None) -> Outcome:
    if loss is None:
        return Outcome(job, None, Failure("diverged", "step 3: the loss is nan", 4))
    return Outcome(job, JobResult(loss, job.lr_factor, 1.0, []), None)


def test_a_comparison_trains_its_runs_at_the_rate_that_its_trials_showed(tmp_path: Path) -> None:
    """The trials of two architectures end in turns; the search of each is its own."""
    lab, optima = session(tmp_path), {"gru": 5.0, "rnn": 0.9}
    jobs = [
        lab._trial(arch, SearchCandidate(None, factor)) for factor in lab.config.factors for arch in lab.config.archs
    ]
    tried: list[tuple[str, float]] = []
    while jobs:
        job = jobs.pop()
        tried.append((job.arch, job.lr_factor))
        lab.search.record(ended(job, bowl(optima[job.arch])(job.lr_factor)))
        jobs += lab._further(job.arch)
    assert sorted(tried) == [("gru", pytest.approx(f)) for f in (1 / 3, 1, 3, 9)] + [
        ("rnn", pytest.approx(f)) for f in (1 / 3, 1, 3)
    ]
    runs = [lab._run(arch, 0) for arch in lab.config.archs]
    assert {run.budget for run in runs} == {"360steps"}  # three times those of a trial
    assert [run.lr_factor for run in runs] == pytest.approx([5.0 / 3 ** (1 / 3), 0.9 / 3 ** (1 / 3)], rel=0.005)


@pytest.mark.parametrize(
    ("late", "factors", "chosen"),
    [(3.0, (3.0, 9.0), 3.0), (81.0, (9.0, 27.0), 27.0), (0.5, (3.0, 9.0), 3.0)],
    ids=["an early leader falls behind", "at the edge", "best of the longer ones"],
)
def test_of_many_rates_the_best_third_is_tried_again_and_decides(
    late: float, factors: tuple[float, ...], chosen: float, tmp_path: Path
) -> None:
    """Short trials favour large rates: their best is 9, or 27 beyond the edge; longer ones have another best."""
    config = CompareConfig(archs=("gru",), seeds=2, search=0.4, rates=5)
    lab = Session(config, tmp_path, Display(quiet=True), plan=divide(config, 600.0, "steps"))
    early = bowl(81.0 if late > 9 else 6.0)
    jobs = [lab._trial("gru", candidate) for candidate in lab.search.beginning("gru")]
    longer = []
    while jobs:
        job = jobs.pop()
        if job.stage:
            longer.append(job)
        lab.search.record(ended(job, (bowl(late) if job.stage else early)(job.lr_factor)))
        jobs += lab._further("gru")
    assert sorted(job.lr_factor for job in longer) == pytest.approx(list(factors))
    each = int(Budget.parse(lab.plan.search_each or "").amount)
    assert {job.budget for job in longer} == {f"{3 * each}steps"}
    times = Budget.parse(lab.plan.final_each).amount / (3 * each)
    assert lab._run("gru", 0).lr_factor == pytest.approx(chosen / times ** (1 / 3), rel=0.005)
    directories = [trial.job.directory for trial in lab.search.trials["gru"]]
    assert len(set(directories)) == len(directories)
    assert not lab._further("gru")


@pytest.mark.parametrize(
    ("later", "best_one", "side"),
    [({}, 0.3, "largest"), ({0.1: 0.5, 0.3: 0.6}, 0.1, None), ({0.1: 0.7, 0.3: 0.6}, 0.3, "largest"),
     ({0.03: 0.5}, 0.03, "smallest"), ({0.1: None}, 0.3, "largest")],
    ids=["short ones alone", "inside", "still the largest", "the smallest", "the longer one was lost"],
)  # fmt: skip
def test_the_edge_is_that_of_the_trials_that_decided(
    later: dict[float, float | None], best_one: float, side: str | None
) -> None:
    """By the short trials 0.3 is the best of 0.03, 0.1 and 0.3; the rate of the runs is smaller than that of any."""
    rates = [Rate(lr, loss, "done") for lr, loss in ((0.03, 3.0), (0.1, 2.0), (0.3, 1.0))]
    rates += [Rate(lr, loss, "done" if loss else "diverged", share=3.0) for lr, loss in later.items()]
    architecture = Architecture("gru", {}, learning_rate=0.02, rates=rates)
    assert architecture.best_trial is not None
    assert (architecture.best_trial.lr, architecture.rate_edge) == (best_one, side)


def test_a_trial_shows_the_loss_at_its_end_not_the_best_on_its_way() -> None:
    losses = [("valid", 0.5), ("train", 0.1), ("valid", 0.9), ("train", 0.2)]
    assert last_loss([{"event": event, "loss": loss} for event, loss in losses]) == 0.9
    assert last_loss([]) is None


def test_where_every_trial_diverged_the_runs_have_the_presets_rate(tmp_path: Path) -> None:
    lab = session(tmp_path)
    for factor in (1 / 3, 1.0, 3.0, 1 / 9):
        lab.search.record(ended(lab._trial("gru", SearchCandidate(None, factor)), None))
    assert lab._run("gru", 0).lr_factor == 1.0


@pytest.mark.parametrize(("metric", "kept_by"), [("auto", "auto"), ("loss", "loss"), ("chrf", "auto")])
def test_models_that_are_compared_by_their_loss_are_kept_by_it(tmp_path: Path, metric: str, kept_by: str) -> None:
    """Also where the task would keep them by another metric, as classifiers by accuracy."""
    lab = session(tmp_path)
    lab.config = lab.search.config = replace(lab.config, metric=metric)
    for job in (lab._run("gru", 0), lab._trial("gru", SearchCandidate(None, 1.0))):
        assert training_config(job).training.metric == kept_by


@pytest.mark.parametrize(("steps", "share"), [("0", 0.0), ("36", 0.1), ("4000", 0.5)])
def test_the_trials_of_a_comparison_warm_up_in_proportion_to_their_steps(
    tmp_path: Path, steps: str, share: float
) -> None:
    lab = session(tmp_path, **{"optim.warmup_steps": steps})
    trial, run = training_config(lab._trial("gru", SearchCandidate(None, 3.0))), training_config(lab._run("gru", 0))
    assert (trial.training.budget, run.training.budget) == ("120steps", "360steps")
    assert (run.training.optim.warmup_steps, trial.training.optim.warmup_steps) == (int(steps), None)
    assert trial.training.optim.warmup == pytest.approx(share)
    assert trial.training.optim.lr == pytest.approx(3 * run.training.optim.lr)

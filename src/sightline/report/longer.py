"""What a longer budget paid, and what one longer still is expected to pay.

Trials and runs are whole trainings, each with its own warm-up and its own fall of the rate, so that their ends can be
compared. Within one run they cannot: the end of its curve has smaller rates than a longer run has at that step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import final

from sightline.core.digits import amount, and_joined, percent, significant_apart
from sightline.core.metrics import Metric, defined
from sightline.core.sourced import Place
from sightline.lab.longer_training import LEVEL, Interval, expected
from sightline.lab.results import Architecture, Rate, Results, best_validation
from sightline.training.budget import Budget

TIMES = 3  # the length of the trainings about which something is expected, over that of the runs
LOSS = "loss"


@final
@dataclass(frozen=True)
class Longer:
    """A value of the validation at the end of the first trial with the best rate, and that of the runs, their mean.

    value: "valid", the metric that decides, at the best validation; "loss" at the end where trials do not have it
    tested: the metric that decides on the test items, the mean of the runs; None where `value` is the loss
    expected: the interval of that metric for trainings of `TIMES` the budget
    bounded: whether a longer budget would make no longer trainings
    trial_from, runs_from: the places of the values in results.json
    """

    arch: str
    trial: float
    runs: float
    value: str = LOSS
    tested: float | None = None
    expected: Interval | None = None
    bounded: bool = False
    trial_from: list[Place] = field(default_factory=list, compare=False)
    runs_from: list[Place] = field(default_factory=list, compare=False)

    def texts(self, metric: Metric) -> tuple[str, str]:
        """Both values, with as many digits as tell them apart."""
        if self.value == LOSS:
            trial, runs = significant_apart([self.trial, self.runs])
            return trial, runs
        metric = metric.apart([self.trial, self.runs])
        return metric.number(self.trial), metric.number(self.runs)

    def range(self, metric: Metric) -> str:
        """The interval as text, "76.1–82.0"; "" without one."""
        if self.expected is None:
            return ""
        metric = metric.apart(self.expected)
        return f"{metric.number(self.expected.low)}–{metric.number(self.expected.high)}"


def longer(results: Results) -> list[Longer]:
    """The architectures of which both values are known and of the same validation items, best first."""
    trials = {one.arch: _trial(one) for one in results.architectures}
    value = "valid" if any(trial is not None and defined(trial[1].valid) for trial in trials.values()) else LOSS
    compared = []
    for architecture in results.ranked:
        trial = trials[architecture.arch]
        ends = _ends(results, architecture.arch, LOSS if value == LOSS else results.primary_metric)
        if trial is None or not ends or not _same_items(results, architecture.arch):
            continue
        at, rate = trial
        if defined(first := getattr(rate, value)):
            place: Place = ("architectures", results.architectures.index(architecture), "rates", at, value)
            one = Longer(
                architecture.arch, first, fmean(ends.values()), value, trial_from=[place], runs_from=list(ends)
            )
            compared.append(one if value == LOSS else _with_expectation(one, architecture, results))
    return compared


def lengths(results: Results) -> tuple[str, str, str]:
    """The budget of a trial, that of a run, and `TIMES` that of a run: "10 s", "45 s", "135 s"; the first is ""
    without a search.
    """
    plan = results.budget
    run = Budget.parse(plan.final_each or plan.per_run)
    return amount(plan.search_each or ""), amount(plan.final_each), amount(str(replace(run, amount=TIMES * run.amount)))


def longer_lines(results: Results) -> list[str]:
    """The table as lines: "Validation loss of a trial (10 s) and of the runs (45 s): gru 2.312 → 1.456."; none without
    trials.
    """
    shown, metric = longer(results), results.metric
    if not shown:
        return []
    trial, run, later = lengths(results)
    name = "Validation loss" if shown[0].value == LOSS else f"Validation {metric.label}"
    lines = [f"{name} of a trial ({trial}) and of the runs ({run}): {_listed(shown, metric)}."]
    ranges = ", ".join(f"{one.arch} {one.range(metric)}{_unit(metric)}" for one in shown if one.expected)
    if ranges:
        lines.append(f"Expected after {later}, on the test items, with a probability of {percent(LEVEL)}: {ranges}.")
    bounded = [one.arch for one in shown if one.bounded]
    if bounded:
        lines.append(f"A longer budget trains {and_joined(bounded)} no longer: most_epochs allows no more passes.")
    return lines


def _listed(shown: Iterable[Longer], metric: Metric) -> str:
    texts = [(one.arch, *one.texts(metric), "" if one.value == LOSS else _unit(metric)) for one in shown]
    return ", ".join(f"{arch} {trial} → {runs}{unit}" for arch, trial, runs, unit in texts)


def _unit(metric: Metric) -> str:
    return f" {metric.unit}" if metric.unit else ""


def _with_expectation(one: Longer, architecture: Architecture, results: Results) -> Longer:
    """The same with the interval of a longer training, where the runs have a value on the test items."""
    tested, plan = architecture.metrics[results.primary_metric].mean, results.budget
    planned = results.planned(one.arch)
    if planned and planned.run.bounded:
        return replace(one, tested=tested, bounded=True)
    if not defined(tested):
        return one
    ratio = Budget.parse(plan.final_each).amount / Budget.parse(plan.search_each or plan.final_each).amount
    times = planned.run.longer(TIMES) if planned else TIMES
    interval = expected(
        results.metric, one.trial, one.runs, tested, ratio=ratio, times=times, items=results.data.tested
    )
    return replace(one, tested=tested, expected=interval)


def _same_items(results: Results, arch: str) -> bool:
    """Whether trials and runs are validated on the same items; by the clock each measures a share of its own."""
    planned = results.planned(arch)
    same = not planned or not planned.trial or planned.trial.validation_share == planned.run.validation_share
    return same and Budget.parse(results.budget.per_run).unit != "wall"


def _trial(architecture: Architecture) -> tuple[int, Rate] | None:
    """The first trial with the rate of the best one, and its place among the rates; None where it was lost."""
    best = architecture.best_trial
    trials = [
        (at, one)
        for at, one in enumerate(architecture.rates)
        if best and math.isclose(one.lr, best.lr)
        if one.share == 1 and one.parameters in (None, architecture.parameters)
    ]
    return trials[0] if trials and defined(trials[0][1].loss) else None


def _ends(results: Results, arch: str, value: str) -> dict[Place, float]:
    """A value of the last validation of each finished run, of the best one unless it is the loss, by its place."""
    ends: dict[Place, float] = {}
    for at, run in enumerate(results.runs):
        last = best_validation(run.history, last=value == LOSS)
        if run.arch == arch and run.status == "done" and last is not None and defined(run.history[last].get(value)):
            ends["runs", at, "history", last, value] = run.history[last][value]
    return ends

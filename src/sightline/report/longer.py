"""The losses of a comparison's runs beside those of the best of the shorter trials.

Trials and runs are whole trainings, each with its own warm-up and its own fall of the rate, so that their ends can be
compared. Within one run they cannot: the end of its curve has smaller rates than a longer run has at that step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

from sightline.core.digits import amount, significant_apart
from sightline.core.metrics import defined
from sightline.core.sourced import Place
from sightline.lab.results import Architecture, Results
from sightline.training.budget import Budget


@final
@dataclass(frozen=True)
class Longer:
    """The validation loss at the end of the first trial with the best rate, and at the end of the runs, their mean.

    trial_from, runs_from: their places in results.json
    """

    arch: str
    trial: float
    runs: float
    trial_from: list[Place] = field(default_factory=list, compare=False)
    runs_from: list[Place] = field(default_factory=list, compare=False)

    @property
    def texts(self) -> tuple[str, str]:
        """Both losses, with as many digits as tell them apart."""
        trial, runs = significant_apart([self.trial, self.runs])
        return trial, runs


def longer(results: Results) -> list[Longer]:
    """The architectures of which both losses are known and of the same validation items, best first."""
    compared = []
    for architecture in results.ranked:
        trials, lasts = _trial_losses(architecture), _run_losses(results, architecture.arch)
        trial, ends = next(iter(trials.values()), None), [loss for loss in lasts.values() if defined(loss)]
        planned = results.planned(architecture.arch)
        same = not planned or not planned.trial or planned.trial.validation_share == planned.run.validation_share
        same &= Budget.parse(results.budget.per_run).unit != "wall"  # each training measures its own share of the items
        if trial is not None and ends and same:
            at = results.architectures.index(architecture)
            places: list[Place] = [("architectures", at, "rates", rate, "loss") for rate in trials]
            compared.append(Longer(architecture.arch, trial, sum(ends) / len(ends), places, list(lasts)))
    return compared


def lengths(results: Results) -> tuple[str, str]:
    """The budget of a trial and that of a run, "10 s" and "45 s"; the first is "" without a search."""
    return amount(results.budget.search_each or ""), amount(results.budget.final_each)


def longer_line(results: Results) -> str:
    """One line: "Validation loss of a trial (10 s) and of the runs (45 s): gru 2.312 → 1.456."; "" without trials."""
    listed = ", ".join(f"{one.arch} {' → '.join(one.texts)}" for one in longer(results))
    trial, run = lengths(results)
    return f"Validation loss of a trial ({trial}) and of the runs ({run}): {listed}." if listed else ""


def _trial_losses(architecture: Architecture) -> dict[int, float]:
    """The loss of the first trial with the rate of the best one, by its place among the rates."""
    best = architecture.best_trial
    losses = [
        (at, one.loss)
        for at, one in enumerate(architecture.rates)
        if best and math.isclose(one.lr, best.lr)
        if one.share == 1 and one.parameters in (None, architecture.parameters)
    ]
    return {at: loss for at, loss in losses[:1] if defined(loss)}


def _run_losses(results: Results, arch: str) -> dict[Place, float]:
    """The last validation loss of each finished run, by its place in results.json."""
    lasts: dict[Place, float] = {}
    for at, run in enumerate(results.runs):
        valid = [(place, one) for place, one in enumerate(run.history) if one.get("event") == "valid"]
        if run.arch == arch and run.status == "done" and valid and defined(valid[-1][1].get("loss")):
            lasts["runs", at, "history", valid[-1][0], "loss"] = valid[-1][1]["loss"]
    return lasts

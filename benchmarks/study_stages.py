"""Which trainings the study needs, by stage and group: successive halving by rank over the group's data sets.

choose: every option alone for 60 s on the group's first data set, the better ones on the others too; the best three
together, in pairs and all; the best two and today's default with a second seed. confirm: the best two and the default
for 180 s. Ranks are by the validation metric. The package's defaults follow from these two.

final: the package's defaults with three seeds for 20, 60, 180 and 600 s, on the data sets of the table, which are half
held out. rivals: the same from 60 s on with the best other architecture; for 600 s where it was the better one after
180 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from study_data import DATA_SETS, DataSet
from study_factors import (
    ARCHITECTURE,
    GROUPS,
    SHIPPED,
    Configuration,
    StudyRun,
    joined_options,
    shipped_arch,
    single_options,
)
from study_results import StudyResults

STAGES = ("choose", "confirm", "final", "rivals")
SHORT_S, MIDDLE_S, BUDGETS_S = 60, 180, (20, 60, 180, 600)
SEEDS = (0, 1, 2)
EVERYWHERE = 6  # options at least that all data sets of a group try
JOINED, CONFIRMED = 3, 2
TABLE = (
    "reviews", "mpqa", "digits-pixels", "mnist", "spoken-labels", "spoken-words", "questions",
    "multi30k", "lemmas", "shakespeare", "wikitext", "etth1", "ar",
)  # fmt: skip
TODAY = Configuration()


@dataclass(frozen=True)
class Round:
    """Runs that need no results of each other."""

    stage: str
    name: str
    group: str
    runs: tuple[StudyRun, ...]

    def missing(self, results: StudyResults) -> list[StudyRun]:
        return [run for run in self.runs if run not in results]


def data_of(group: str, *, held_out: bool) -> list[DataSet]:
    """The data sets of a group that are on this machine, with those that are held out or without."""
    return [one for one in DATA_SETS.values()
            if one.group == group and one.is_there and (held_out or not one.held_out)]  # fmt: skip


def ranked(
    configurations: Sequence[Configuration],
    data_sets: Sequence[DataSet],
    budget_s: int,
    seeds: Sequence[int],
    results: StudyResults,
) -> list[Configuration]:
    """The configurations by their mean rank over the data sets, the best first; today's default first among equals."""
    ordered = [TODAY, *(one for one in configurations if one != TODAY)]
    scores = [[results.score([StudyRun(data, one, budget_s, seed) for seed in seeds]) for one in ordered]
              for data in data_sets]  # fmt: skip
    ranks = np.mean([rankdata([-score for score in row]) for row in scores], axis=0)
    return [ordered[i] for i in np.argsort(ranks, kind="stable")]


class GroupPlan:
    """The rounds of one group: each follows from the results of those before it."""

    def __init__(self, group: str, results: StudyResults) -> None:
        self.group, self.results = group, results
        self.data = data_of(group, held_out=False)
        self.table = [one for one in data_of(group, held_out=True) if one.name in TABLE]

    def next_round(self, stage: str) -> Round | None:
        """The first round of the stage that misses a run; None where the stage is complete.

        Raises:
            LookupError: an earlier stage is not complete.
        """
        candidates: list[Configuration] = []
        for one in STAGES[: STAGES.index(stage) + 1]:
            missing, candidates = STAGE_ROUNDS[one](self, candidates)
            if missing is not None and one != stage:
                raise LookupError(f"{self.group}: stage {one} is not complete")
            if missing is not None:
                return missing
        return None

    def round_of(
        self,
        stage: str,
        name: str,
        configurations: Sequence[Configuration],
        budget_s: int,
        seeds: Sequence[int],
        data: Sequence[DataSet] = (),
        *,
        alone: bool = False,
    ) -> Round | None:
        """The round, where a run of it is missing. Today's default takes part unless they are to be `alone`."""
        together = configurations if alone else [TODAY, *(one for one in configurations if one != TODAY)]
        chosen = data or self.data
        runs = [StudyRun(one, TODAY, 0) for one in chosen]
        runs += [StudyRun(one, configuration, budget_s, seed)
                 for configuration in together for one in chosen for seed in seeds]  # fmt: skip
        valid = tuple(run for run in runs if run.is_valid)
        needed = Round(stage, name, self.group, valid)
        return needed if needed.missing(self.results) else None

    def score(self, configuration: Configuration, data: DataSet, budget_s: int) -> float:
        """The mean validation metric over all seeds, larger is better."""
        return self.results.score([StudyRun(data, configuration, budget_s, seed) for seed in SEEDS])

    def architecture(self, configuration: Configuration) -> str:
        return str(StudyRun(self.data[0], configuration, SHORT_S).resolved()["arch"])

    def best(
        self, configurations: Sequence[Configuration], count: int, budget_s: int, seeds: Sequence[int]
    ) -> list[Configuration]:
        """The best of them, without today's default."""
        order = ranked(configurations, self.data, budget_s, seeds, self.results)
        return [one for one in order if one != TODAY][:count]


Outcome = tuple[Round | None, list[Configuration]]


def choosing(plan: GroupPlan, _: list[Configuration]) -> Outcome:
    """The rounds of `choose`; the configurations to confirm."""
    first, one_seed = plan.data[:1], SEEDS[:1]
    options = single_options(plan.group)
    if missing := plan.round_of("choose", "every option", options, SHORT_S, one_seed, first):
        return missing, []
    order = ranked(options, first, SHORT_S, one_seed, plan.results)
    better = order[: max(order.index(TODAY), EVERYWHERE)]
    if missing := plan.round_of("choose", "better options", better, SHORT_S, one_seed):
        return missing, []
    best = plan.best(better, JOINED, SHORT_S, one_seed)
    joined = joined_options(best)
    if missing := plan.round_of("choose", "best options together", joined, SHORT_S, one_seed):
        return missing, []
    candidates = plan.best([*better, *joined], CONFIRMED, SHORT_S, one_seed)
    if missing := plan.round_of("choose", "second seed", candidates, SHORT_S, SEEDS[:2]):
        return missing, []
    return None, candidates


def confirming(plan: GroupPlan, candidates: list[Configuration]) -> Outcome:
    """The round of `confirm`; the winner, which may be today's default. The seeds of `choose` decide between equals."""
    if missing := plan.round_of("confirm", f"{MIDDLE_S} s", candidates, MIDDLE_S, SEEDS[:1]):
        return missing, []
    before = plan.best(candidates, CONFIRMED, SHORT_S, SEEDS[:2])
    return None, ranked(before, plan.data, MIDDLE_S, SEEDS[:1], plan.results)[:1]


def final(plan: GroupPlan, _: list[Configuration]) -> Outcome:
    """The rounds of `final`, the shortest budget first."""
    for budget_s in BUDGETS_S:
        if missing := plan.round_of("final", f"{budget_s} s", [SHIPPED], budget_s, SEEDS, plan.table, alone=True):
            return missing, []
    return None, [SHIPPED]


def rivals(plan: GroupPlan, _: list[Configuration]) -> Outcome:
    """The rounds of `rivals`, the shortest budget first."""
    other, data = rival(plan), plan.table
    for budget_s in BUDGETS_S[1:]:
        if data and (missing := plan.round_of("rivals", f"{budget_s} s", [other], budget_s, SEEDS, data, alone=True)):
            return missing, []
        if budget_s == MIDDLE_S:
            data = [one for one in data if plan.score(other, one, budget_s) > plan.score(SHIPPED, one, budget_s)]
    return None, [other]


def rival(plan: GroupPlan) -> Configuration:
    """The package's defaults with the best architecture after a minute of `choose` that is not their own."""
    architectures = [one for one in single_options(plan.group) if one.options[0][0] == ARCHITECTURE]
    order = ranked([TODAY, *architectures], plan.data[:1], SHORT_S, SEEDS[:1], plan.results)
    best = next(one for one in order if plan.architecture(one) != shipped_arch(plan.group))
    option = (ARCHITECTURE, plan.architecture(best))
    return Configuration(tuple(sorted((option, *SHIPPED.options))))


STAGE_ROUNDS = {"choose": choosing, "confirm": confirming, "final": final, "rivals": rivals}


def expected_runs(group: str, stage: str) -> list[tuple[int, int]]:
    """Pairs of a budget in seconds and a number of runs at most, for all rounds of a stage; baselines have budget 0."""
    plan = GroupPlan(group, StudyResults())
    count = len(plan.data)
    if stage == "choose":
        together = math.comb(JOINED, 2) + 1 + CONFIRMED + 1
        options = len(single_options(group))
        return [(SHORT_S, options * count + 1 + together * count), (0, count)]
    if stage == "confirm":
        return [(MIDDLE_S, (CONFIRMED + 1) * count)]
    return [(budget_s, len(SEEDS) * len(plan.table)) for budget_s in BUDGETS_S] + [(0, len(plan.table))]


def plans(results: StudyResults) -> list[GroupPlan]:
    """A plan for each group with data on this machine."""
    every = [GroupPlan(group, results) for group in GROUPS]
    return [plan for plan in every if plan.data]

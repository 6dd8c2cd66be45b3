"""Pareto fronts of a comparison: quality against each cost, with uncertainty. Imports no torch.

An architecture is dominated where another one has at least its mean quality and no higher cost, and is better in one
of the two beyond its uncertainty: in quality where the verdict of the pair is *better*, in a cost where the difference
is at least `RESOLUTION` and, if the cost varies from run to run, Welch's t test over the runs shows it (95 %, on
logarithms). A cost is the mean over the runs; peak memory is the most of any run, which is what must fit.
What is not dominated is on the front; architectures that tie are all kept. Costs are tested one pair at a time, without
correction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, final

import numpy as np
from scipy import stats

from sightline.core.metrics import defined
from sightline.core.sourced import Place
from sightline.lab.results import Architecture, Pair, Results, Run

LEVEL = 0.95
RESOLUTION = 0.05  # relative difference of costs below which two count as the same


@final
@dataclass(frozen=True)
class Cost:
    """One cost of an architecture: a field of `Architecture`, and of `Run` where it differs between runs.

    unit: s, ms, bytes, or "" for a count; field_of: the field of a run that has it, where it varies from run to run
    over_runs: how the values of several runs become one
    """

    name: str
    label: str
    unit: str = ""
    field_of: Callable[[Results, Run], str] | None = None
    over_runs: Literal["mean", "most"] = "mean"

    def of(self, results: Results, architecture: Architecture) -> int | float | None:
        """The mean, or the most, over the finished runs; None where it was not measured."""
        if values := self.of_runs(results, architecture.arch):
            return fmean(values) if self.over_runs == "mean" else max(values)
        value = getattr(architecture, self.name)
        return value if defined(value) else None

    def places(self, results: Results, architecture: Architecture) -> list[Place]:
        """Where the value is in the results, or the values of the runs that it follows from."""
        if self.field_of is None or not self.of_runs(results, architecture.arch):
            return [("architectures", architecture.arch, self.name)]
        return [
            ("runs", at, self.field_of(results, run))
            for at, run in enumerate(results.runs)
            if run.arch == architecture.arch and self._of_run(results, run) is not None
        ]

    def of_runs(self, results: Results, arch: str) -> list[int | float]:
        """The values of the finished runs; empty where only one value for all is known."""
        values = [self._of_run(results, run) for run in results.runs if run.arch == arch]
        return [value for value in values if value is not None]

    def _of_run(self, results: Results, run: Run) -> int | float | None:
        """The value of one run; None where it did not finish or was not measured."""
        if self.field_of is None or run.status != "done":
            return None
        value = getattr(run, self.field_of(results, run))
        return value if defined(value) and value > 0 else None


COSTS = (
    Cost("train_s", "training time", "s", Results.own_field),
    Cost("ms", "time of an output", "ms", lambda _, run: "ms"),
    Cost("state_bytes", "state", "bytes"),
    Cost("peak_memory_bytes", "peak memory of training", "bytes", lambda _, run: "peak_memory_bytes", "most"),
    Cost("parameters", "parameters"),
)


@final
@dataclass(frozen=True)
class Point:
    """An architecture in the plane of a front; `dominated_by` names those that dominate it."""

    arch: str
    quality: float
    cost: float
    dominated_by: list[str]


@final
@dataclass(frozen=True)
class Front:
    """Quality against one cost: all architectures of which both are known, best quality first."""

    cost: Cost
    points: list[Point]

    @property
    def kept(self) -> list[str]:
        """The architectures that no other one dominates."""
        return [point.arch for point in self.points if not point.dominated_by]


def shown_better(results: Results, first: str, second: str) -> bool:
    """Whether the verdict says that `first` has a better quality than `second`."""
    pair = _pair(results, first, second)
    if pair is None or pair.first != first:
        return False
    return pair.shown if pair.outcome is None else pair.outcome == "better"


def shown_alike(results: Results, first: str, second: str) -> bool:
    """Whether the verdict says that both are practically the same; in results without a margin, that none is better."""
    pair = _pair(results, first, second)
    return pair is not None and (not pair.shown if pair.outcome is None else pair.outcome == "practically the same")


def _pair(results: Results, first: str, second: str) -> Pair | None:
    return next((pair for pair in results.pairs if {pair.first, pair.second} == {first, second}), None)


def cheaper(results: Results, cost: Cost, first: Architecture, second: Architecture) -> bool:
    """Whether a cost of `first` is below that of `second` beyond its uncertainty."""
    low, high = cost.of(results, first), cost.of(results, second)
    if low is None or high is None or low >= high * (1 - RESOLUTION):
        return False
    ours, theirs = cost.of_runs(results, first.arch), cost.of_runs(results, second.arch)
    if min(len(ours), len(theirs)) < 2:
        return True
    if len({*ours}) == len({*theirs}) == 1:  # no spread: the test is undefined
        return True
    # of one side: the runs may differ in the other direction than their mean or the most of them
    one, other = ((np.mean(logs), np.std(logs, ddof=1), len(logs)) for logs in (np.log(ours), np.log(theirs)))
    tested = stats.ttest_ind_from_stats(*one, *other, equal_var=False, alternative="less")
    return bool(tested.pvalue <= (1 - LEVEL) / 2)


def qualities(results: Results) -> dict[str, float]:
    """The mean of the metric that decides, larger is better, of the architectures that have one; best first."""
    sign, name = _sign(results), results.primary_metric
    means = {a.arch: a.metrics[name].mean for a in results.ranked if name in a.metrics}
    return {arch: sign * mean for arch, mean in means.items() if defined(mean)}


def _sign(results: Results) -> int:
    return 1 if results.metric.higher_is_better else -1


def fronts(results: Results) -> list[Front]:
    """The front of every cost that at least two architectures have; none with fewer than two architectures.

    With one seed the intervals of quality cover test items alone, as in the pairs.
    """
    quality, sign = qualities(results), _sign(results)
    rows = {a.arch: a for a in results.ranked if a.arch in quality}
    by_cost = []
    for cost in COSTS:
        known = [a for a in rows.values() if cost.of(results, a) is not None]
        if len(known) < 2:
            continue

        def dominates(first: Architecture, second: Architecture, cost: Cost = cost) -> bool:
            if quality[first.arch] < quality[second.arch] or cheaper(results, cost, second, first):
                return False
            return shown_better(results, first.arch, second.arch) or cheaper(results, cost, first, second)

        points = []
        for a in known:
            by = [other.arch for other in known if other is not a and dominates(other, a)]
            points.append(Point(a.arch, sign * quality[a.arch], float(cost.of(results, a) or 0), by))
        by_cost.append(Front(cost, points))
    return by_cost

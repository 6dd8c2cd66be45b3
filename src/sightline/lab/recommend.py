"""Which architecture to take for the priority that a user names. Imports no torch.

The candidates are the best architecture and those that are practically the same (`as_good`). Of these

- quality takes the one with the best mean;
- speed takes the one with the least time of an output; of training where no output was timed;
- memory takes the one with the smallest state; the least peak memory of training where none carries a state;
- balanced takes the one with the smallest geometric mean, over all costs that every candidate has, of its cost as a
  multiple of the smallest among the candidates.

Candidates whose cost is not shown to be higher than the smallest tie with it, and the best quality among them wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

from sightline.core.metrics import Baseline, defined
from sightline.lab.pareto import COSTS, RESOLUTION, Cost, cheaper, qualities, shown_alike
from sightline.lab.results import Architecture, Prefer, Results
from sightline.lab.verdict import finished_seeds

COST_OF: dict[str, tuple[str, ...]] = {"speed": ("ms", "train_s"), "memory": ("state_bytes", "peak_memory_bytes")}


@final
@dataclass(frozen=True)
class Recommendation:
    """The architecture to take, None where nothing can be recommended.

    best: the one with the best mean; among: the candidates, best first; cost: the one that decided, if a single one did
    multiple: of balanced, the geometric mean of the costs as multiples of the smallest
    obstacle: the reason against any recommendation; baseline: the one that no architecture beats
    """

    prefer: Prefer
    arch: str | None = None
    best: str | None = None
    among: tuple[str, ...] = ()
    cost: Cost | None = None
    multiple: float | None = None
    obstacle: Literal["", "no run finished", "one seed", "baseline"] = ""
    baseline: Baseline | None = None


def as_good(results: Results) -> list[Architecture]:
    """The best architecture and those that are practically the same by the verdict, best first."""
    known = qualities(results)
    rows = [a for a in results.ranked if a.arch in known]
    return [a for a in rows if a is rows[0] or shown_alike(results, rows[0].arch, a.arch)]


def recommend(results: Results, prefer: Prefer | None = None) -> Recommendation:
    """The architecture to take; `prefer` is by default that of the comparison.

    Nothing is recommended where no run finished, where the best architecture or all others have a single finished seed,
    so that no difference can be shown, and where a baseline is as good as every architecture.
    """
    prefer = prefer or results.prefer
    quality = qualities(results)
    if not quality:
        return Recommendation(prefer, obstacle="no run finished")
    best = next(iter(quality))
    seeds, single = finished_seeds({a.arch: a.finished for a in results.architectures if a.arch in quality})
    if seeds < 2 or best in single:
        return Recommendation(prefer, best=best, obstacle="one seed")
    if (baseline := _unbeaten(results, quality[best])) is not None:
        return Recommendation(prefer, best=best, obstacle="baseline", baseline=baseline)
    candidates = as_good(results)
    among = tuple(a.arch for a in candidates)
    if prefer == "quality":
        return Recommendation(prefer, best, best, among)
    if prefer == "balanced":
        multiples = _multiples(results, candidates)
        least = min(multiples.values())
        arch = next(name for name, multiple in multiples.items() if multiple * (1 - RESOLUTION) <= least)
        return Recommendation(prefer, arch, best, among, multiple=multiples[arch])
    costs = {cost.name: cost for cost in COSTS}
    known = [costs[name] for name in COST_OF[prefer] if all(costs[name].of(results, a) is not None for a in candidates)]
    if not known:
        return Recommendation(prefer, best, best, among)
    cost = known[0]
    cheapest = min(candidates, key=lambda a: cost.of(results, a) or 0.0)
    ties = [a for a in candidates if a is cheapest or not cheaper(results, cost, cheapest, a)]
    return Recommendation(prefer, ties[0].arch, best, among, cost)


def _multiples(results: Results, candidates: list[Architecture]) -> dict[str, float]:
    """The geometric mean of each candidate's costs as multiples of the smallest, over costs that all have."""
    logs: dict[str, list[float]] = {a.arch: [] for a in candidates}
    for cost in COSTS:
        values = {a.arch: value for a in candidates if (value := cost.of(results, a)) is not None and value > 0}
        if len(values) == len(candidates):
            least = min(values.values())
            for arch, value in values.items():
                logs[arch].append(math.log(value / least))
    return {arch: math.exp(sum(own) / len(own)) if own else 1.0 for arch, own in logs.items()}


def _unbeaten(results: Results, best: float) -> Baseline | None:
    """The best baseline, bounds apart, where no architecture has a better mean."""
    sign = 1 if results.metric.higher_is_better else -1
    name = results.primary_metric
    known = [b for b in results.baselines if not b.bound and defined(b.metrics.get(name))]
    scores = {b.name: sign * (b.metrics[name] or 0.0) for b in known}
    top = max(known, key=lambda b: scores[b.name], default=None)
    return top if top is not None and scores[top.name] >= best else None

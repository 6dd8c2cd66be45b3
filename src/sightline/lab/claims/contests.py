"""Models that differ in one thing, trained on the same task by several seeds and tested on the same examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from sightline.core.metrics import Metric, find_metric
from sightline.lab.claims.fitting import Draw, Examples, Recipe, answers, fit, held_out, initialised, losses
from sightline.lab.claims.numbers import estimated, mean_within, points_of
from sightline.lab.claims.results import ClaimChart, ClaimNumber
from sightline.lab.results import Pair
from sightline.lab.stats import compare_items, decided

Standing = Literal["better", "worse", "practically the same", "not decided"]
RESAMPLES = 2000
TESTED = 2000  # so many that one item more at a limit of the metric is little beside its margin


class Contest(NamedTuple):
    """Scores of every model on one task.

    items: (seeds, N) by the model's name, whose mean is the metric; learned: whether the task was learned at all, so
    that equal scores mean something
    """

    task: str
    metric: Metric
    items: dict[str, np.ndarray]
    learned: bool

    def pairs(self, against: str) -> dict[str, Pair]:
        """Every other model and `against`, by the other's name; p-values corrected for the number of these pairs."""
        others = [name for name in self.items if name != against]
        rows = [{name: self.items[name], against: self.items[against]} for name in others]
        pairs = [compare_items(each, self.metric, resamples=RESAMPLES).pairs[0] for each in rows]
        return dict(zip(others, decided(pairs), strict=True))

    def means(self) -> dict[str, np.ndarray]:
        """The score of every training, (seeds,)."""
        return {name: rows.mean(1) for name, rows in self.items.items()}

    def numbers(self) -> list[ClaimNumber]:
        """The mean score of every model."""
        unit = unit_of(self.metric)
        return [mean_within(f"{self.task}: {name}", of, self.metric.limits, unit) for name, of in self.means().items()]

    def differences(self, against: str) -> list[ClaimNumber]:
        """The score of every other model less that of `against`."""
        return [paired(self, pair, name) for name, pair in self.pairs(against).items()]

    def chart(self) -> ClaimChart:
        """The mean scores over the names of the models."""
        label, limits = self.metric.label, self.metric.limits
        curve = points_of(label, list(self.means().values()), limits=limits)
        return ClaimChart(self.task, "", label, [curve], categories=list(self.items))


class ContestTask(NamedTuple):
    """A task: its examples, its metric, and the score that shows that it was learned."""

    name: str
    draw: Draw
    metric: Metric
    enough: float

    def score(self, model: nn.Module, examples: Examples) -> np.ndarray:
        """The score (N,) of each example."""
        if self.metric.higher_is_better:
            right = answers(model, examples)
            return (right.sum(1) / examples.counted.sum(1)).double().numpy()
        return losses(model, examples).numpy()


def accuracy_task(name: str, draw: Draw, enough: float = 0.5) -> ContestTask:
    """A task of which the right labels are counted; it is learned where the best model has `enough`."""
    return ContestTask(name, draw, find_metric("token_accuracy"), enough)


def likelihood_task(name: str, draw: Draw, share: float = 0.7) -> ContestTask:
    """A language model's task; it is learned where the loss is below `share` of that of the labels' frequencies."""
    examples = held_out(draw, 1, 2000)
    counts = torch.bincount(examples.labels[examples.counted]).double()
    entropy = float(torch.special.entr(counts / counts.sum()).sum())
    return ContestTask(name, draw, find_metric("loss").in_unit_of("nats"), share * entropy)


def contest(
    task: ContestTask,
    entrants: Mapping[str, Callable[[], nn.Module]],
    recipe: Recipe,
    seeds: range,
    say: Callable[[str], object],
) -> Contest:
    """Train and test every entrant with every seed."""
    examples = held_out(task.draw, seeds.start, TESTED)
    items = {}
    for name, build in entrants.items():
        rows = []
        for seed in seeds:
            say(f"{task.name}: {name}, seed {seed}")
            with initialised(seed):
                model = build()
            fit(model, task.draw, recipe, seed)
            rows.append(task.score(model, examples))
        items[name] = np.stack(rows)
    means = [float(rows.mean()) for rows in items.values()]
    learned = max(means) >= task.enough if task.metric.higher_is_better else min(means) <= task.enough
    return Contest(task.name, task.metric, items, learned)


def unit_of(metric: Metric) -> str:
    """The unit of a metric's plain value: a share has none."""
    return (metric.unit or "") if metric.factor == 1.0 else ""


def standing(pair: Pair, name: str) -> Standing:
    """How the model `name` compares with the other of the pair."""
    if pair.outcome == "better":
        return "better" if pair.first == name else "worse"
    return pair.outcome or "not decided"


def paired(contest: Contest, pair: Pair, name: str) -> ClaimNumber:
    """The score of `name` minus that of the other of the pair, with its paired interval."""
    change, other = (pair.difference, pair.second) if pair.first == name else (pair.difference.turned(), pair.first)
    return estimated(f"{contest.task}: {name} less {other}", change, unit_of(contest.metric))

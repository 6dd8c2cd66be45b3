"""Tests of the maps of any model by training it again: another seed, and even attention in every layer.

Wiegreffe & Pinter 2019 (arXiv:1908.04626) ask both of one pooled attention; here they are asked of every map that a
model's layers give, in all tasks. Deviations:

- seeds (§ 3.3): the Jensen-Shannon divergence of the two models' maps of the same item, each divided by its sum and the
  mean over heads. Where a model reads its own output, of the items for which both have written the same until then
- even weights (§ 3.2): in all layers of softmax attention at once, in training and when it is measured, over the
  positions that each query sees; beside the model with another seed, which has the same budget: that of the run's own
  may be larger
- one seed of each
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.metrics import find_metric
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.inspect.explained import ExplainedItem, ShownMap
from sightline.inspect.faithfulness import jensen_shannon
from sightline.inspect.faithfulness_results import Retrained, RetrainedModel, RetrainedTest, numbered_maps
from sightline.inspect.faithfulness_verdict import WORDS
from sightline.inspect.rates import mean_interval
from sightline.inspect.record import attention_probes, replaced_attention
from sightline.inspect.training_again import TrainingAgain
from sightline.lab.swap.scores import SwapScores
from sightline.tasks.opened import OpenedInput

NAMES = {
    "model": "the run's model",
    "seed": "the same with another seed",
    "even": "the same with even attention in every layer",
}
QUESTION = "Is attention needed here: what does learned attention win over even attention, with the same budget?"


@contextmanager
def even_layers(model: nn.Module) -> Iterator[None]:
    """Inside the block every query of every layer of softmax attention weighs what it sees evenly."""
    implicit = {name for name, probe in attention_probes(model).items() if probe.implicit}

    def even(name: str, weights: Tensor) -> Tensor:
        if name in implicit:
            return weights
        seen = (weights > 0).to(weights)
        return seen / seen.sum(-1, keepdim=True).clamp(min=1)

    with replaced_attention(model, even):
        yield


def retrained_layers(task: Any, budget: str, items: int, seed: int, say: Callable[[str], object]) -> Retrained:
    """Train the models of both tests, and measure them: the metric on up to `TESTED` test items, maps on `items`.

    Raises:
        InputError: what `TrainingAgain.of` raises. Diverged.
    """
    again = TrainingAgain.of(task, budget, seed, say)
    models, steps = {"model": task}, {"model": 0}
    models["seed"], steps["seed"] = again.train(again.config("seed"), NAMES["seed"])
    if any(not probe.implicit for probe in attention_probes(task.model).values()):  # a layer of softmax attention
        models["even"], steps["even"] = again.train(again.config("even"), NAMES["even"], even_layers)
    part = again.part
    name = type(task).metrics(again.data, again.run)[0]
    rows = {key: one.measure(part).items[name] for key, one in models.items() if key != "even"}
    if "even" in models:
        with even_layers(models["even"].model):
            rows["even"] = models["even"].measure(part).items[name]
    scores = SwapScores.of(rows, find_metric(name), seed)
    ends = {key: scores.score(key) for key in models}
    measured = [
        RetrainedModel(key, NAMES[key], steps[key], name, ends[key].mean, ends[key].low, ends[key].high)
        for key in models
    ]
    tests = _even_test(scores, len(part)) if "even" in models else []
    return Retrained(budget, len(part), measured, [*tests, *_seed_tests(task, models["seed"], part, items, seed)])


def _even_test(scores: SwapScores, items: int) -> list[RetrainedTest]:
    """The gain of attention over even attention, in the unit of the metric, of two models with one budget."""
    lost = scores.lost("even", "seed")
    mean, low, high = (end and scores.metric.factor * end for end in (lost.mean, lost.low, lost.high))
    needed = lost.low is not None and lost.low > 0
    return [
        RetrainedTest(
            "learned attention", QUESTION,
            scores.metric.unit_of_difference, mean, low, high, items,
            "Attention is needed: with even weights in every layer and the same budget, the model is worse than with "
            "learned ones." if needed else
            "It is not shown that attention is needed: with even weights in every layer and the same budget, a model "
            "is as good as these items can tell, so that tests of attention say little about these data.",
        )
    ]  # fmt: skip


def _seed_tests(task: Any, other: Any, part: Any, items: int, seed: int) -> list[RetrainedTest]:
    """How far each map is from that of the other seed, over items."""
    far: dict[str, list[float]] = {}
    shown: dict[str, ShownMap] = {}
    with evaluating(task.model), evaluating(other.model):
        pairs = zip(task.open_items(part, items), other.open_items(part, items), strict=True)
        for number, (one, two) in enumerate(islice(pairs, items)):
            row = _common_row(one, two, derive(seed, "row", number))
            if row is None:
                continue
            maps = {each.name: each for each in ExplainedItem(task.model, one, row).maps}
            for each in ExplainedItem(other.model, two, row).maps:
                if each.name in maps and len(each.values) == len(maps[each.name].values):
                    shown.setdefault(each.name, each)
                    far.setdefault(each.name, []).append(divergence(maps[each.name].values, each.values))
    names = numbered_maps(shown.values(), WORDS)
    return [
        RetrainedTest(
            f"seed variance, {names[name]}", "How far is the map of another seed from this model's?", "nats",
            *mean_interval(values),
            "Other maps are remarkable only where they are farther away than this (0.69 = nothing in common).",
        )
        for name, values in far.items()
    ]  # fmt: skip


def _common_row(one: OpenedInput, two: OpenedInput, seed: int) -> int | None:
    """A position of the answer until which both models have read the same; None if there is none."""
    if len(one.reads) > 1:
        return -1
    random = np.random.default_rng(seed)
    count = min(len(one.outputs), len(two.outputs))
    if one.read is None:
        return int(random.integers(count)) if count else None
    same = next((at for at in range(count) if one.outputs[at] != two.outputs[at]), count)
    return int(random.integers(min(same + 1, count))) if count else None


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """The Jensen-Shannon divergence of two maps (S,), each divided by its sum, in nats; NaN where one has no sum."""
    if not first.sum() or not second.sum():
        return float("nan")
    p, q = (torch.from_numpy(values / values.sum()) for values in (first, second))
    return float(jensen_shannon(p, q))

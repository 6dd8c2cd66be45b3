"""Removing heads: in which order, what it costs, and the smaller model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from scipy import stats
from torch import nn

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.core.suggest import suggest
from sightline.data.batches import START
from sightline.inspect.head_report import PruningCurve, PruningOrder, PruningPoint
from sightline.inspect.heads import (
    Head,
    ablated_heads,
    head_gradients,
    head_importance,
    heads_of,
    layer_normalised,
)
from sightline.models.pruned import keep_heads, prunable_layers


class Quality(NamedTuple):
    """A model's loss and its value of the task's metric."""

    loss: float
    metric: float


@final
class MeasuredTask:
    """A task with items on which its heads are judged: the loss of whole batches, gradients, and a metric.

    The loss is that of training, dropout off, per counted token or item. The metric is `metric` or, None, the first of
    those that the task measures.

    Raises:
        InputError: "--metric: translation measures no 'blue', did you mean 'bleu'?".
    """

    def __init__(self, task: Any, items: Any, metric: str | None = None) -> None:
        self.task, self.items = task, items
        self.batches = [batch.to(task.device) for batch in one_epoch(task.batches(items, seed=0))]
        values = task.measure(items).metrics
        self.metric = chosen_metric(task.name, values, metric)
        self.whole = Quality(self.loss(), values[self.metric])

    @torch.no_grad()
    def loss(self) -> float:
        """The loss over all batches."""
        with evaluating(self.task.model):
            losses = [self.task.loss(self.task.model, batch) for batch in self.batches]
        return float(sum(float(loss.total) for loss in losses) / sum(loss.count for loss in losses))

    def quality(self, without: Sequence[Head] = ()) -> Quality:
        """Loss and metric without some heads."""
        if not without:
            return self.whole
        with ablated_heads(self.task.model, without):
            return Quality(self.loss(), self.task.measure(self.items).metrics[self.metric])

    def ablation(self) -> dict[Head, float]:
        """The rise of the loss without each head."""
        changes = head_importance(self.task.model, lambda: torch.tensor(self.loss(), dtype=torch.double))
        return {head: float(change) for head, change in changes.items()}

    def gradient(self) -> dict[Head, float]:
        """E_x |∂L(x)/∂ξ_h| of each head, L(x) being the summed loss of a row of a batch."""
        return head_gradients(self.task.model, lambda batch: self.task.loss(self.task.model, batch).total, self.batches)


def chosen_metric(task: str, values: Mapping[str, float], name: str | None) -> str:
    """The named metric, or the first of those measured that decides a comparison."""
    if name is not None and name not in values:
        raise InputError(f"{task} measures no {name!r}{suggest(name, values)}", where="--metric")
    return name or next((one for one in values if find_metric(one).decides), next(iter(values)))


def one_epoch(batches: Any) -> Iterator[Any]:
    """All batches of the first epoch of a stream."""
    for batch, cursor in batches.stream(START):
        yield batch
        if cursor.epoch != START.epoch:
            return


def by_importance(importance: Mapping[Head, float]) -> list[Head]:
    """Heads, the least important first; of equal ones the first in the model."""
    return sorted(importance, key=lambda head: importance[head])


IMPORTANCE: dict[PruningOrder, Callable[[Mapping[Head, float]], list[Head]]] = {
    "ablation": by_importance,
    "gradient": lambda importance: by_importance(layer_normalised(importance)),  # as Michel et al. 2019 compare layers
}


def pruning_curves(
    model: nn.Module,
    measure: Callable[[Sequence[Head]], Quality],
    orders: Mapping[PruningOrder, Sequence[Head]],
    *,
    draws: int = 5,
    points: int = 9,
) -> list[PruningCurve]:
    """Loss and metric by the number of heads removed, in each of the orders and in `draws` random ones.

    measure: the quality of the model without some heads

    The numbers are evenly spaced from none to all, at most `points` of them. Of random orders there is the mean with
    its 95 % interval (Student's t over the orders).
    """
    heads = [Head(name, number) for name, layer in heads_of(model).items() for number in range(layer.heads)]
    numbers = sorted({round(x) for x in np.linspace(0, len(heads), min(points, len(heads) + 1))})
    known: dict[frozenset[Head], Quality] = {}

    def quality(removed: Sequence[Head]) -> Quality:
        key = frozenset(removed)
        if key not in known:
            known[key] = measure(removed)
        return known[key]

    curves = []
    for name, order in orders.items():
        qualities = [quality(order[:number]) for number in numbers]
        curves.append(
            PruningCurve(name, 1, [PruningPoint(n, *map(float, each)) for n, each in zip(numbers, qualities)])
        )
    if not draws:
        return curves
    random = np.random.default_rng(derive(0, "pruning orders"))
    shuffled = [[heads[place] for place in random.permutation(len(heads))] for _ in range(draws)]
    means = [_mean_point(number, [quality(order[:number]) for order in shuffled]) for number in numbers]
    return [*curves, PruningCurve("random", draws, means)]


def _mean_point(number: int, qualities: Sequence[Quality]) -> PruningPoint:
    values = np.array(qualities)  # (orders, 2)
    mean = values.mean(0)
    if len(values) < 2:
        return PruningPoint(number, *map(float, mean))
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(0, ddof=1) / np.sqrt(len(values))
    (loss, metric), (low, metric_low), (high, metric_high) = mean, mean - half, mean + half
    return PruningPoint(number, *map(float, (loss, metric, low, high, metric_low, metric_high)))


def number_to_prune(text: str, heads: int) -> int:
    """The number of heads that "3" or "25%" of so many means; a share is rounded to the nearest number.

    Raises:
        InputError: "--prune: expected a number of heads from 1 to 12 or a share such as 25%, found 'x'".
    """
    digits = text.strip().removesuffix("%").strip()
    try:
        amount = float(digits) / 100 * heads if text.strip().endswith("%") else int(digits)
    except ValueError:
        amount = 0
    if not 0.5 <= amount <= heads:
        raise InputError(
            f"expected a number of heads from 1 to {heads} or a share such as 25%, found {text!r}", where="--prune"
        )
    return round(amount)


def prune(model: nn.Module, heads: Sequence[Head]) -> dict[str, tuple[int, ...]]:
    """Remove heads from a model, in place; the numbers of those that are left in each layer that lost some, by path.

    The model computes what it does under `ablated_heads(model, heads)`. A layer may lose all of its heads: it then
    gives the bias of its output projection.

    Raises:
        InputError: "--prune: decoder.1: kept heads [0, 1, 2] leave key heads with different numbers of query heads …";
            "--prune: no layer whose heads can be removed has a head 2 at 'layers.0.weights'".
    """
    numbers = {path: list(range(layer.heads.heads)) for path, layer in prunable_layers(model).items()}
    for head in heads:
        path = head.layer.rpartition(".")[0]
        if head.number not in numbers.get(path, ()):
            raise InputError(
                f"no layer whose heads can be removed has a head {head.number} at {head.layer!r}", where="--prune"
            )
        numbers[path].remove(head.number)
    kept = {path: tuple(numbers[path]) for path in dict.fromkeys(head.layer.rpartition(".")[0] for head in heads)}
    try:
        keep_heads(model, kept)
    except ValueError as error:
        raise InputError(str(error), where="--prune") from None
    return kept

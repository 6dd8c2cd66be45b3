"""What was measured of a model on some items: metrics, and the rows of items that make them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from sightline.core.metrics import metrics_of


@final
@dataclass(frozen=True)
class Measured:
    """The metrics of a model on some items.

    metrics: by name, in the units of `core.metrics`
    items: for each metric rows (N, K) that `Metric.value` takes to the metric, (N, 2) for one that is not
        in that table: one row for each item in order, or, where items overlap and have no text, for each group of
        neighbours
    outputs, references: of every item, as people read them; empty where they are not text
    details: further results, such as a confusion matrix, in plain JSON types
    """

    metrics: dict[str, float]
    items: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, outputs: Mapping[str, Sequence[Any]], **rest: Any) -> Measured:
        """Every metric of `core.metrics` that is made of these kinds of outputs, given as its `rows` takes them."""
        chosen = metrics_of(*outputs)
        items = {metric.name: metric.rows_of(*outputs[metric.of]).astype(float) for metric in chosen}
        with np.errstate(divide="ignore", invalid="ignore"):  # of a metric that is undefined
            values = {metric.name: float(metric.value(items[metric.name][None])[0]) for metric in chosen}
        return cls(values, items, **rest)

"""Results of a task: answers, measurements and costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, final

import numpy as np

from sightline.core.metrics import metrics_of

T = TypeVar("T")


@final
class Answer(NamedTuple):
    """One output, as text and as an object for `--json`."""

    text: str
    record: dict[str, Any]
    complete: bool = True  # False: cut off at a limit
    notes: tuple[str, ...] = ()  # for the user


@final
class Costs(NamedTuple):
    """The cost of one output when outputs are computed one at a time."""

    ms: float | None = None  # median
    per: str = "item"  # the unit that `ms` is measured for: "token", "item"
    state_bytes: int | None = None  # carried from step to step
    state_of: str = ""  # at which lengths, such as "29 source and 10 target tokens in"


@final
@dataclass(frozen=True)
class Measured:
    """The metrics of a model on some items.

    metrics: by name, in the units of `core.metrics`
    items: for each metric rows (N, K) that `core.metrics.Metric.value` takes to the metric, (N, 2) for one that is not
        in that table: one row for each item in order, or, where items overlap and have no text, for each group of
        neighbours
    outputs, references: of every item, as people read them; empty where they are not text
    details: further results, such as a confusion matrix, in plain JSON types
    """

    metrics: dict[str, float]
    items: dict[str, np.ndarray]
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


def median_ms(calls: Iterable[Callable[[], Any]]) -> float | None:
    """The median duration of calls in milliseconds, each made once before, as the first time is slower."""
    times = []
    for call in calls:
        call()
        times.append(timed_ms(call)[1])
    return statistics.median(times) if times else None


def timed_ms(call: Callable[[], T]) -> tuple[T, float]:
    """A call's result and its duration in milliseconds."""
    began = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - began)

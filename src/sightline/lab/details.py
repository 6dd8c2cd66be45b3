"""Details of an evaluation besides its metrics, as stored in results.json. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from sightline.core.metrics import defined

MOST_CLASSES = 200  # a confusion matrix with more classes is not kept


@final
@dataclass(frozen=True)
class Confusion:
    """Numbers of items by true label (rows) and predicted label (columns)."""

    labels: list[str]
    counts: list[list[int]]


@final
@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with a probability between `low` and `high`: mean probability and fraction of correct ones."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@final
@dataclass(frozen=True)
class Curve:
    """A metric by position in the context or by step of the horizon; `along` names the axis."""

    metric: str
    along: str
    at: list[float]
    values: list[float | None]


@final
@dataclass(frozen=True)
class Details:
    """Details of an evaluation besides its metrics."""

    confusion: Confusion | None = None
    reliability: list[ReliabilityBin] = field(default_factory=list)
    curve: Curve | None = None


def details_of(details: Mapping[str, Any], metric: str = "") -> Details | None:
    """The drawable parts of a task's `Measured.details`, by step of `metric` if available; None if there are none."""
    confusion, curve = details.get("confusion"), None
    if confusion is not None and len(confusion["labels"]) > MOST_CLASSES:
        confusion = None
    if points := details.get("by_position"):
        along = "position in the context"
        curve = Curve("loss", along, [float(p["last"]) for p in points], [p["loss"] for p in points])
    elif by_step := details.get("by_step"):
        shown = metric if metric in by_step else next(iter(by_step))
        values = [value if defined(value) else None for value in by_step[shown]]
        curve = Curve(shown, "steps ahead", [float(step) for step in range(1, len(values) + 1)], values)
    drawable = Details(
        None if confusion is None else Confusion(**confusion),
        [ReliabilityBin(**one) for one in details.get("reliability", [])],
        curve,
    )
    return None if drawable == Details() else drawable

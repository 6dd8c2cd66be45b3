"""What a measurement has to show besides its metrics, as results.json holds it. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_CLASSES = 200  # of a confusion matrix that is kept


@dataclass(frozen=True)
class Confusion:
    """How many items of each true label (rows) were given each label (columns)."""

    labels: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with a probability between `low` and `high`: their mean probability, and the share that is right."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Curve:
    """A metric along the positions of the context or the steps of the horizon, as `along` says."""

    metric: str
    along: str
    at: list[float]
    values: list[float | None]


@dataclass(frozen=True)
class Details:
    """What a measurement has to show besides its metrics."""

    confusion: Confusion | None = None
    reliability: list[ReliabilityBin] = field(default_factory=list)
    curve: Curve | None = None


def details_of(found: Mapping[str, Any], metric: str = "") -> Details | None:
    """What there is to draw of a task's `Measured.details`, by step of `metric` where it has that; None = nothing."""
    confusion, curve = found.get("confusion"), None
    if confusion is not None and len(confusion["labels"]) > MOST_CLASSES:
        confusion = None
    if points := found.get("by_position"):
        along = "position in the context"
        curve = Curve("loss", along, [float(p["last"]) for p in points], [p["loss"] for p in points])
    elif by_step := found.get("by_step"):
        shown = metric if metric in by_step else next(iter(by_step))
        values = [value if math.isfinite(value) else None for value in by_step[shown]]
        curve = Curve(shown, "steps ahead", [float(step) for step in range(1, len(values) + 1)], values)
    details = Details(
        None if confusion is None else Confusion(**confusion),
        [ReliabilityBin(**one) for one in found.get("reliability", [])],
        curve,
    )
    return None if details == Details() else details

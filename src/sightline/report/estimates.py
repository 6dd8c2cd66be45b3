"""Means with their intervals: as text, and as fields of a chart. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

from sightline.core.metrics import Metric, defined
from sightline.core.sourced import Place, sourced
from sightline.lab.results import Estimate


def signed(text: str, value: float) -> str:
    """The text of a number with a plus sign where it is positive."""
    return f"+{text}" if value > 0 and not text.startswith("−") else text


def with_ends(estimate: Estimate, written: Callable[[float], str], place: Place = ()) -> str:
    """A mean and its interval, each as `written`: "61.2 [58.0, 64.1]"; "undefined" if there is none.

    place: of the estimate in the results
    """
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    texts = {
        end: sourced(written(value), (*place, end)) if place else written(value)
        for end, value in values.items()
        if defined(value)
    }
    if "mean" not in texts:
        return "undefined"
    return f"{texts['mean']} [{texts['low']}, {texts['high']}]" if len(texts) == 3 else texts["mean"]


def score_of(metric: Metric, score: Estimate) -> str:
    """A score of the metric with its interval: "61.2 % [58.0, 64.1]"."""
    if score.low is None or score.high is None:
        return metric.text(score.mean)
    return f"{metric.text(score.mean)} [{metric.number(score.low)}, {metric.number(score.high)}]"


def amount_of(metric: Metric, difference: Estimate) -> str:
    """A difference of the metric with its interval, signed, without its unit: "+12.3 [+10.1, +14.9]"."""
    return with_ends(difference, lambda value: signed(metric.number(value), value))


def ends(field: str, estimate: Estimate | None, factor: float) -> dict[str, float | None]:
    """The fields of a chart's row for a mean and its interval."""
    if estimate is None:
        return {field: None}
    known = {"": estimate.mean, "_low": estimate.low, "_high": estimate.high}
    return {f"{field}{end}": None if value is None else value * factor for end, value in known.items()}

"""The interactive charts of claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sightline.core.digits import significant
from sightline.lab.claims.results import ClaimChart, ClaimCurve
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.text import capitalised, visible

APART = 0.08  # of the distance of two names, between the curves that have a point at both
ClaimPoint: TypeAlias = tuple[float, float, float, float]


def claim_chart(chart: ClaimChart, known: Mapping[str, Sequence[ClaimPoint]]) -> InteractiveChart:
    """Lines, or points over names, with their intervals and the reference lines. known: the points of each curve."""
    rows = [
        _row(chart, label, point, beside(place, len(known)) if chart.categories else 0.0)
        for place, (label, points) in enumerate(known.items())
        for point in points
    ]
    x = ChartAxis("x", capitalised(chart.x_label), log=2 * chart.log_x)
    if chart.categories:
        names = tuple(map(visible, chart.categories))
        x = ChartAxis("x", capitalised(chart.x_label), labels=names, domain=(-0.6, len(names) - 0.4))
    y = ChartAxis("y", capitalised(chart.y_label), log=10 * chart.log_y, grid=True)
    lines = [line for line in chart.lines if line.y > 0 or not chart.log_y]
    return InteractiveChart(
        "lines", rows, list(known), [x], [y], rules=[line.y for line in lines],
        rule_labels=[line.label for line in lines], height=340,
    )  # fmt: skip


def _row(chart: ClaimChart, label: str, point: ClaimPoint, shift: float) -> dict[str, Any]:
    x, y, low, high = point
    bounded = (low, high) != (y, y)
    interval = f" [{significant(low)}, {significant(high)}]" if bounded else ""
    facts = [label, f"{chart.x_label} {place_name(chart, x)}", f"{chart.y_label} {significant(y)}{interval}"]
    row = {"series": label, "x": x + shift, "y": y, "text": "\n".join(facts)}
    ends = {"y_low": low, "y_high": high} if bounded else {}
    return row | ends | ({"part": "point"} if chart.categories else {})


def beside(place: int, curves: int) -> float:
    """How far a curve's points lie beside their names, so that the points of several curves do not cover each other."""
    return APART * (place - (curves - 1) / 2)


def place_name(chart: ClaimChart, x: float) -> str:
    """A place on the x axis in words."""
    return chart.categories[int(x)] if chart.categories else f"{x:g}"


def known_points(curve: ClaimCurve, chart: ClaimChart) -> list[ClaimPoint]:
    """The points of a curve that can be drawn: x, y, and the ends of its interval, which are y where it has none."""
    points = []
    for i, (x, y) in enumerate(zip(curve.x, curve.y, strict=True)):
        if y is None or (chart.log_y and y <= 0) or (chart.log_x and x <= 0):
            continue
        low, high = (None if ends is None else ends[i] for ends in (curve.low, curve.high))
        low, high = y if low is None else low, y if high is None else high
        points.append((x, y, max(low, 1e-3 * y) if chart.log_y else low, high))
    return points

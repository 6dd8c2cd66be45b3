"""Figures of Pareto fronts: quality against each cost, small ones side by side."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from sightline.core.digits import significant
from sightline.core.metrics import Metric
from sightline.lab.pareto import Front, fronts
from sightline.lab.results import Estimate, Results
from sightline.report.charts import InteractiveChart
from sightline.report.comparison_charts import front_chart
from sightline.report.drawing import MARKERS, Drawing, Theme, axis_label, end_labels
from sightline.report.recommendation import cost_label, written
from sightline.report.text import capitalised, visible

WIDE = 3.0  # ratio of the highest to the lowest cost from which the axis is logarithmic
NEAR = 0.1  # half of the least span of another axis, as a share of the highest cost: equal costs look equal
DOMINATED = 0.45  # opacity of what is not on the front
COUNTS = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"))
BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def front_drawings(results: Results) -> list[Drawing]:
    """One figure for each front."""
    order = {architecture.arch: i for i, architecture in enumerate(results.architectures)}
    return [_drawing(results, front, order) for front in fronts(results)]


def front_explorer(results: Results) -> tuple[InteractiveChart, str] | None:
    """The chart of any two metrics and costs, with its description; None if no front has two points or more."""
    all_fronts = fronts(results)
    if not any(len(front.points) > 1 for front in all_fronts):
        return None
    names = [a.arch for a in results.architectures]
    kept = {arch for front in all_fronts for arch in front.kept}
    hollow = {arch: arch not in kept for arch in names}
    description = f"Any two of the metrics and costs of {', '.join(names)}; hollow marks are on no Pareto front."
    return front_chart(results, hollow), visible(description)


def _drawing(results: Results, front: Front, order: dict[str, int]) -> Drawing:
    info, label = results.metric, cost_label(results, front.cost)
    scores = {a.arch: a.metrics[info.name] for a in results.architectures if info.name in a.metrics}

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        scale, unit = _scale(front)
        costs = [point.cost / scale for point in front.points]
        logarithmic = min(costs) > 0 and max(costs) >= WIDE * min(costs)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if max(costs) > 100 * min(costs) else (1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: significant(value, 1 if logarithmic else 3)))
        low, high = min(costs), max(costs)
        if logarithmic:
            axes.set_xlim(low / (high / low) ** 0.08, high * (high / low) ** 0.08)
        else:
            room = max(0.08 * (high - low), NEAR * high - (high - low) / 2) or 1.0
            axes.set_xlim(max(low - room, 0.0), high + room)
        ends = {}
        for point in front.points:
            x, y, index = point.cost / scale, point.quality * info.factor, order[point.arch] % 8
            shade = DOMINATED if point.dominated_by else 1.0
            estimate, colour = scores[point.arch], theme.series[index]
            if estimate.low is not None and estimate.high is not None:
                axes.vlines(
                    x, estimate.low * info.factor, estimate.high * info.factor, colour, linewidth=1.6, alpha=shade
                )
            face = theme.paper if point.dominated_by else colour
            axes.plot(x, y, MARKERS[index], color=colour, markersize=6, markerfacecolor=face, markeredgecolor=colour)
            ends[point.arch] = (x, y)
        _staircase(axes, theme, info, front, scale)
        axes.set_ylim(quality_range(info, [point.quality for point in front.points], list(scores.values())))
        axes.set_xlabel(f"{label} ({unit})" if unit else label)
        axes.set_ylabel(axis_label(info))
        axes.grid(color=theme.grid, linewidth=0.6)
        arrow = "↖" if info.higher_is_better else "↙"
        axes.annotate(f"{arrow} better", (0.0, 1.03), xycoords="axes fraction", color=theme.muted, fontsize=8)
        end_labels(axes, theme, ends, order)

    title = f"{capitalised(info.label)} against {label}"
    kept = "; ".join(
        f"{point.arch} {info.text(point.quality)}, {written(front.cost, point.cost)}"
        for point in front.points
        if point.arch in front.kept
    )
    description = visible(f"{title}. On the front: {kept}")
    return Drawing(f"front-{front.cost.name.replace('_', '-')}", title, description, draw, height=2.7)


def quality_range(info: Metric, qualities: list[float], scores: list[Estimate]) -> tuple[float, float]:
    """The ends of the axis of quality: around all marks and intervals, at least a hundredth of a bounded metric."""
    known = [*qualities, *(end for score in scores for end in (score.low, score.high) if end is not None)]
    low, high = min(known), max(known)
    span = info.limits[1] - info.limits[0]
    least = span / 100 if math.isfinite(span) else 0.02 * abs(high)
    room = max(0.08 * (high - low), (least - (high - low)) / 2) or 1.0
    return (low - room) * info.factor, (high + room) * info.factor


def _staircase(axes: Axes, theme: Theme, info: Metric, front: Front, scale: float) -> None:
    """The best mean that is reached at each cost, by what is on the front."""
    kept = sorted((point for point in front.points if not point.dominated_by), key=lambda point: point.cost)
    better = max if info.higher_is_better else min
    xs, ys, best = [], [], math.nan
    for point in kept:
        best = point.quality if math.isnan(best) else better(best, point.quality)
        xs.append(point.cost / scale)
        ys.append(best * info.factor)
    axes.plot(xs, ys, color=theme.muted, linewidth=1.0, drawstyle="steps-post", zorder=1)


def _scale(front: Front) -> tuple[float, str]:
    """The divisor of the costs on the axis, and its unit."""
    most = max(point.cost for point in front.points)
    if front.cost.unit == "bytes":
        return next(((factor, unit) for factor, unit in BYTES if most >= factor), BYTES[-1])
    if front.cost.unit:
        return 1.0, front.cost.unit
    return next(((factor, unit) for factor, unit in COUNTS if most >= factor), (1.0, ""))

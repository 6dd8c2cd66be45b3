"""Lines that are too many for one figure, in groups: small pictures side by side, and charts of one group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from matplotlib.axes import Axes

from sightline.report.charts import InteractiveChart
from sightline.report.drawing import Theme

MOST_LINES = 8  # in one figure: as many as there are colours


def line_groups(names: Sequence[str], drawn: Iterable[str]) -> list[list[str]]:
    """The names that are drawn, in one group where these are few; else in groups of neighbours among all names, so that
    a name has the same group in every figure, and no two lines of a group the same colour.
    """
    few = set(drawn)
    if len(few) <= MOST_LINES:
        return [[name for name in names if name in few]]
    count = -(-len(names) // MOST_LINES)
    ends = [round(place * len(names) / count) for place in range(count + 1)]
    groups = [[name for name in names[a:b] if name in few] for a, b in pairwise(ends)]
    return [group for group in groups if group]


def grouped(chart: InteractiveChart, groups: Sequence[Sequence[str]]) -> InteractiveChart:
    """The chart with a choice of one group, or of all, where there are several."""
    if len(groups) < 2:
        return chart
    labels = [f"{group[0]} to {group[-1]}" if len(group) > 1 else group[0] for group in groups]
    of = {name: label for group, label in zip(groups, labels, strict=True) for name in group}
    rows = [{**row, "group": of[row["series"]]} for row in chart.rows]
    return replace(chart, rows=rows, groups=[*labels, ""], group_label="lines")


def draw_others(axes: Axes, theme: Theme, lines: Iterable[Sequence[tuple[float, float]]]) -> None:
    """The lines of the other groups in the colour of the grid, as one path: what a group is compared with, and the
    same axes for all.
    """
    places: list[tuple[float, float]] = []
    for points in lines:
        places += [*points, (float("nan"), float("nan"))]
    if places:
        axes.plot(*zip(*places, strict=True), color=theme.grid, linewidth=1.0, zorder=0.5)


def same_scales(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Limits that contain all places, whichever of them are drawn here; call it after the scales are chosen."""
    axes.update_datalim([(a, b) for a, b in zip((min(x), max(x)), (min(y), max(y)))])
    axes.autoscale_view()

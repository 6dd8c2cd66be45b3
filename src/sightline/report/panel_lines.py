"""Lines with bands, which most figures of a bottleneck panel are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from sightline.lab.panel_results import Band
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_line, end_labels
from sightline.report.text import visible

MOST_LINES = 8  # with colours of their own; further lines are thinner


class BandLine(NamedTuple):
    """Points with the ends of their intervals."""

    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def lines(
    name: str,
    title: str,
    labels: tuple[str, str],
    rows: Mapping[str, BandLine],
    order: Mapping[str, int],
    log_y: bool = True,
    log_x: bool = True,
) -> Drawing:
    """One line for each row, with the band of its interval and its name at its end."""

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        if log_x:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        if log_y:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        ends = {}
        for row, line in rows.items():
            index, extra = order.get(row, 0) % MOST_LINES, order.get(row, 0) >= MOST_LINES
            axes.fill_between(line.x, line.low, line.high, color=theme.series[index], alpha=0.13, linewidth=0)
            points = list(zip(line.x, line.y, strict=True))
            draw_line(axes, theme, points, index, MARKERS[index], markersize=4, linewidth=0.8 if extra else 1.5)
            ends[row] = points[-1]
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        if ends:
            end_labels(axes, theme, ends, order)

    points = "; ".join(
        f"{row} {line.y[0]:.3g} at {line.x[0]:g}, {line.y[-1]:.3g} at {line.x[-1]:g}" for row, line in rows.items()
    )
    return Drawing(name, title, visible(f"{title}: {points}"), draw, height=max(3.6, 0.9 + 0.19 * len(rows)))


def known_line(band: Band, floor: float = -np.inf) -> BandLine | None:
    """The points of a band that are known and above the floor, with x > 0."""
    kept = [
        (x, y, y if low is None else max(low, floor), y if high is None else high)
        for x, y, low, high in zip(band.at, band.centre, band.low, band.high)
        if x > 0 and y is not None and y > floor
    ]
    return BandLine(*map(list, zip(*kept))) if kept else None

"""Lines with bands, which most figures of a bottleneck panel are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sightline.core.digits import significant
from sightline.lab.panel_results import Band
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_line, end_labels
from sightline.report.line_groups import MOST_LINES, draw_others, grouped, line_groups, same_scales
from sightline.report.text import capitalised, visible


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
    """One line for each row, with the band of its interval and its name at its end; many lines in groups."""
    groups = line_groups(list(dict.fromkeys([*order, *rows])), rows)

    def draw(group: list[str], axes: Axes, theme: Theme, narrow: bool) -> None:
        if log_x:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        if log_y:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
            axes.yaxis.set_minor_formatter(NullFormatter())
            if _within_a_decade(rows.values()):
                axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: power(value)))
                axes.tick_params(axis="y", which="minor", labelsize=7, colors=theme.muted, labelcolor=theme.ink)
        if len(groups) > 1:
            draw_others(axes, theme, (list(zip(line.x, line.y)) for row, line in rows.items() if row not in group))
            every = list(rows.values())
            same_scales(
                axes,
                [x for line in every for x in line.x],
                [y for line in every for y in (*line.low, *line.high) if y > 0 or not log_y],
            )
        ends = {}
        for row in group:
            line = rows[row]
            index, place = order.get(row, 0) % MOST_LINES, order.get(row, 0)
            axes.fill_between(line.x, line.low, line.high, color=theme.series[index], alpha=0.13, linewidth=0)
            points = list(zip(line.x, line.y, strict=True))
            looks = {"linewidth": 1.0, "linestyle": (0, (3, 3))} if place >= MOST_LINES and len(groups) == 1 else {}
            draw_line(axes, theme, points, index, MARKERS[index], markersize=4, **looks)
            ends[row] = points[-1]
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        if ends:
            end_labels(axes, theme, ends, order)

    points = "; ".join(
        f"{row} {line.y[0]:.3g} at {line.x[0]:g}, {line.y[-1]:.3g} at {line.x[-1]:g}" for row, line in rows.items()
    )
    chart = grouped(_chart(labels, rows, order, log_y, log_x), groups)
    first, *parts = (partial(draw, group) for group in groups)
    return Drawing(name, title, visible(f"{title}: {points}"), first, 2.8 if parts else 3.6, chart, parts)


def _within_a_decade(rows: Iterable[BandLine]) -> bool:
    """Whether no power of ten lies between the values, so that an axis of logarithms has no other labels."""
    values = [value for line in rows for value in (*line.low, *line.high, *line.y) if value > 0]
    return bool(values) and np.floor(np.log10(min(values))) == np.floor(np.log10(max(values)))


def _chart(
    labels: tuple[str, str], rows: Mapping[str, BandLine], order: Mapping[str, int], log_y: bool, log_x: bool
) -> InteractiveChart:
    """The same lines, with the names of the axes in each point's text."""
    points = []
    for name, line in rows.items():
        for x, y, low, high in zip(*line):
            band = "" if low == y == high else f" [{significant(low, 3)}, {significant(high, 3)}]"
            text = f"{name}\n{labels[0]} {x:,.12g}\n{labels[1]} {significant(y, 3)}{band}"
            ends = {"y_low": low, "y_high": high} if band else {}
            points.append({"series": name, "x": x, "y": y, **ends, "text": text})
    x, y = (capitalised(label) for label in labels)
    axes = ChartAxis("x", x, log=2 * log_x), ChartAxis("y", y, log=10 * log_y, grid=True)
    return InteractiveChart("lines", points, list(order), [axes[0]], [axes[1]], height=340)


def power(value: float) -> str:
    """A power of ten as a label: 0.01, 1, 1,000, and 10⁻⁵ or 10⁶ where that is shorter."""
    if 1e-3 <= value < 1e5:
        return f"{value:,g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    digits = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}" if mantissa == "1" else f"{mantissa}·10{digits}"


def known_line(band: Band, floor: float = -np.inf) -> BandLine | None:
    """The points of a band that are known and above the floor, with x > 0."""
    kept = [
        (x, y, y if low is None else max(low, floor), y if high is None else high)
        for x, y, low, high in zip(band.at, band.centre, band.low, band.high)
        if x > 0 and y is not None and y > floor
    ]
    return BandLine(*map(list, zip(*kept))) if kept else None

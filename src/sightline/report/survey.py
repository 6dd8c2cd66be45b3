"""The picture of a data set: one small chart per property, with the parts of the data in different colours."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sightline.data.survey import Chart, Survey
from sightline.report.drawing import DASHES, LIGHT, STYLE, dress, name_rows, save
from sightline.report.text import shortened, visible

LONGEST_NAME = 18


def save_survey(survey: Survey, path: Path) -> None:
    """Write the charts of `survey` as one figure to `path`, PNG or SVG by its suffix."""
    charts = survey.charts or [Chart("nothing to draw: all parts are empty", "bars", "", "", [], {})]
    heights = [_height(chart) for chart in charts]
    with mpl.rc_context({**STYLE, "svg.hashsalt": survey.sha256}):
        figure = Figure(figsize=(7.6, 0.5 + sum(heights)), layout="constrained")
        figure.suptitle(visible(survey.data), x=0.01, ha="left", fontsize=10, color=LIGHT.ink)
        rows = figure.subplots(len(charts), 1, squeeze=False, height_ratios=heights)
        for axes, chart in zip(rows[:, 0], charts, strict=True):
            dress(axes, LIGHT)
            _draw(axes, chart)
        save(figure, path)


def _height(chart: Chart) -> float:
    """Height of a chart in inches."""
    return 0.9 + 0.2 * len(chart.x) if chart.kind == "bars" else 2.1


def _draw(axes: Axes, chart: Chart) -> None:
    axes.set_title(visible(chart.title), loc="left", fontsize=9.5, color=LIGHT.ink)
    if chart.kind == "bars":
        _bars(axes, chart)
    else:
        for number, (name, values) in enumerate(chart.series.items()):
            (line,) = axes.plot(chart.x, values, color=LIGHT.series[number], linewidth=1.4)
            line.set_label(name)
            line.set_linestyle(DASHES[number] if chart.kind == "steps" else "-")
            if chart.kind == "steps":
                line.set_drawstyle("steps-mid")
        if chart.log_x:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        if chart.kind == "steps":
            axes.set_ylim(bottom=0)
        axes.set_xlabel(visible(chart.x_label))
        axes.set_ylabel(visible(chart.y_label))
        axes.grid(axis="y", color=LIGHT.grid, linewidth=0.6)
    if len(chart.series) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=LIGHT.ink, loc="best")


def _bars(axes: Axes, chart: Chart) -> None:
    """Horizontal bars from the top, each with the stacked counts of the parts."""
    places, left = np.arange(len(chart.x)), np.zeros(len(chart.x))
    for number, (name, values) in enumerate(chart.series.items()):
        axes.barh(places, values, left=left, color=LIGHT.series[number], height=0.7, label=name)
        left = left + np.asarray(values)
    name_rows(axes, LIGHT, [shortened(visible(str(name)), LONGEST_NAME) for name in chart.x])
    axes.set_xlabel(visible(chart.y_label))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")

"""Figures of the details of an evaluation: metrics by position or step, and predicted labels per architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from matplotlib.axes import Axes

from sightline.core.metrics import find_metric
from sightline.lab.details import Curve, Details
from sightline.lab.results import Architecture, Results
from sightline.report.comparison_charts import curve_chart
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_line, label_lines
from sightline.report.labels import label_drawings
from sightline.report.text import capitalised, visible

MOST_MARKS = 24  # lines with more points have no marks
WIDE = 100.0  # ratio of the last to the first position above which the axis is logarithmic


def comparison_drawings(results: Results) -> list[Drawing]:
    """Figures of all architectures together: one line per `details.curve`, if there are any."""
    curves = {a.arch: a.details.curve for a in results.architectures if a.details is not None and a.details.curve}
    order = {architecture.arch: i for i, architecture in enumerate(results.architectures)}
    return [curve_drawing(curves, results.data.loss_unit, order)] if curves else []


def measurement_drawings(arch: str, details: Details | None, loss_unit: str, part: str = "test items") -> list[Drawing]:
    """The figures of one model's evaluation."""
    if details is None:
        return []
    drawings = label_drawings(details, part)
    return [*drawings, curve_drawing({arch: details.curve}, loss_unit, {})] if details.curve else drawings


def curve_drawing(curves: Mapping[str, Curve], loss_unit: str, order: Mapping[str, int]) -> Drawing:
    """One line per architecture, in the colour given by `order`."""
    first = next(iter(curves.values()))
    info = find_metric(first.metric).in_unit_of(loss_unit)

    logarithmic = bool(first.at) and first.at[-1] >= WIDE * max(first.at[0], 1.0)

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        ends = {}
        for arch, curve in curves.items():
            points = _points(curve, info.factor)
            if not points:
                continue
            index = order.get(arch, 0) % 8
            mark = MARKERS[index] if len(points) <= MOST_MARKS else "none"
            draw_line(axes, theme, points, index, mark, markersize=4)
            ends[arch] = points[-1]
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
        label_lines(axes, theme, info, ends, order, first.along)

    title = f"{capitalised(info.label)} by {first.along}"
    lines = {arch: points for arch, curve in curves.items() if (points := _points(curve, info.factor))}
    shown = info.apart(points[end][1] / info.factor for points in lines.values() for end in (0, -1))
    endpoints = "; ".join(
        f"{arch} {shown.text(points[0][1] / info.factor)} at {points[0][0]:,.12g}, "
        f"{shown.text(points[-1][1] / info.factor)} at {points[-1][0]:,.12g}"
        for arch, points in lines.items()
    )
    chart = curve_chart(curves, info, list(order), logarithmic)
    return Drawing("curve", title, visible(f"{title}: {endpoints}"), draw, 3.6, chart)


def label_figures(architecture: Architecture) -> list[Drawing]:
    """Confusion matrix and reliability diagram of an architecture, if available, named after it."""
    if architecture.details is None:
        return []
    file = re.sub(r"[^\w-]", "_", architecture.arch)
    name = visible(architecture.arch)
    drawings = label_drawings(architecture.details)
    return [replace(d, name=f"{d.name}-{file}", description=f"{name}. {d.description}") for d in drawings]


def _points(curve: Curve, factor: float) -> list[tuple[float, float]]:
    return [(x, y * factor) for x, y in zip(curve.at, curve.values, strict=True) if y is not None]

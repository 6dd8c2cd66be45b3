"""Figures of what a task measures besides its metrics: along positions or steps, and of each architecture's labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from matplotlib.axes import Axes

from sightline.core.metrics import find_metric
from sightline.lab.details import Curve, Details
from sightline.lab.results import Architecture, Results
from sightline.report.figures import DASHES, MARKERS, Drawing, Theme, axis_label, end_labels, widen
from sightline.report.labels import label_drawings
from sightline.report.text import visible

MOST_MARKS = 24  # points up to which each has a mark
WIDE = 100.0  # quotient of the last and the first place from which on the axis is logarithmic


def comparison_drawings(results: Results) -> list[Drawing]:
    """What holds for all architectures in one figure: a line for each `details.curve`, where there are some."""
    curves = {a.arch: a.details.curve for a in results.architectures if a.details is not None and a.details.curve}
    order = {architecture.arch: i for i, architecture in enumerate(results.architectures)}
    return [curve_drawing(curves, results.data.loss_unit, order)] if curves else []


def measurement_drawings(arch: str, details: Details | None, loss_unit: str, part: str = "test items") -> list[Drawing]:
    """The figures of one model's measurement."""
    if details is None:
        return []
    drawings = label_drawings(_labels(details), part)
    return [*drawings, curve_drawing({arch: details.curve}, loss_unit, {})] if details.curve else drawings


def curve_drawing(found: Mapping[str, Curve], loss_unit: str, order: Mapping[str, int]) -> Drawing:
    """A line for each architecture, in the colour that `order` gives it."""
    first = next(iter(found.values()))
    info = find_metric(first.metric).in_unit_of(loss_unit)

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        ends = {}
        for arch, curve in found.items():
            points = _points(curve, info.factor)
            if not points:
                continue
            index = order.get(arch, 0) % 8
            mark = MARKERS[index] if len(points) <= MOST_MARKS else "none"
            axes.plot(
                *zip(*points, strict=True), color=theme.series[index], linestyle=DASHES[index], linewidth=1.5,
                marker=mark, markersize=4, markeredgecolor=theme.paper,
            )  # fmt: skip
            ends[arch] = points[-1]
        if first.at and first.at[-1] >= WIDE * max(first.at[0], 1.0):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
        widen(axes.get_ylim, axes.set_ylim, info)
        if ends:
            end_labels(axes, theme, ends, dict(order))
        axes.set_xlabel(first.along)
        axes.set_ylabel(axis_label(info))
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)

    title = f"{info.label[:1].upper()}{info.label[1:]} by {first.along}"
    ends_said = "; ".join(
        f"{arch} {info.text(points[0][1] / info.factor)} at {points[0][0]:g}, "
        f"{info.text(points[-1][1] / info.factor)} at {points[-1][0]:g}"
        for arch, curve in found.items()
        if (points := _points(curve, info.factor))
    )
    return Drawing("curve", title, visible(f"{title}: {ends_said}"), draw, height=3.6)


def label_figures(architecture: Architecture) -> list[Drawing]:
    """Confusion matrix and reliability of an architecture, as far as they were kept, with its name in theirs."""
    if architecture.details is None:
        return []
    file = re.sub(r"[^\w-]", "_", architecture.arch)
    said = visible(architecture.arch)
    drawings = label_drawings(_labels(architecture.details))
    return [replace(d, name=f"{d.name}-{file}", description=f"{said}. {d.description}") for d in drawings]


def _labels(details: Details) -> dict[str, Any]:
    found = asdict(details)
    return {key: found[key] for key in ("confusion", "reliability") if found[key]}


def _points(curve: Curve, factor: float) -> list[tuple[float, float]]:
    return [(x, y * factor) for x, y in zip(curve.at, curve.values, strict=True) if y is not None]

"""The figures of a comparison's report: scores, learning curves, quality by length."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sightline.core.metrics import Metric, defined
from sightline.lab.results import Architecture, Results
from sightline.report.comparison_charts import learning_chart, length_chart
from sightline.report.drawing import MARKERS, Drawing, Theme, axis_label, draw_line, label_lines, name_rows, widen
from sightline.report.pairs import difference_drawing
from sightline.report.spent import seconds_of_step
from sightline.report.text import capitalised, visible


def drawings(results: Results) -> list[Drawing]:
    """The figures that can be drawn from these results."""
    info = results.metric
    order = {architecture.arch: i for i, architecture in enumerate(results.architectures)}
    figures = []
    if any(_mean(a, results.primary_metric) is not None for a in results.architectures):
        figures.append(_scores(results, info, order))
    if results.pairs and (differences := difference_drawing(results)) is not None:
        figures.append(differences)
    if (curves := _learning_curves(results, order)) is not None:
        figures.append(curves)
    if len(results.lengths) > 1 and any(a.by_length for a in results.architectures):
        figures.append(_lengths(results, info, order))
    return figures


def _mean(architecture: Architecture, metric: str) -> float | None:
    """The mean of a metric; None where it was not measured or is undefined."""
    return architecture.metrics[metric].mean if metric in architecture.metrics else None


def _scores(results: Results, info: Metric, order: dict[str, int]) -> Drawing:
    metric = results.primary_metric
    means = {a.arch: mean for a in results.ranked if (mean := _mean(a, metric)) is not None}
    rows = [a for a in results.ranked if a.arch in means]
    top = max(means.values())
    bounded = math.isfinite(info.limits[1])
    baselines = [v for b in results.baselines if not b.bound and defined(v := b.metrics.get(metric))]
    best = (max if info.higher_is_better else min)(baselines, default=None)

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        for y, row in enumerate(rows):
            estimate, colour = row.metrics[metric], theme.series[order[row.arch] % 8]
            mean = means[row.arch] * info.factor
            if estimate.low is not None and estimate.high is not None:
                axes.hlines(y, estimate.low * info.factor, estimate.high * info.factor, colour, linewidth=2.2)
            seeds = [
                v * info.factor for r in results.runs if r.arch == row.arch and defined(v := r.metrics.get(metric))
            ]
            axes.plot(seeds, [y] * len(seeds), "|", color=colour, markersize=11, markeredgewidth=1.2)
            axes.plot(mean, y, MARKERS[order[row.arch] % 8], color=colour, markersize=7, markeredgecolor=theme.paper)
            ends = [mean, *(v * info.factor for v in (estimate.low, estimate.high) if v is not None)]
            left = bounded and means[row.arch] > top / 2  # place the label on the side with more room
            axes.annotate(
                info.text(means[row.arch]), (min([*ends, *seeds]) if left else max([*ends, *seeds]), y),
                (-9 if left else 9, 0), textcoords="offset points", ha="right" if left else "left", va="center",
                color=theme.ink, bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        name_rows(axes, theme, [visible(row.arch) for row in rows])
        if best is not None:
            axes.axvline(best * info.factor, color=theme.muted, linewidth=0.9, linestyle=(0, (3, 2)), zorder=0)
            left = bounded and best > top / 2
            axes.annotate(
                "best baseline", (best * info.factor, len(rows) - 0.4), (-4 if left else 4, 3), color=theme.muted,
                textcoords="offset points", fontsize=8, ha="right" if left else "left",
            )  # fmt: skip
        axes.set_xlabel(axis_label(info))
        axes.margins(x=0.08 if bounded else 0.14)
        widen(axes.get_xlim, axes.set_xlim, info)

    values = "; ".join(f"{arch} {info.text(mean)}" for arch, mean in means.items())
    title = f"{capitalised(info.label)} on the test items, with 95 % intervals"
    return Drawing("scores", title, visible(f"{title}: {values}"), draw, height=0.9 + 0.36 * len(rows))


def _learning_curves(results: Results, order: dict[str, int]) -> Drawing | None:
    """Validation metric over the unit of the budget, one curve per run; None if no run was validated."""
    labels = {
        "tok": ("tokens", f"{results.data.counted} trained on"),
        "flop": ("flops", "training FLOPs"),
        "steps": ("steps", "training steps"),
        "": ("seconds", "training time (s)"),
    }
    unit, x_label = next(label for ending, label in labels.items() if results.budget.per_run.endswith(ending))
    if results.budget.steps:  # by the plan, so that the curves of a busy machine are those of an idle one
        unit, x_label = "steps", "training time (s), as planned"
    planned = {run.arch: seconds_of_step(results, run.arch) or 1.0 for run in results.runs}
    valid = [(run.arch, [h for h in run.history if h.get("event") == "valid"]) for run in results.runs]
    metric = results.primary_metric if any(results.primary_metric in h for _, hs in valid for h in hs) else "loss"
    info = results.metric_named(metric)
    curves: list[tuple[str, list[tuple[float, float]]]] = []
    for arch, records in valid:
        points = [
            (h[unit] * planned[arch], h[metric] * info.factor)
            for h in records
            if all(isinstance(h.get(name), int | float) for name in (unit, metric))
        ]
        if points:
            curves.append((arch, points))
    if not curves:
        return None

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        lasts: dict[str, list[tuple[float, float]]] = {}
        for arch, points in curves:
            index = order.get(arch, 0) % 8
            draw_line(axes, theme, points, index, "none")
            draw_line(axes, theme, points[-1:], index, MARKERS[index], linestyle="none")
            lasts.setdefault(arch, []).append(points[-1])
        if info.log_scale:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
            axes.tick_params(axis="y", which="minor", labelsize=7, colors=theme.muted)
        ends = {arch: (max(x for x, _ in last), sum(y for _, y in last) / len(last)) for arch, last in lasts.items()}
        label_lines(axes, theme, info, ends, order, x_label, "validation ")
        axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 8, steps=[1, 2, 5, 10]))

    title = f"Learning curves: validation {info.label}, one line per run"
    lasts = info.apart(points[-1][1] / info.factor for _, points in curves)
    ends = "; ".join(f"{arch} ends at {lasts.text(points[-1][1] / info.factor)}" for arch, points in curves)
    chart = learning_chart(results, unit, x_label, metric)
    return Drawing("learning-curves", title, visible(f"{title}: {ends}"), draw, 3.6, chart)


def _lengths(results: Results, info: Metric, order: dict[str, int]) -> Drawing:
    bins = results.lengths
    labels = [f"{b.low}–{b.high}" if b.low != b.high else str(b.low) for b in bins]

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        ends = {}
        for row in results.architectures:
            points = [(float(i), y * info.factor) for i, y in enumerate(row.by_length) if y is not None]
            if not points:
                continue
            index = order[row.arch] % 8
            draw_line(axes, theme, points, index, MARKERS[index])
            ends[row.arch] = points[-1]
        label_lines(axes, theme, info, ends, order, results.data.length_of)
        axes.set_xticks(range(len(bins)), [f"{t}\nn={b.items}" for t, b in zip(labels, bins, strict=True)])
        if narrow:
            axes.tick_params(axis="x", labelsize=7)

    title = f"{capitalised(info.label)} by {results.data.length_of.partition(' (')[0]}"
    spans = "; ".join(
        f"{row.arch} {info.text(row.by_length[0])} at {labels[0]}, {info.text(row.by_length[-1])} at {labels[-1]}"
        for row in results.architectures
        if row.by_length
    )
    chart = length_chart(results, info, labels)
    return Drawing("by-length", title, visible(f"{title}: {spans}"), draw, 3.6, chart)

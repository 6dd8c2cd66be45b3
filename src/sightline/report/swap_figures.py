"""The figures of a swap, from its results alone."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from sightline.lab.swap.results import SwapResults, SwapRow, SwapVerdict
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_estimate, end_labels, name_rows
from sightline.report.estimates import ends
from sightline.report.swap_text import (
    error_text,
    known,
    lost_per_mb_text,
    lost_text,
    row_name,
    saved_text,
    score_text,
    step_text,
)
from sightline.report.text import capitalised, visible

LOOKS: dict[SwapVerdict, tuple[int, int]] = {"kept": (2, 0), "lost": (7, 6), "not decided": (-1, 3)}
ROW = 36  # pixels for each row of a chart


def swap_drawings(results: SwapResults) -> list[Drawing]:
    """Quality lost by each layer, and against the bytes of state that are saved."""
    if not any(known(row.lost) for row in results.rows):
        return []
    drawings = [_losses(results)]
    if any(row.saved_bytes is not None for row in results.rows):
        drawings.append(_against_bytes(results))
    return drawings


def _losses(results: SwapResults) -> Drawing:
    metric, rows = results.metric, results.rows
    unit = metric.unit_of_difference

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        axes.axvline(0.0, color=theme.muted, linewidth=0.9)
        if results.margin is not None:
            margin = results.margin * metric.factor
            axes.axvspan(-margin, margin, color=theme.muted, alpha=0.15, linewidth=0)
        for y, row in enumerate(rows):
            if known(row.lost):
                colour = _colour(theme, row.verdict)
                draw_estimate(axes, theme, row.lost, metric, y, colour, MARKERS[LOOKS[row.verdict][1]])
            axes.annotate(
                row.verdict, (1.0, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", color=_colour(theme, row.verdict), fontsize=8.5, annotation_clip=False,
            )  # fmt: skip
        name_rows(axes, theme, [visible(row_name(row, results)) for row in rows], grid="both")
        axes.margins(x=0.08)
        axes.set_xlabel(f"quality lost ({unit}); left is better")

    title = f"Quality lost with {results.target} in place of softmax attention, after distillation"
    summary = "; ".join(f"{row_name(row, results)} {lost_text(results, row.lost)}, {row.verdict}" for row in rows)
    return Drawing(
        "swap", title, visible(f"{title}: {summary}"), draw, height=1.1 + 0.36 * len(rows), chart=_loss_chart(results)
    )


def _loss_chart(results: SwapResults) -> InteractiveChart:
    metric = results.metric
    unit = metric.unit_of_difference
    rows = [
        {
            "series": row.verdict, "line": row_name(row, results), "name": row_name(row, results), "note": row.verdict,
            **ends("lost", row.lost, metric.factor), **ends("matched", row.lost_matched, metric.factor),
            **ends("replaced", row.lost_replaced, metric.factor),
            "per_mb": row.lost_per_mb and row.lost_per_mb * metric.factor,
            "text": _facts(results, row),
        }
        for row in results.rows
        if known(row.lost)
    ]  # fmt: skip
    x = [
        ChartAxis("lost", f"Lost, distilled ({unit})", zero=True, grid=True),
        ChartAxis("matched", f"Lost, new layers alone ({unit})", zero=True, grid=True),
        ChartAxis("replaced", f"Lost, not distilled ({unit})", zero=True, grid=True),
    ]
    if any(row["per_mb"] is not None for row in rows):
        x.append(ChartAxis("per_mb", f"Lost for each MB ({unit})", zero=True, grid=True))
    margin = None if results.margin is None else results.margin * metric.factor
    return InteractiveChart(
        "intervals", rows, list(LOOKS), x, [ChartAxis("name", "", "names")],
        bands=[] if margin is None else [(-margin, margin)], rules=[0.0], looks=list(LOOKS.values()),
        height=60 + ROW * len(rows),
    )  # fmt: skip


def _facts(results: SwapResults, row: SwapRow) -> str:
    unit = results.metric.unit_of_difference
    facts = [
        f"{capitalised(row_name(row, results))}: {row.verdict}",
        f"lost {lost_text(results, row.lost)} {unit}",
        f"{results.metric.label} {score_text(results, row.tuned)}",
        f"without distillation {score_text(results, row.replaced)}",
    ]
    if row.saved_bytes is not None:
        facts += [f"{saved_text(row.saved_bytes)} of state saved", f"{lost_per_mb_text(results, row)} lost for each MB"]
    if len(row.layers) == 1:
        layer = next(one for one in results.layers if one.unit == row.units[0])
        facts += [f"error of its output {error_text(layer)}", f"a step {step_text(layer)}"]
    return "\n".join(facts)


def _against_bytes(results: SwapResults) -> Drawing:
    metric = results.metric
    drawn = [row for row in results.rows if known(row.lost) and row.saved_bytes is not None]
    names = [row_name(row, results) for row in drawn]
    order = {name: place for place, name in enumerate(names)}

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        axes.axhline(0.0, color=theme.muted, linewidth=0.9)
        if results.margin is not None:
            margin = results.margin * metric.factor
            axes.axhspan(-margin, margin, color=theme.muted, alpha=0.15, linewidth=0)
        tips = {}
        for place, row in enumerate(drawn):
            assert row.lost.mean is not None
            assert row.saved_bytes is not None
            x, y, colour = row.saved_bytes / 1000, row.lost.mean * metric.factor, theme.series[place % 8]
            if row.lost.low is not None and row.lost.high is not None:
                axes.vlines(x, row.lost.low * metric.factor, row.lost.high * metric.factor, colour, linewidth=1.6)
            axes.plot(x, y, MARKERS[place % 8], color=colour, markersize=6, markeredgecolor=theme.paper)
            tips[names[place]] = (x, y)
        axes.set_xlim(left=min(0.0, *(x for x, _ in tips.values())))
        axes.margins(x=0.05)
        axes.set_xlabel(f"state saved after {results.plan.length:,} positions (kB)")
        axes.set_ylabel(f"quality lost ({metric.unit_of_difference})")
        axes.grid(color=theme.grid, linewidth=0.6)
        for x in {x for x, _ in tips.values()}:  # single layers often save the same
            end_labels(axes, theme, {name: tip for name, tip in tips.items() if tip[0] == x}, order)

    title = "Quality lost against state saved"
    summary = "; ".join(
        f"{name} {lost_text(results, row.lost)} for {saved_text(row.saved_bytes)}" for name, row in zip(names, drawn)
    )
    rows: list[dict[str, Any]] = [
        {"series": name, "saved": (row.saved_bytes or 0) / 1000, **ends("lost", row.lost, metric.factor),
         "text": _facts(results, row)}
        for name, row in zip(names, drawn)
    ]  # fmt: skip
    x = ChartAxis("saved", f"State saved after {results.plan.length:,} positions (kB)", zero=True, grid=True)
    y = ChartAxis("lost", f"Quality lost ({metric.unit_of_difference})", zero=True, grid=True)
    chart = InteractiveChart("points", rows, names, [x], [y], height=340)
    return Drawing("swap-bytes", title, visible(f"{title}: {summary}"), draw, 3.4, chart)


def _colour(theme: Theme, word: SwapVerdict) -> str:
    index = LOOKS[word][0]
    return theme.muted if index < 0 else theme.series[index]

"""The figures of a ladder, from its results alone."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes

from sightline.core.metrics import defined
from sightline.lab.ladder_results import LadderResults, RungResult, Verdict
from sightline.report.drawing import MARKERS, Drawing, Theme, axis_label, draw_estimate, name_rows, widen
from sightline.report.ladder_charts import cost_chart, difference_chart
from sightline.report.ladder_text import difference_text, quality_text
from sightline.report.text import capitalised, visible

LOOKS: dict[Verdict, tuple[int, int]] = {"holds": (2, 0), "does not hold": (7, 6), "not decided": (-1, 3)}


def ladder_drawings(results: LadderResults) -> list[Drawing]:
    """The ladder: differences from rung to rung; and the quality of each rung."""
    drawings = []
    if any(rung.difference is not None for rung in results.rungs):
        drawings.append(_differences(results))
    if any(rung.quality is not None and defined(rung.quality.mean) for rung in results.rungs):
        drawings.append(_qualities(results))
    return drawings


def _colour(theme: Theme, verdict: Verdict | None) -> str:
    index = -1 if verdict is None else LOOKS[verdict][0]
    return theme.muted if index < 0 else theme.series[index]


def _differences(results: LadderResults) -> Drawing:
    metric, rungs = results.metric, results.rungs

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        _rungs(axes, theme, rungs, narrow)
        axes.axvline(0.0, color=theme.muted, linewidth=0.9)
        if results.margin is not None:
            margin = results.margin * metric.factor
            axes.axvspan(-margin, margin, color=theme.muted, alpha=0.15, linewidth=0)
        for y, rung in enumerate(rungs):
            colour = _colour(theme, rung.verdict)
            if rung.difference is not None and defined(rung.difference.mean):
                marker = MARKERS[LOOKS[rung.verdict][1] if rung.verdict else 0]
                draw_estimate(axes, theme, rung.difference, metric, y, colour, marker)
        if not metric.higher_is_better:
            axes.invert_xaxis()
        axes.margins(x=0.08)
        direction = "right is better" if metric.higher_is_better else "lower is better, to the right"
        what = f"difference from the rung before ({metric.unit_of_difference})"
        axes.set_xlabel(f"{what}\n{direction}" if narrow else f"{what}; {direction}")
        for y, rung in enumerate(rungs):
            words = rung.verdict or f"start: {quality_text(results, rung).partition(' [')[0]}"
            axes.annotate(
                visible(words), (1.0, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", color=_colour(theme, rung.verdict), fontsize=8.5, annotation_clip=False,
            )  # fmt: skip

    title = f"The ladder: {metric.label} of each rung against the one before it"
    summary = "; ".join(
        f"{rung.title}: {difference_text(results, rung) or 'start'}, {rung.verdict or quality_text(results, rung)}"
        for rung in rungs
    )
    chart = difference_chart(results, list(LOOKS), list(LOOKS.values()))
    return Drawing("ladder", title, visible(f"{title}: {summary}"), draw, height=1.0 + 0.36 * len(rungs), chart=chart)


def _qualities(results: LadderResults) -> Drawing:
    metric, rungs = results.metric, results.rungs

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        _rungs(axes, theme, rungs, narrow)
        for y, rung in enumerate(rungs):
            if rung.quality is not None and defined(rung.quality.mean):
                draw_estimate(axes, theme, rung.quality, metric, y, theme.series[0], "o")
        axes.margins(x=0.08)
        widen(axes.get_xlim, axes.set_xlim, metric)
        axes.set_xlabel(axis_label(metric))

    title = f"{capitalised(metric.label)} of each rung on all test items"
    summary = "; ".join(f"{rung.title}: {quality_text(results, rung)}" for rung in rungs)
    words, height = visible(f"{title}: {summary}"), 0.9 + 0.36 * len(rungs)
    return Drawing("ladder-quality", title, words, draw, height=height, chart=cost_chart(results))


def _rungs(axes: Axes, theme: Theme, rungs: list[RungResult], narrow: bool) -> None:
    """One row for each rung, the first at the top; where there is room, one that skips rungs names the other."""
    titles = {rung.name: rung.title for rung in rungs}
    labels = [rungs[0].title]
    for before, rung in pairwise(rungs):
        labels.append(rung.title if rung.over == before.name else f"{rung.title}, against {titles[rung.over]}")
    names = [rung.name for rung in rungs] if narrow else labels
    name_rows(axes, theme, list(map(visible, names)), grid="both")

"""The figure of differences: each architecture minus the best one, with its interval and the margin."""

from __future__ import annotations

from matplotlib.axes import Axes

from sightline.lab.results import Pair, Results
from sightline.report.comparison_charts import difference_chart, difference_text
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_estimate, name_rows
from sightline.report.text import visible


def difference_drawing(results: Results) -> Drawing | None:
    """The figure; None where no pair with the best architecture has an interval."""
    best, info = results.ranked[0].arch, results.metric
    known = [p for p in results.pairs if None not in (p.difference.mean, p.difference.low, p.difference.high)]
    behind = [p for p in known if p.first == best and any(a.arch == p.second for a in results.architectures)]
    if not behind:
        return None
    order = {a.arch: i for i, a in enumerate(results.architectures)}
    margin = None if results.margin is None else results.margin * info.factor
    rows = [(pair, pair.difference.turned()) for pair in behind]  # second minus first

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        if margin is not None:
            axes.axvspan(-margin, margin, color=theme.grid, zorder=0, linewidth=0)
        axes.axvline(0, color=theme.muted, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        for y, (pair, difference) in enumerate(rows):
            index = order[pair.second] % 8
            assert difference.mean is not None
            draw_estimate(axes, theme, difference, info, y, theme.series[index], MARKERS[index])
            axes.annotate(
                _short(pair), (difference.mean * info.factor, y), (0, 6), textcoords="offset points", ha="center",
                va="bottom", color=theme.muted, fontsize=8,
            )  # fmt: skip
        name_rows(axes, theme, [visible(pair.second) for pair, _ in rows], top=-0.75)
        axes.margins(x=0.06)
        unit = "points" if info.unit == "%" else info.unit
        axes.set_xlabel(f"{info.label} minus that of {visible(best)}{f' ({unit})' if unit else ''}")

    title = f"Differences to {best} in {info.label}, with 95 % intervals"
    values = "; ".join(f"{pair.second} {difference_text(info, gap)}, {outcome_of(pair)}" for pair, gap in rows)
    description = visible(f"{title}: {values}.")
    if results.margin is not None:
        description += f" Differences up to {info.amount(results.margin)} count as practically the same."
    height = 0.9 + 0.42 * len(rows)
    return Drawing("differences", visible(title), description, draw, height, difference_chart(results))


def outcome_of(pair: Pair) -> str:
    """The outcome of a pair in words, with the better one named."""
    if (pair.outcome or ("better" if pair.shown else "not decided")) == "better":
        return f"{pair.first} is better"
    return pair.outcome or "not significant"


def _short(pair: Pair) -> str:
    return "worse" if (pair.outcome == "better" or (pair.outcome is None and pair.shown)) else outcome_of(pair)

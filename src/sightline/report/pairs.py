"""The figure of differences: each architecture minus the best one, with its interval and the margin."""

from __future__ import annotations

from matplotlib.axes import Axes

from sightline.core.metrics import Metric
from sightline.lab.results import Estimate, Pair, Results
from sightline.report.comparison_charts import difference_chart, difference_text
from sightline.report.drawing import MARKERS, Drawing, Theme
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
    rows = [(pair, _turned(pair.difference)) for pair in behind]

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        if margin is not None:
            axes.axvspan(-margin, margin, color=theme.grid, zorder=0, linewidth=0)
        axes.axvline(0, color=theme.muted, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        for y, (pair, made) in enumerate(rows):
            index = order[pair.second] % 8
            assert made.low is not None
            assert made.high is not None
            assert made.mean is not None
            axes.hlines(y, made.low * info.factor, made.high * info.factor, theme.series[index], linewidth=2.2)
            axes.plot(
                made.mean * info.factor, y, MARKERS[index], color=theme.series[index], markersize=7,
                markeredgecolor=theme.paper,
            )  # fmt: skip
            end = max(made.high * info.factor, 0.0)
            axes.annotate(
                _short(pair), (end, y), (8, 0), textcoords="offset points", va="center", color=theme.muted, fontsize=8
            )
        axes.set_yticks(range(len(rows)), [visible(pair.second) for pair, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.06)
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + 0.3 * (high - low))  # room for the outcomes
        unit = "points" if info.unit == "%" else info.unit
        axes.set_xlabel(f"{info.label} minus that of {visible(best)}{f' ({unit})' if unit else ''}")
        axes.grid(axis="x", color=theme.grid, linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    title = f"Differences to {best} in {info.label}, with 95 % intervals"
    values = "; ".join(f"{pair.second} {difference_text(info, made)}, {outcome_of(pair)}" for pair, made in rows)
    description = visible(f"{title}: {values}. {_margin_words(info, results.margin)}".strip())
    height = 0.9 + 0.36 * len(rows)
    return Drawing("differences", visible(title), description, draw, height, difference_chart(results))


def outcome_of(pair: Pair) -> str:
    """The outcome of a pair in words, with the better one named."""
    if (pair.outcome or ("better" if pair.shown else "not decided")) == "better":
        return f"{pair.first} is better"
    return pair.outcome or "not significant"


def _short(pair: Pair) -> str:
    return "worse" if (pair.outcome == "better" or (pair.outcome is None and pair.shown)) else outcome_of(pair)


def _turned(difference: Estimate) -> Estimate:
    """The difference as second minus first."""
    low, high = (None if end is None else -end for end in (difference.high, difference.low))
    return Estimate(None if difference.mean is None else -difference.mean, low, high)


def _margin_words(info: Metric, margin: float | None) -> str:
    return "" if margin is None else f"Differences up to {info.amount(margin)} count as practically the same."

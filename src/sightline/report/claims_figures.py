"""The figures of claims, from their results alone."""

from __future__ import annotations

from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from sightline.lab.claims.results import ClaimChart, ClaimMap, ClaimResult
from sightline.report.claims_charts import beside, claim_chart, known_points, place_name
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_line, end_labels
from sightline.report.line_groups import MOST_LINES, draw_others, grouped, line_groups, same_scales
from sightline.report.text import visible

SHADES = 8  # of a map


def claim_drawings(result: ClaimResult) -> list[Drawing]:
    """The figures of one claim: charts, then maps."""
    return [*chart_drawings(result), *map_drawings(result)]


def chart_drawings(result: ClaimResult) -> list[Drawing]:
    """The charts of one claim."""
    return [chart_drawing(f"{result.claim.lower()}-{i}", chart) for i, chart in enumerate(result.charts, 1)]


def map_drawings(result: ClaimResult) -> list[Drawing]:
    """The maps of one claim."""
    return [map_drawing(f"{result.claim.lower()}-map-{i}", one) for i, one in enumerate(result.maps, 1)]


def chart_drawing(name: str, chart: ClaimChart) -> Drawing:
    """One line for each curve, with the band of its interval, its name at its end, and labelled reference lines; many
    lines in groups.
    """
    known = {curve.label: known_points(curve, chart) for curve in chart.curves}
    known = {label: points for label, points in known.items() if points}
    order = {label: place for place, label in enumerate(known)}
    groups = line_groups(list(known), known)

    def draw(group: list[str], axes: Axes, theme: Theme, narrow: bool) -> None:
        _scales(axes, chart, narrow)
        for line in chart.lines:
            axes.axhline(line.y, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.annotate(
                line.label, (0.0, line.y), (3, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=7.5, color=theme.muted,
            )  # fmt: skip
        if len(groups) > 1:
            draw_others(axes, theme, ([point[:2] for point in known[label]] for label in known if label not in group))
            places = [point for points in known.values() for point in points]
            same_scales(axes, [point[0] for point in places], [y for point in places for y in point[1:]])
        ends = {}
        for label in group:
            points, place = known[label], order[label] % MOST_LINES
            x, y, low, high = (list(column) for column in zip(*points, strict=True))
            if chart.categories:
                x = [value + beside(order[label], len(known)) for value in x]
                wings = [[b - a for a, b in zip(low, y)], [b - a for a, b in zip(y, high)]]
                axes.errorbar(x, y, wings, fmt="none", ecolor=theme.series[place], elinewidth=1.2)
                draw_line(axes, theme, list(zip(x, y)), place, MARKERS[place], linestyle="none", label=label)
            else:
                axes.fill_between(x, low, high, color=theme.series[place], alpha=0.13, linewidth=0)
                draw_line(axes, theme, list(zip(x, y)), place, MARKERS[place], markersize=4)
                ends[label] = (x[-1], y[-1])
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        if ends:
            end_labels(axes, theme, ends, order)
        elif len(group) > 1:
            axes.legend(frameon=False, fontsize=8, labelcolor=theme.ink)

    words = "; ".join(
        f"{label} {points[0][1]:.3g} at {place_name(chart, points[0][0])}, {points[-1][1]:.3g} at "
        f"{place_name(chart, points[-1][0])}"
        for label, points in known.items()
    )
    first, *parts = (partial(draw, group) for group in groups)
    interactive = grouped(claim_chart(chart, known), groups) if known else None
    return Drawing(
        name, chart.title, visible(f"{chart.title}: {words}"), first, 2.8 if parts else 3.4, interactive, parts
    )


def map_drawing(name: str, one: ClaimMap) -> Drawing:
    """A square of cells, darker where the share is larger; a share of exactly zero stays paper."""
    size = len(one.rows)

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        for i, row in enumerate(one.rows):
            for j, share in enumerate(row):
                if share > 0:
                    alpha = max(1, round(min(share, 1.0) * SHADES)) / SHADES
                    axes.fill(
                        [j, j + 1, j + 1, j], [i, i, i + 1, i + 1], color=theme.series[0], alpha=alpha, linewidth=0
                    )
        axes.set_xlim(0, len(one.rows[0]) if one.rows else 1)
        axes.set_ylim(size, 0)
        axes.set_aspect("equal")
        axes.set_xlabel(one.x_label)
        axes.set_ylabel(one.y_label)

    return Drawing(name, one.title, visible(f"{one.title}: a map of {size} positions"), draw, height=3.4)


def _scales(axes: Axes, chart: ClaimChart, narrow: bool) -> None:
    if chart.categories:
        axes.xaxis.set_major_locator(FixedLocator(range(len(chart.categories))))
        axes.set_xticks(range(len(chart.categories)), chart.categories)
        axes.set_xlim(-0.6, len(chart.categories) - 0.4)
        if narrow or sum(map(len, chart.categories)) > 70:
            axes.tick_params(axis="x", rotation=40)
    elif chart.log_x:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    if chart.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())

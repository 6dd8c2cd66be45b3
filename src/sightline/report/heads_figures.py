"""The figures of a page about attention heads, from its report alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from sightline.core.digits import significant
from sightline.core.metrics import Metric, find_metric
from sightline.inspect.head_report import HeadsReport, InspectedHead, PruningCurve, PruningOrder, PruningPoint
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.drawing import MARKERS, Drawing, Theme, axis_label, draw_line, end_labels
from sightline.report.panel_lines import BandLine, lines
from sightline.report.text import capitalised, visible

ORDERS: dict[PruningOrder, str] = {
    "ablation": "least loss first",
    "gradient": "least gradient first",
    "random": "in random order",
}
Points = list[tuple[float, float]]


def pruning_drawings(report: HeadsReport) -> list[Drawing]:
    """The metric and the loss by the number of heads removed."""
    metric, loss = find_metric(report.metric), find_metric("loss").in_unit_of(report.loss_unit)
    drawings = []
    for info, field in ((metric, "metric"), (loss, "loss")):
        rows = {ORDERS[curve.order]: line for curve in report.curves if (line := _curve_line(curve, field, info))}
        if rows:
            order = {name: place for place, name in enumerate(ORDERS.values())}
            title = f"{capitalised(info.label)} by the number of heads removed"
            labels = ("heads removed", axis_label(info))
            drawings.append(lines(f"pruning-{field}", title, labels, rows, order, False, False))
    return drawings


def _curve_line(curve: PruningCurve, field: str, info: Metric) -> BandLine | None:
    points = [point for point in curve.points if getattr(point, field) is not None]
    if not points:
        return None
    values = [_scaled(point, field, info) for point in points]
    lows = [_scaled(point, f"{field}_low", info, value) for point, value in zip(points, values)]
    highs = [_scaled(point, f"{field}_high", info, value) for point, value in zip(points, values)]
    return BandLine([float(point.removed) for point in points], values, lows, highs)


def _scaled(point: PruningPoint, field: str, info: Metric, otherwise: float = 0.0) -> float:
    value = getattr(point, field)
    if value is None:
        return otherwise
    low, high = info.limits  # which the interval of a mean knows nothing of
    return min(max(value, low), high) * info.factor


def profile_drawings(report: HeadsReport) -> list[Drawing]:
    """Where each head looks by distance, and how widely by the position of the query, layer by layer."""
    names = bin_names(report.bins)
    signed = [*(_signed(high, low, "−") for low, high in reversed(report.bins[1:])), "0"]
    signed += [_signed(low, high, "+") for low, high in report.bins[1:]]
    both = any(any(head.after) for head in report.heads)
    distances = {head_key(head): _by_distance(head, report.bins, both) for head in report.heads if head.before}
    entropies = {
        head_key(head): [(float(place), value) for place, value in enumerate(head.entropy) if value is not None]
        for head in report.heads
    }
    places = signed if both else signed[: len(names)]
    of_distance = ("distance of the key", "share of weight at each distance")
    title = "Share of weight by distance from the query, of each head"
    drawings = [
        _profiles(report, "heads-distance", title, of_distance, places, distances),
        _profiles(report, "heads-entropy", "Entropy by the position of the query, of each head",
                  ("position of the query", "entropy, 1 = even weights"), names, entropies, 1.0),
    ]  # fmt: skip
    return [drawing for drawing in drawings if drawing is not None]


def head_key(head: InspectedHead) -> tuple[int, int]:
    """A head's layer and number."""
    return head.layer, head.number


def bin_names(bins: Sequence[Sequence[int]]) -> list[str]:
    """Bins as labels: 0, 1, …, 9–16."""
    return [str(low) if low == high else f"{low}–{high}" for low, high in bins]


def _signed(first: int, last: int, sign: str) -> str:
    """A bin of distances on one side: −2, −16…−9."""
    return f"{sign}{first}" if first == last else f"{sign}{first}…{sign}{last}"


def _by_distance(head: InspectedHead, bins: Sequence[Sequence[int]], both: bool) -> Points:
    """Shares by place on the axis, the farthest earlier key first; of a bin of several distances their mean."""
    widths = [high - low + 1 for low, high in bins]
    before, after = (
        [(value or 0.0) / width for value, width in zip(side, widths)] for side in (head.before, head.after)
    )
    last = len(bins) - 1
    later = [(float(last + place), value) for place, value in enumerate(after) if place and both]
    return sorted((float(last - place), value) for place, value in enumerate(before)) + later


def _profiles(
    report: HeadsReport,
    name: str,
    title: str,
    labels: tuple[str, str],
    ticks: Sequence[str],
    points: dict[tuple[int, int], Points],
    top: float | None = None,
) -> Drawing | None:
    """A part for each layer, a line for each head; `top` is the end of the vertical axis, None = that of the points."""
    layers = [index for index in range(len(report.layers)) if any(points.get(key) for key in points if key[0] == index)]
    if not layers:
        return None
    most = max([1e-9, *(y for line in points.values() for _, y in line)]) if top is None else top

    def draw(layer: int, axes: Axes, theme: Theme, narrow: bool) -> None:
        for (index, number), line in points.items():
            if index == layer and line:
                draw_line(axes, theme, line, number % 8, MARKERS[number % 8], markersize=3, linewidth=1.1)
        every = max(1, -(-len(ticks) // (7 if narrow else 14)))
        shown = (
            range((len(ticks) - 1) % every, len(ticks), every)
            if ticks[0].startswith("−")
            else range(0, len(ticks), every)
        )
        axes.set_xticks(list(shown), [ticks[place] for place in shown], fontsize=7.5)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
        axes.set_ylim(-0.03 * most, 1.05 * most)
        axes.set_title(visible(report.layers[layer].name), loc="left", fontsize=9, color=theme.ink)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        ends = {str(number): line[-1] for (index, number), line in points.items() if index == layer and line}
        end_labels(axes, theme, ends, {name: int(name) for name in ends})

    heads = max(layer.heads for layer in report.layers)
    rows = [
        {
            "series": f"head {number}", "line": f"{index}.{number}", "group": report.layers[index].name, "x": x, "y": y,
            "text": f"{report.layers[index].name}.{number}\n{labels[0]} {ticks[int(x)]}\n"
            f"{labels[1].partition(',')[0]} {significant(y, 3)}",
        }
        for (index, number), line in points.items()
        for x, y in line
    ]  # fmt: skip
    x, y = (capitalised(label) for label in labels)
    chart = InteractiveChart(
        "lines",
        rows,
        [f"head {number}" for number in range(heads)],
        [ChartAxis("x", x, labels=ticks, domain=(-0.5, len(ticks) - 0.5))],
        [ChartAxis("y", y, grid=True, zero=True, domain=None if top is None else (0.0, top))],
        groups=[report.layers[index].name for index in layers],
        group_label="layer",
        height=300,
    )
    names = "; ".join(report.layers[index].name for index in layers)
    first, *parts = (partial(draw, layer) for layer in layers)
    return Drawing(name, title, f"{title}, for the layers {names}", first, 2.6 if parts else 3.2, chart, parts)

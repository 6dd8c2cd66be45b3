"""The figures of a bottleneck panel, from its results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sightline.core.digits import significant
from sightline.lab.panel_results import Band, PanelResults, Phase, Saturation
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.drawing import MARKERS, Drawing, Theme, draw_line, end_labels
from sightline.report.text import capitalised, visible

MOST_LINES = 8  # with colours of their own; further lines are thinner and dashed
FLOOR = 1e-9  # norms below it are not shown
TITLES: dict[Phase, str] = {
    "forward": "a forward pass",
    "training": "a training step",
    "prefill": "prefill",
    "decode": "one step of decoding",
}


STATISTICS = {
    "entropy": "Entropy, share of that of uniform weights",
    "largest": "Largest weight",
    "gradient": "Norm of the softmax's Jacobian",
}


class BandLine(NamedTuple):
    """Points with the ends of their intervals."""

    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def panel_drawings(results: PanelResults) -> dict[str, list[Drawing]]:
    """The figures of every part that was measured."""
    order = {name: place for place, name in enumerate(results.names)}
    parts = {
        "reach": _reach(results, order),
        "serial": _serial(results, order),
        "growth": _growth(results, order),
        "saturation": _saturation(results),
    }
    return {part: drawings for part, drawings in parts.items() if drawings}


def lines(
    name: str,
    title: str,
    labels: tuple[str, str],
    rows: Mapping[str, BandLine],
    order: Mapping[str, int],
    log_y: bool = True,
    log_x: bool = True,
) -> Drawing:
    """One line for each row, with the band of its interval and its name at its end."""

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        if log_x:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        if log_y:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        ends = {}
        for row, line in rows.items():
            index, extra = order.get(row, 0) % MOST_LINES, order.get(row, 0) >= MOST_LINES
            axes.fill_between(line.x, line.low, line.high, color=theme.series[index], alpha=0.13, linewidth=0)
            points = list(zip(line.x, line.y, strict=True))
            looks = {"linewidth": 1.0, "linestyle": (0, (3, 3))} if extra else {}
            draw_line(axes, theme, points, index, MARKERS[index], markersize=4, **looks)
            ends[row] = points[-1]
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        if ends:
            end_labels(axes, theme, ends, order)

    points = "; ".join(
        f"{row} {line.y[0]:.3g} at {line.x[0]:g}, {line.y[-1]:.3g} at {line.x[-1]:g}" for row, line in rows.items()
    )
    height = max(3.6, 0.9 + 0.19 * len(rows))
    chart = _chart(labels, rows, order, log_y, log_x)
    return Drawing(name, title, visible(f"{title}: {points}"), draw, height, chart)


def _chart(
    labels: tuple[str, str], rows: Mapping[str, BandLine], order: Mapping[str, int], log_y: bool, log_x: bool
) -> InteractiveChart:
    """The same lines, with the names of the axes in each point's text."""
    points = []
    for name, line in rows.items():
        for x, y, low, high in zip(*line):
            band = "" if low == y == high else f" [{significant(low, 3)}, {significant(high, 3)}]"
            text = f"{name}\n{labels[0]} {x:,.12g}\n{labels[1]} {significant(y, 3)}{band}"
            ends = {"y_low": low, "y_high": high} if band else {}
            points.append({"series": name, "x": x, "y": y, **ends, "text": text})
    x, y = (capitalised(label) for label in labels)
    axes = ChartAxis("x", x, log=2 * log_x), ChartAxis("y", y, log=10 * log_y, grid=True)
    return InteractiveChart("lines", points, list(order), [axes[0]], [axes[1]], height=340)


def power(value: float) -> str:
    """A power of ten as a label: 0.01, 1, 1,000, and 10⁻⁵ or 10⁶ where that is shorter."""
    if 1e-3 <= value < 1e5:
        return f"{value:,g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    digits = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}" if mantissa == "1" else f"{mantissa}·10{digits}"


def _line(band: Band, floor: float = -np.inf) -> BandLine | None:
    """The points of a band that are known and above the floor, with x > 0."""
    kept = [
        (x, y, y if low is None else max(low, floor), y if high is None else high)
        for x, y, low, high in zip(band.at, band.centre, band.low, band.high)
        if x > 0 and y is not None and y > floor
    ]
    return BandLine(*map(list, zip(*kept))) if kept else None


def _known(rows: Mapping[str, BandLine | None]) -> dict[str, BandLine]:
    return {name: line for name, line in rows.items() if line is not None}


def _reach(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    inputs = _known({r.name: _line(r.input, FLOOR) for r in results.reach})
    states = _known({r.name: _line(r.state, FLOOR) for r in results.reach if r.state is not None})
    used = {r.name: _line(r.used) for r in results.reach if r.used is not None}
    if inputs:
        title = "Gradient of the output by its input, by distance"
        figures.append(lines("reach-input", title, ("distance k", "norm of ∂y(t)/∂x(t−k)"), inputs, order))
    if states:
        title = "Gain from state to state, by distance"
        label = "root mean square gain of ∂h(t)/∂h(t−k)"
        figures.append(lines("reach-state", title, ("distance k", label), states, order))
    if used:
        unit = next(r.loss_unit for r in results.reach if r.used is not None)
        title = "Loss where only the last k positions are read"
        figures.append(lines("reach-used", title, ("positions read", f"loss ({unit})"), _known(used), order, False))
    return figures


def _serial(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    for phase in ("forward", "training"):
        rows = {
            c.name: _exact(c.lengths, [float(steps) for steps in c.operations])
            for c in results.serial
            if c.phase == phase
        }
        if rows:
            title = f"Longest chain of dependent operations of {TITLES[phase]}"
            figures.append(lines(f"serial-{phase}", title, ("positions n", "operations"), rows, order))
    return figures


def _growth(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    for phase, words in TITLES.items():
        costs = [c for c in results.growth if c.phase == phase]
        if not costs:
            continue
        times = {c.name: _spread(c.lengths, c.seconds) for c in costs}
        figures.append(lines(f"time-{phase}", f"Time of {words}", ("positions n", "milliseconds"), times, order))
        if phase in ("training", "decode"):
            what = "Peak memory of a training step" if phase == "training" else "State after n positions"
            peaks = {c.name: _exact(c.lengths, [b / 1e3 for b in c.peak_bytes]) for c in costs if min(c.peak_bytes)}
            figures.append(lines(f"memory-{phase}", what, ("positions n", "kB"), peaks, order))
    return figures


def _saturation(results: PanelResults) -> list[Drawing]:
    figures = []
    for axis in ("d_k", "layer"):
        rows = [s for s in results.saturation if s.along == axis]
        order = {s.name: place for place, s in enumerate(rows)}
        for field, words in STATISTICS.items():
            log_y = field == "gradient"
            shown = _known({s.name: _line(_field(s, field), FLOOR if log_y else -1.0) for s in rows})
            if shown:
                labels = axis, words.partition(",")[0]
                name, title = f"saturation-{axis}-{field}", f"{words}, by {axis}"
                figures.append(lines(name, title, labels, shown, order, log_y, axis != "layer"))
    return figures


def _field(row: Saturation, name: str) -> Band:
    return {"entropy": row.entropy, "largest": row.largest, "gradient": row.gradient}[name]


def _exact(lengths: Sequence[int], values: Sequence[float]) -> BandLine:
    x, y = [float(n) for n in lengths], list(values)
    return BandLine(x, y, y, y)


def _spread(lengths: Sequence[int], rounds: Sequence[Sequence[float]]) -> BandLine:
    """Medians and quartiles in milliseconds."""
    low, middle, high = (1e3 * np.array([np.quantile(r, (0.25, 0.5, 0.75)) for r in rounds])).T
    return BandLine([float(n) for n in lengths], middle.tolist(), low.tolist(), high.tolist())

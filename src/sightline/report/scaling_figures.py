"""The figures of a ladder of sizes, from its results alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from sightline.lab.scaling_results import Along, ArchitectureLaw, HeldOut, ScaleResults, SizePoint
from sightline.report.drawing import MARKERS, Drawing, Theme, axis_label, draw_line, end_labels
from sightline.report.scaling_charts import AXES, PREDICTED_AT, law_chart, place_of, position_chart
from sightline.report.text import capitalised, short, visible


def scaling_drawings(results: ScaleResults) -> list[Drawing]:
    """The loss over parameters, over training FLOPs where these vary, and by position in the context."""
    order = {arch: place for place, arch in enumerate(results.archs)}
    axes: tuple[Along, ...] = ("parameters", "flops")
    figures = [_law(results, along, order) for along in axes if any(law.along == along for law in results.laws)]
    return [*figures, *_by_position(results, order)]


def _law(results: ScaleResults, along: Along, order: dict[str, int]) -> Drawing:
    info = results.info
    measured = [point for point in results.points if point.loss is not None]

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = {}
        for arch, index in order.items():
            own = [point for point in measured if point.arch == arch]
            law = results.law(arch, along)
            if law is not None and law.band is not None:
                _draw_law(axes, theme, law, own, index % 8, info.factor)
            for point in own:
                _draw_point(axes, theme, point, along, index % 8, info.factor)
            if along == "parameters":
                for check in (check for check in results.held_out if check.arch == arch):
                    _draw_prediction(axes, theme, check, index % 8, info.factor)
            if own and own[-1].loss is not None and own[-1].loss.mean is not None:
                ends[arch] = place_of(own[-1], along), own[-1].loss.mean * info.factor
        if along == "parameters":
            targets = sorted({float(point.target) for point in measured})
            axes.xaxis.set_major_locator(FixedLocator(targets[:: 2 if narrow and len(targets) > 4 else 1]))
        else:
            axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if narrow else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(AXES[along])
        axes.set_ylabel(axis_label(info, "test "))
        axes.grid(color=theme.grid, linewidth=0.6)
        if ends:
            end_labels(axes, theme, ends, order)

    title = f"{capitalised(info.label)} over {AXES[along]}, with power laws"
    values = "; ".join(
        f"{point.arch} {info.number(point.loss.mean)} at {short(place_of(point, along))}"
        f"{' (held out)' * point.held_out}"
        for point in measured
        if point.loss is not None
    )
    return Drawing(f"loss-{along}", title, visible(f"{title}: {values}"), draw, 4.2, law_chart(results, along))


def _draw_law(
    axes: Axes, theme: Theme, law: ArchitectureLaw, own: Sequence[SizePoint], index: int, factor: float
) -> None:
    """The law with its band: solid over the sizes that it was fitted to, dotted beyond."""
    band = law.band
    assert band is not None
    last = max((place_of(point, law.along) for point in own if not point.held_out), default=0.0)
    points = [(x, y * factor) for x, y in zip(band.at, band.centre, strict=True) if y is not None]
    known = [
        (x, low * factor, high * factor)
        for x, low, high in zip(band.at, band.low, band.high, strict=True)
        if low is not None and high is not None
    ]
    if known:
        x, low, high = map(list, zip(*known))
        axes.fill_between(x, low, high, color=theme.series[index], alpha=0.13, linewidth=0)
    inside = [point for point in points if point[0] <= last * 1.0001]
    outside = [point for point in points if point[0] >= (inside[-1][0] if inside else 0.0)]
    for part, dash in ((inside, "-"), (outside, (0, (1.5, 1.5)))):
        if len(part) > 1:
            axes.plot(*zip(*part, strict=True), color=theme.series[index], linestyle=dash, linewidth=1.3)


def _draw_point(axes: Axes, theme: Theme, point: SizePoint, along: Along, index: int, factor: float) -> None:
    """A measured loss with its interval; hollow where no fit has seen it."""
    loss = point.loss
    if loss is None or loss.mean is None:
        return
    x, colour = place_of(point, along), theme.series[index]
    if loss.low is not None and loss.high is not None:
        axes.vlines(x, loss.low * factor, loss.high * factor, colour, linewidth=1.2)
    face = theme.paper if point.held_out else colour
    edge = colour if point.held_out else theme.paper
    axes.plot(
        x, loss.mean * factor, MARKERS[index], color=colour, markerfacecolor=face, markeredgecolor=edge,
        markersize=7 if point.held_out else 6, markeredgewidth=1.6 if point.held_out else 0.8, zorder=3,
    )  # fmt: skip


def _draw_prediction(axes: Axes, theme: Theme, check: HeldOut, index: int, factor: float) -> None:
    """The interval of a prediction, a little to the left of what was measured."""
    low, high = check.predicted.low, check.predicted.high
    if low is None or high is None or check.predicted.mean is None:
        return
    centre = check.predicted.mean * factor
    ends = [[centre - low * factor], [high * factor - centre]]
    looks: dict[str, Any] = {"color": theme.series[index], "linewidth": 2.2, "capsize": 4, "capthick": 1.4}
    axes.errorbar([check.parameters / PREDICTED_AT], [centre], ends, fmt="none", **looks)


def _by_position(results: ScaleResults, order: dict[str, int]) -> list[Drawing]:
    """The loss by position in the context at the smallest and at the largest size, where the task gives it."""
    chosen: dict[str, SizePoint] = {}
    for arch in order:
        own = [point for point in results.points if point.arch == arch and point.by_position is not None]
        if len(own) > 1:
            chosen |= {f"{arch} {short(point.target)}": point for point in (own[0], own[-1])}
    if not chosen:
        return []
    unit = results.data.loss_unit

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        ends = {}
        for number, (name, point) in enumerate(chosen.items()):
            assert point.by_position is not None
            index = order[point.arch] % 8
            curve = zip(point.by_position.at, point.by_position.values, strict=True)
            points = [(x, y) for x, y in curve if y is not None]
            thin = number % 2 == 0
            draw_line(axes, theme, points, index, "none", linestyle=(0, (1.5, 1.5)) if thin else "-", linewidth=1.3)
            ends[name] = points[-1]
        axes.set_xlabel("position in the context")
        axes.set_ylabel(f"test loss ({unit})")
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        end_labels(axes, theme, ends, {name: order[point.arch] for name, point in chosen.items()})

    title = "Loss by position in the context, smallest size (dotted) and largest"
    ends = "; ".join(
        f"{name} {point.by_position.values[-1]:.3g} at position {point.by_position.at[-1]:.0f}"
        for name, point in chosen.items()
        if point.by_position is not None and point.by_position.values[-1] is not None
    )
    return [Drawing("loss-by-position", title, visible(f"{title}: {ends}"), draw, 3.8, position_chart(results, chosen))]

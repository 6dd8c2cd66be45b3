"""Figures of the results of `sightline bench`: time and memory by length, and speed-ups over softmax attention."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from performance_page import Row
from sightline.report.drawing import DASHES, LIGHT, MARKERS, STYLE, dress, spread_apart

LengthCurve = list[tuple[int, float]]  # (length, value)
End = tuple[int | float, float, str, str]  # length, value, name, colour

PANELS = {
    "Recurrences, sequential": ("rnn", "lstm", "gru", "bidirectional"),
    "Recurrences, parallel scan": ("lru", "min_gru", "min_lstm"),
    "Sparse softmax attention": ("window", "block_sparse"),
    "Memory of 64 positions": ("cross", "additive"),
    "Linear attention": ("linear", "retention", "gated_linear", "gated_delta"),
    "Other libraries": ("x-transformers", "encoder layer, ours", "encoder layer, torch"),
}
# Additional curves from comparisons: scenario, side, name in the panel.
BORROWED = (
    ("softmax_x_transformers", "other", "x-transformers"),
    ("transformer_layer", "ours", "encoder layer, ours"),
    ("transformer_layer", "other", "encoder layer, torch"),
)
REFERENCE = "softmax"


def draw_figures(rows: Sequence[Row], directory: Path) -> None:
    """Write the SVG files of `figures` to `directory`; each contains the digest of its data."""
    directory.mkdir(exist_ok=True)
    for name, (_, draw) in figures(rows).items():
        with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
            figure = Figure(figsize=(9.0, 5.6), layout="constrained")
            draw(figure)
            metadata = {"Date": None, "Description": digest(rows)}
            figure.savefig(directory / f"{name}.svg", facecolor=LIGHT.paper, metadata=metadata)


def figures(rows: Sequence[Row]) -> dict[str, tuple[str, Callable[[Figure], None]]]:
    """The figures that can be drawn from these rows: name of the file, description, and drawing function."""
    drawings: dict[str, tuple[str, Callable[[Figure], None]]] = {}
    for name, words, unit, pick in (
        (
            "time-by-length",
            "time of forward and backward",
            "milliseconds",
            lambda row, side: 1e3 * row[f"{side}_s"]["median"],
        ),
        ("memory-by-length", "peak memory beyond the inputs", "MiB", _mebibytes),
    ):
        curves = _curves(rows, pick)
        if REFERENCE in curves:
            text = f"Six panels: {words} by length, with softmax attention in grey"
            drawings[name] = (text, lambda figure, curves=curves, unit=unit: _panels(figure, curves, unit))
    ratios = _ratios(rows)
    if ratios:
        text = "Speed-up of each form of linear attention over causal softmax attention by length"
        drawings["linear-by-length"] = (text, lambda figure: _linear(figure, ratios))
    return drawings


def digest(rows: Sequence[Row]) -> str:
    """Digest of the numbers in the figures."""
    return hashlib.sha256(json.dumps(list(rows), sort_keys=True).encode()).hexdigest()


def _mebibytes(row: Row, side: str) -> float | None:
    peak = row["peak_bytes"].get(side)
    return None if not peak else peak / 2**20


def _curves(rows: Sequence[Row], pick: Callable[[Row, str], float | None]) -> dict[str, LengthCurve]:
    borrowed = {(name, side): label for name, side, label in BORROWED}
    curves: dict[str, LengthCurve] = {}
    for row in rows:
        if row["status"] != "measured":
            continue
        if row["family"] == "mechanisms":
            labels = {"ours": row["scenario"].removeprefix("mechanism_")}
        else:
            labels = {side: label for (name, side), label in borrowed.items() if name == row["scenario"]}
        for side, label in labels.items():
            value = pick(row, side)
            if value is not None:
                curves.setdefault(label, []).append((row["size"], value))
    return {label: sorted(curve) for label, curve in curves.items()}


def _ratios(rows: Sequence[Row]) -> dict[str, list[tuple[int, float, float, float]]]:
    """Length, median and quartiles of each form of linear attention compared with torch's kernel."""
    ratios: dict[str, list[tuple[int, float, float, float]]] = {}
    for row in rows:
        if (
            row["family"] == "linear"
            and row["kind"] == "ratio"
            and row["package"] == "torch"
            and row["status"] == "measured"
        ):
            ratio = row["ratio"]
            label = row["scenario"].removeprefix("linear_").replace("_", ", ")
            ratios.setdefault(label, []).append((row["size"], ratio["median"], ratio["lower"], ratio["upper"]))
    return {label: sorted(points) for label, points in ratios.items()}


def _panels(figure: Figure, curves: dict[str, LengthCurve], unit: str) -> None:
    grid = figure.subplots(2, 3, sharex=True, sharey=True)
    lengths = [length for length, _ in curves[REFERENCE]]
    highest = max(value for curve in curves.values() for _, value in curve)
    lowest = min(value for curve in curves.values() for _, value in curve)
    for place, (title, names) in enumerate(PANELS.items()):
        axes = grid.flat[place]
        _logarithmic(axes, lengths, 0.62)
        axes.set_ylim(lowest / 1.3, highest * 1.3)
        axes.set_title(title, loc="left", fontsize=9.5, color=LIGHT.ink)
        ends = [_line(axes, curves[REFERENCE], REFERENCE, LIGHT.muted, None, (0, (1, 1.5)))]
        for number, name in enumerate(name for name in names if name in curves):
            ends.append(_line(axes, curves[name], name, LIGHT.series[number], MARKERS[number], DASHES[number]))
        _label(figure, axes, ends)
        if place >= 3:
            axes.set_xlabel("positions")
        if place % 3 == 0:
            axes.set_ylabel(unit)


def _linear(figure: Figure, ratios: dict[str, list[tuple[int, float, float, float]]]) -> None:
    axes = figure.subplots()
    lengths = [point[0] for point in next(iter(ratios.values()))]
    _logarithmic(axes, lengths, 0.18)
    axes.axhline(1.0, color=LIGHT.muted, linewidth=1.0, dashes=(1, 1.5))
    ends = []
    for number, (name, points) in zip((0, 1, 2, 3, 4, 7), ratios.items()):  # colour 5 is close to 0
        ends.append(_line(axes, [point[:2] for point in points], name, LIGHT.series[number], MARKERS[number], "-"))
        axes.fill_between(
            [point[0] for point in points], [point[2] for point in points], [point[3] for point in points],
            color=LIGHT.series[number], alpha=0.15, linewidth=0,
        )  # fmt: skip
    _label(figure, axes, ends)
    axes.annotate(
        "as fast as softmax attention",
        (axes.get_xlim()[1], 1.0),
        (0, 4),
        ha="right",
        textcoords="offset points",
        fontsize=8.0,
        color=LIGHT.muted,
    )
    axes.set_xlabel("positions")
    axes.set_ylabel("speed-up over causal softmax attention")
    axes.yaxis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 4, 8, 16]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _logarithmic(axes: Axes, lengths: Sequence[int], room: float) -> None:
    """Make both axes logarithmic; on the right, leave `room` times the width of the curves for names."""
    dress(axes, LIGHT)
    axes.set_xscale("log")
    axes.set_yscale("log")
    width = max(lengths) / min(lengths)
    axes.set_xlim(min(lengths) / width**0.05, max(lengths) * width**room)
    axes.xaxis.set_major_locator(FixedLocator(list(lengths)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.grid(True, axis="y", color=LIGHT.grid, linewidth=0.6)


def _line(
    axes: Axes, curve: Sequence[tuple[int | float, ...]], name: str, colour: str, marker: str | None, dashes: Any
) -> End:
    x, y = [point[0] for point in curve], [point[1] for point in curve]
    axes.plot(x, y, color=colour, marker=marker, linestyle=dashes, linewidth=1.5, markersize=4.0)
    return x[-1], y[-1], name, colour


def _label(figure: Figure, axes: Axes, ends: Sequence[End]) -> None:
    """Write names at the ends of lines, moved apart to avoid overlaps."""
    figure.draw_without_rendering()
    low, high = axes.transAxes.transform([(0, 0), (0, 1)])[:, 1]
    apart = 9.5 * figure.dpi / 72  # the height of a name
    order = sorted(ends, key=lambda end: end[1])
    heights = [float(axes.transData.transform((x, y))[1]) for x, y, _, _ in order]
    placed = np.clip(spread_apart(heights, apart), low, high)
    for (x, y, name, colour), at in zip(order, placed):
        up = (at - axes.transData.transform((x, y))[1]) * 72 / figure.dpi
        axes.annotate(name, (x, y), (6, up), textcoords="offset points", va="center", fontsize=8.0, color=colour)

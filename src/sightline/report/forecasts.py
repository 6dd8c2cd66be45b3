"""Figures of forecasts: past values, forecast and prediction intervals.

Drawn from the records that `sightline predict --json` prints. The SVG adapts to light and dark themes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, final

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import MaxNLocator

from sightline.core.digits import number_of, significant_apart
from sightline.core.errors import InputError
from sightline.core.files import write_file
from sightline.report.drawing import LIGHT, VARIABLES, Drawing, Theme
from sightline.report.text import visible

logger = logging.getLogger("sightline")

MOST = 20  # figures per call
DARK = {
    "--ink": "#e8eaed", "--muted": "#a2abb6", "--grid": "#2d3339", "--paper": "#15181b", "--s0": "#5ab4f0",
    "--s1": "#ff9255",
}  # fmt: skip


@final
@dataclass(frozen=True)
class Line:
    """One column of one series: times as numbers (days or steps), values, and intervals from widest to narrowest."""

    label: str
    dated: bool
    seen_at: list[float]
    seen: list[float]
    at: list[float]
    value: list[float]
    intervals: list[tuple[float, list[float], list[float]]]  # coverage, low, high


def lines_of(record: Mapping[str, Any]) -> list[Line]:
    """The columns of a record of `Forecast.record`, in order."""
    keys = dict.fromkeys((row["series"], row["column"]) for row in record["forecast"])
    alone = len({column for _, column in keys}) == 1
    lines = []
    for series, column in keys:
        seen, ahead = (
            [row for row in record[part] if (row["series"], row["column"]) == (series, column)]
            for part in ("seen", "forecast")
        )
        places, dated = _places([str(row["time"]) for row in (*seen, *ahead)], record["every"])
        levels = sorted(float(key[1:]) for key in ahead[0] if re.fullmatch(r"q[\d.e-]+", key))
        intervals = []
        for low in levels:
            high = next((level for level in levels if abs(low + level - 1) < 1e-9), None)
            if high is not None and low < 0.5:
                below, above = ([row[f"q{level:g}"] for row in ahead] for level in (low, high))
                intervals.append((high - low, below, above))
        label = column if not series else series if alone else f"{series} {column}"
        values = [row["value"] for row in (*seen, *ahead)]
        past, future = slice(len(seen)), slice(len(seen), None)
        lines.append(Line(label, dated, places[past], values[past], places[future], values[future], intervals))
    return lines


def _places(times: list[str], every: str) -> tuple[list[float], bool]:
    """Where times are on an axis, and whether it is one of dates: otherwise of plain numbers, or of steps."""
    try:
        if every[-1:].isdigit():
            return [float(time) for time in times], False
        return [float(date2num(datetime.fromisoformat(time).replace(tzinfo=None))) for time in times], True
    except ValueError:  # quarters, for example
        return [float(step) for step in range(len(times))], False


def forecast_drawing(line: Line, number: int) -> Drawing:
    """One figure: the last values, the forecast after them, and its intervals as bands."""

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        at, value = line.at, line.value
        if line.seen:  # start the line at the last value
            at, value = [line.seen_at[-1], *at], [line.seen[-1], *value]
        for place, (share, low, high) in enumerate(line.intervals):
            axes.fill_between(
                line.at, low, high, color=theme.series[1], alpha=0.18 + 0.12 * place, linewidth=0,
                label=f"{100 * share:.0f} % interval",
            )  # fmt: skip
        axes.plot(line.seen_at, line.seen, color=theme.series[0], linewidth=1.3, label="observed")
        axes.plot(at, value, color=theme.series[1], linewidth=1.5, linestyle=(0, (5, 1.5)), label="forecast")
        if line.seen:
            axes.axvline(line.seen_at[-1], color=theme.muted, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        if line.dated:
            locator = AutoDateLocator(minticks=2, maxticks=5 if narrow else 8)
            axes.xaxis.set_major_locator(locator)
            # Show the month with every day: a single label for the axis would show only the last month.
            axes.xaxis.set_major_formatter(
                ConciseDateFormatter(
                    locator,
                    formats=["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
                    zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
                    offset_formats=["", "", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"],
                )
            )
            axes.xaxis.get_offset_text().set_color(theme.muted)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, integer=True))
        axes.set_ylabel(visible(line.label))
        axes.margins(x=0.01)
        axes.grid(axis="y", color=theme.grid, linewidth=0.6)
        axes.legend(
            frameon=False, fontsize=8, labelcolor=theme.ink, ncols=2 if narrow else 4, loc="lower left",
            bbox_to_anchor=(0, 1), borderaxespad=0.2,
        )  # fmt: skip

    counts = f"{number_of(len(line.seen), 'value')} observed, {len(line.value)} forecast"
    first, last = significant_apart([line.value[0], line.value[-1]])
    description = f"{line.label}: {counts}, from {first} to {last}"
    return Drawing(f"forecast-{number}", visible(line.label), visible(description), draw, height=2.9)


def save_forecasts(records: Sequence[Mapping[str, Any]], directory: Path) -> list[Path]:
    """Write `forecast-<n>.svg` for the first 20 columns of all series; logs where there are more.

    Raises:
        InputError: "out: exists and is not a directory".
    """
    if directory.exists() and not directory.is_dir():
        raise InputError("exists and is not a directory", where=directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = [line for record in records for line in lines_of(record)]
    if len(lines) > MOST:
        logger.warning("%s: the first %d of %s are drawn", directory, MOST, number_of(len(lines), "forecast"))
    paths = []
    for number, line in enumerate(lines[:MOST], 1):
        path = directory / f"forecast-{number}.svg"
        write_file(path, standalone(forecast_drawing(line, number)))
        paths.append(path)
    return paths


def standalone(drawing: Drawing) -> str:
    """The drawing as a standalone file, in the theme that the reader's system prefers."""
    svg, _ = drawing.page_svg()
    colours_of_page = (LIGHT.ink, LIGHT.muted, LIGHT.grid, LIGHT.paper, *LIGHT.series)
    light = {value[4:-1]: colour for value, colour in zip(VARIABLES.values(), colours_of_page, strict=True)}
    used = [name for name in light if f"var({name})" in svg or name == "--paper"]
    rules = ["".join(f"{name}:{colours[name]};" for name in used if name in colours) for colours in (light, DARK)]
    style = (
        f"<style>svg{{{rules[0]}background:var(--paper);font-family:system-ui,sans-serif}}"
        f"@media (prefers-color-scheme:dark){{svg{{{rules[1]}}}}}</style>"
    )
    return svg.replace(">", f">{style}", 1) + "\n"

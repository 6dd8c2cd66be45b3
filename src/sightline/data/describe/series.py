"""What time series hold: where they begin and end, how large they are, whether they repeat, and what looks wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.data.describe.survey import Chart, Finding, Survey, spread
from sightline.data.series import PARTS, SeriesData

MOST_DRAWN, MOST_POINTS = 4, 400
STUCK = 0.1  # of a series: the share of one value in a row from which a sensor may have been stuck
FAR = 10.0  # an outlier is so many times the usual distance (median absolute deviation) from the median


def survey_series(data: SeriesData) -> Survey:
    """Counts, spans, sizes, the commonest period, and columns that look wrong, with the times."""
    panel = data.panel
    described: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        low, high = data.span(part)
        values = data.values(part)
        described[part] = {
            "values": data.sizes[part],
            "steps": high - low,
            "from": panel.grid.text(low) if high > low else "",
            "to": panel.grid.text(high - 1) if high > low else "",
            "series": sum(len(rows) > 0 for rows in values),
            "value": spread(np.concatenate([rows.ravel() for rows in values])) if values else {},
        }
    columns = [
        (panel.label(number, column), record.start, record.values[:, column])
        for number, record in enumerate(panel.records)
        for column in range(len(panel.targets))
    ]
    period = commonest_period([values for _, _, values in columns])
    notes = [f"step {panel.grid.every}", f"{len(panel.records)} series of {len(panel.targets)} columns"]
    if period is not None:
        notes.append(f"values repeat every {period} steps (the largest autocorrelation of their differences)")
    return Survey(
        data.name,
        data.sha256,
        described,
        [found for name, start, values in columns for found in _suspicious(data, name, start, values)],
        [*notes, *data.notes],
        {},
        [_drawn(data, name, start, values) for name, start, values in columns[:MOST_DRAWN]],
    )


def commonest_period(columns: list[np.ndarray], least: float = 0.3) -> int | None:
    """The lag with the largest mean autocorrelation of first differences, if that is above `least` and a local peak."""
    found: dict[int, list[float]] = {}
    for values in columns[:20]:
        steps = np.diff(values)
        steps = steps - steps.mean() if len(steps) else steps
        size = len(steps)
        power = float(steps @ steps)
        if size < 8 or power == 0.0:
            continue
        transformed = np.fft.rfft(steps, 2 * size)
        together = np.fft.irfft(np.abs(transformed) ** 2)[:size] / power
        for lag in range(2, size // 3):
            if together[lag] > together[lag - 1] and together[lag] >= together[lag + 1]:
                found.setdefault(lag, []).append(float(together[lag]))
    means = {lag: sum(heights) / len(columns[:20]) for lag, heights in found.items()}
    best = max(means, key=lambda lag: (means[lag], -lag), default=None)
    return best if best is not None and means[best] > least else None


def _suspicious(data: SeriesData, name: str, start: int, values: np.ndarray) -> list[Finding]:
    grid, found = data.panel.grid, []
    if (values == values[0]).all():
        return [Finding(name, "always the same value", len(values), [f"from {grid.text(start)}"])]
    edges = np.flatnonzero(np.diff(values) != 0) + 1
    bounds = np.concatenate([[0], edges, [len(values)]])
    longest = int(np.diff(bounds).argmax())
    stretch = int(bounds[longest + 1] - bounds[longest])
    if stretch > max(10, STUCK * len(values)):
        found.append(Finding(name, "one value in a row", stretch, [f"from {grid.text(start + int(bounds[longest]))}"]))
    middle = np.median(values)
    usual = float(np.median(np.abs(values - middle)))
    far = np.flatnonzero(np.abs(values - middle) > FAR * usual) if usual > 0 else np.array([], int)
    if len(far) and len(far) <= 0.01 * len(values):
        shown = [grid.text(start + int(place)) for place in far[:10]]
        found.append(Finding(name, f"more than {FAR:g} times as far from the median as usual", len(far), shown))
    return found


def _drawn(data: SeriesData, name: str, start: int, values: np.ndarray) -> Chart:
    """The column in as many points as a picture can show, a line for each part."""
    step = max(1, len(values) // MOST_POINTS)
    places = start + np.arange(0, len(values), step)
    drawn = values[::step]
    lines: dict[str, list[float]] = {}
    for part in PARTS:
        low, high = data.span(part)
        inside = (places >= low) & (places < high)
        lines[part] = [float(value) if here else float("nan") for value, here in zip(drawn, inside, strict=True)]
    return Chart(name, "lines", f"step ({data.panel.grid.every} each)", "value", places.astype(float).tolist(), lines)

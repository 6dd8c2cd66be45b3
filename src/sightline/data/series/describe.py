"""A summary of time series: where they begin and end, their values, their season, and suspicious values."""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.core.digits import number_of
from sightline.data.series.corpus import SeriesData
from sightline.data.series.seasons import find_season
from sightline.data.split import PARTS
from sightline.data.survey import Chart, DataFinding, Survey, spread

MOST_DRAWN, MOST_POINTS = 4, 400
STUCK = 0.1  # of a series: the share of one value in a row from which a sensor may have been stuck
FAR = 10.0  # of an outlier: its distance from the median over the usual one (median absolute deviation)


def survey_series(data: SeriesData, season: int | None = None) -> Survey:
    """Counts, spans, sizes, the commonest period, and suspicious columns, with the times.

    season: the season in steps, where it is set; None = estimated from training
    """
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
            "value": spread(np.concatenate([rows.ravel() for rows in values])) or None,
        }
    columns = [
        (panel.label(number, column), record.start, record.values[:, column])
        for number, record in enumerate(panel.records)
        for column in range(len(panel.targets))
    ]
    where = " in the training part" if season is None else ", as set (--season)"
    season = season or find_season(data.values("train"), panel.grid.season)
    notes = [f"step {panel.grid.every}", f"{len(panel.records):,} series of {number_of(len(panel.targets), 'column')}"]
    notes.append(f"a season of {season} steps{where}" if season > 1 else f"no season{where}")
    return Survey(
        data.name,
        data.sha256,
        described,
        [finding for name, start, values in columns for finding in _suspicious(data, name, start, values)],
        [*notes, *data.notes],
        {},
        [_drawn(data, name, start, values) for name, start, values in columns[:MOST_DRAWN]],
    )


def _suspicious(data: SeriesData, name: str, start: int, values: np.ndarray) -> list[DataFinding]:
    grid, suspicious = data.panel.grid, []
    if (values == values[0]).all():
        return [DataFinding(name, "always the same value", len(values), [f"from {grid.text(start)}"])]
    edges = np.flatnonzero(np.diff(values) != 0) + 1
    bounds = np.concatenate([[0], edges, [len(values)]])
    longest = int(np.diff(bounds).argmax())
    stretch = int(bounds[longest + 1] - bounds[longest])
    if stretch > max(10, STUCK * len(values)):
        suspicious.append(
            DataFinding(name, "one value in a row", stretch, [f"from {grid.text(start + int(bounds[longest]))}"])
        )
    middle = np.median(values)
    usual = float(np.median(np.abs(values - middle)))
    far = np.flatnonzero(np.abs(values - middle) > FAR * usual) if usual > 0 else np.array([], int)
    if len(far) and len(far) <= 0.01 * len(values):
        shown = [grid.text(start + int(place)) for place in far[:10]]
        suspicious.append(
            DataFinding(name, f"more than {FAR:g} times as far from the median as usual", len(far), shown)
        )
    return suspicious


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

"""Scores of forecasts: the sums that metrics are made of, by column of series, by step and by window."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any, final

import numpy as np
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.metrics import Metric, metrics_of
from sightline.data.series.corpus import ROUNDING
from sightline.data.series.panel import Panel
from sightline.data.series.windows import WindowBatch, Windows
from sightline.tasks.forecasting.metrics import ByColumn, Forecasts, Yardstick

SMALLEST = float(np.finfo(np.float64).tiny) ** 0.5  # where squares, and so the spread of a series, become zero
TABLE_SERIES = 50  # of which `details` have a row each


def naive_errors(series: list[np.ndarray], season: int) -> np.ndarray:
    """The mean |y_t - y_{t-m}| (R, C) of training series (T, C).

    0 where it is rounding, is so small that its square is zero, or there are too few steps.
    """
    errors = []
    for rows in series:
        if len(rows) <= season:
            errors.append(np.zeros(rows.shape[1]))
            continue
        error = np.abs(rows[season:] - rows[:-season]).mean(0)
        errors.append(np.where(error > np.maximum(ROUNDING * np.abs(rows).max(0), SMALLEST), error, 0.0))
    return np.stack(errors)


def intervals_of(quantiles: tuple[float, ...]) -> list[tuple[int, int]]:
    """Pairs of places in `quantiles` that are equally far from both ends, the widest interval first."""
    places = {round(q, 9): i for i, q in enumerate(quantiles)}
    return [(i, places[round(1 - q, 9)]) for q, i in sorted(places.items()) if q < 0.5 and round(1 - q, 9) in places]


def kinds_of(quantiles: tuple[float, ...]) -> list[str]:
    """The kinds of outputs (`Metric.of`) that a forecast of these levels has."""
    return ["forecasts", *(["quantiles"] if quantiles else []), *(["intervals"] if intervals_of(quantiles) else [])]


@final
class ForecastScores:
    """Sums over windows, kept by column of series and by step of the horizon, and by window."""

    def __init__(self, panel: Panel, horizon: int, yardstick: Yardstick) -> None:
        self.panel, self.horizon, self.yardstick = panel, horizon, yardstick
        self.intervals = intervals_of(yardstick.quantiles)
        self.windows = np.zeros(len(panel.records), dtype=np.int64)
        shape = len(panel.records), len(panel.targets), horizon
        kinds = [kind for kind in kinds_of(yardstick.quantiles) if kind != "intervals"]
        self.sums = {metric.name: _Sums(metric, shape) for metric in metrics_of(*kinds)}
        self.inside = [
            {metric.name: _Sums(metric, shape) for metric in metrics_of("intervals")} for _ in self.intervals
        ]
        self.known = self.sums | (self.inside[0] if self.inside else {})

    def add(
        self,
        record: np.ndarray,
        forecast: np.ndarray,
        truth: np.ndarray,
        scales: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Windows of series `record` (B,): forecasts (B, H, C, Q) and true values (B, H, C), both scaled.

        scales: center and spread (B, C) of each window; None = those of its series in training
        """
        scaling = self.yardstick.scaling
        scales = scales or (scaling.center[record], scaling.spread[record])
        center, spread = (part[:, None] for part in scales)
        truth, forecast = truth.astype(np.float64), forecast.astype(np.float64)
        np.add.at(self.windows, record, 1)
        for sums, interval in [(self.sums, (0, -1)), *zip(self.inside, self.intervals, strict=True)]:
            forecasts = Forecasts(truth, forecast, center, spread, self.yardstick, interval)
            for one in sums.values():
                one.add(record, one.metric.rows_of(forecasts))

    def metrics(self) -> dict[str, float]:
        """Every metric by name."""
        return {name: sums.value(self.windows) for name, sums in self.known.items()}

    def details(self) -> dict[str, Any]:
        """By step of the horizon, by column of series (the first ones), and each interval, in plain JSON types."""
        steps = [slice(step, step + 1) for step in range(self.horizon)]
        rows: list[dict[str, Any]] = []
        for record, column in np.ndindex(len(self.windows), len(self.panel.targets)):
            if (count := int(self.windows[record])) and len(rows) < TABLE_SERIES:
                scores = {name: sums.of_column(record, column, count) for name, sums in self.known.items()}
                rows.append({"series": self.panel.label(record, column), "windows": count, **scores})
        levels = self.yardstick.quantiles
        return {
            "season": self.yardstick.season,
            "by_step": {name: [sums.value(self.windows, step) for step in steps] for name, sums in self.known.items()},
            "by_series": rows,
            "intervals": [
                {
                    "low": levels[low],
                    "high": levels[high],
                    "coverage": sums["coverage"].value(self.windows),
                    "width": sums["interval_width"].value(self.windows),
                }
                for (low, high), sums in zip(self.intervals, self.inside, strict=True)
            ],
        }

    def items(self, record: np.ndarray, origin: np.ndarray) -> dict[str, np.ndarray]:
        """For paired statistics, by metric (N, 2): sum of errors and how many, over blocks of windows of one series.

        Neighbouring windows share most of their steps, so they are not independent trials: windows whose origins are in
        the same stretch as long as the horizon are one item together.
        """
        block = origin // self.horizon
        groups = [list(group) for _, group in groupby(range(len(record)), key=lambda i: (record[i], block[i]))]
        series = record[[group[0] for group in groups]]
        return {name: sums.items(groups, series, self.windows) for name, sums in self.known.items()}


def score_windows(
    part: Windows, predictor: Callable[[WindowBatch], Tensor], batches: Iterable[WindowBatch], yardstick: Yardstick
) -> ForecastScores:
    """Scores of the forecasts of a part, whose windows are the batches in order.

    A forecast of one level alone is scored as the median.
    """
    scores: ForecastScores | None = None
    for batch in batches:
        predicted = predictor(batch).float().cpu().numpy()
        if scores is None:
            scored = predicted.shape[3] == len(yardstick.quantiles)
            scores = ForecastScores(part.panel, part.horizon, yardstick if scored else replace(yardstick, quantiles=()))
        scales = batch.center.numpy(), batch.spread.numpy()
        scores.add(part.record[list(batch.rows)], predicted, batch.future.cpu().numpy(), scales)
    if scores is None:
        raise InputError("no windows to measure on", where=part.panel.name)
    return scores


def items_sha256(part: Windows, batches: Iterable[WindowBatch]) -> str:
    """The hash of the windows that `score_windows` scores: their series, the place and the values of what they
    forecast, and the unit in which errors are counted.

    Scales are rounded to a millionth, since machines add up a mean in different orders.
    """
    digest = hashlib.sha256(f"{part.horizon}\0".encode())
    for number, origin in zip(part.record.tolist(), part.origin.tolist(), strict=True):
        record = part.panel.records[number]
        values = record.values[origin : origin + part.horizon]
        digest.update(f"{record.name}\0{origin}\0".encode() + np.ascontiguousarray(values, dtype="<f8").tobytes())
    for batch in batches:
        center, spread = batch.center.numpy(), batch.spread.numpy()
        scales = np.stack([center / spread, np.log(spread)]).round(6) + 0.0  # no negative zeros
        digest.update(scales.astype("<f8").tobytes())
    return digest.hexdigest()


@final
class _Sums:
    """One metric's errors, summed by column of series and step of the horizon (R, C, H), and by window."""

    def __init__(self, metric: Metric, shape: tuple[int, int, int]) -> None:
        self.metric, self.sums = metric, np.zeros(shape)
        self.each: list[np.ndarray] = []  # (B,), sums of windows
        self.spread: Any = None  # (R, C), where each column of series has the same weight
        self.unit: Any = None

    def add(self, record: np.ndarray, errors: np.ndarray | ByColumn) -> None:
        """Adds the errors (B, H, C) of windows of series `record`."""
        if isinstance(errors, ByColumn):
            errors, self.spread, self.unit = errors
            self.each.append((errors.sum(1) * self._units[record]).sum(1))
        else:
            self.each.append(errors.sum((1, 2)))
        for row, one in zip(record.tolist(), errors.transpose(0, 2, 1), strict=True):  # faster than np.add.at
            self.sums[row] += one

    @property
    def _units(self) -> np.ndarray:
        """A scaled error of 1 (R, C) in the unit of the column; 0 where that is unknown."""
        return np.divide(self.spread, self.unit, out=np.zeros_like(self.unit), where=self.unit > 0)

    def _of(self, total: Any, count: Any) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.metric.value(np.array([[[total, count]]], float))[0])

    def value(self, windows: np.ndarray, steps: slice = slice(None)) -> float:
        """The metric over some steps of all windows, of which `windows` (R,) counts those of each series."""
        sums = self.sums[:, :, steps]
        if self.unit is None:
            return self._of(sums.sum(), windows.sum() * sums.shape[1] * sums.shape[2])
        known = (self.unit > 0) & (windows > 0)[:, None]
        own = sums.sum(2) * self.spread / np.maximum(windows, 1)[:, None] / sums.shape[2]
        return self._of((own[known] / self.unit[known]).sum(), known.sum())

    def of_column(self, record: int, column: int, windows: int) -> float:
        """The metric of one column of one series, all steps of its windows."""
        total, count = self.sums[record, column].sum(), windows * self.sums.shape[2]
        if self.unit is None:
            return self._of(total, count)
        return self._of(total / count * self._units[record, column], self.unit[record, column] > 0)

    def items(self, groups: list[list[int]], series: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """The rows (N, 2) of groups of windows of `series` (N,).

        Where each column of series has the same weight, as in the metric, errors and counts are divided by the number
        of the series' windows.
        """
        each = np.concatenate(self.each)
        sums, sizes = np.array([each[group].sum() for group in groups]), np.array([len(group) for group in groups])
        _, columns, horizon = self.sums.shape
        if self.unit is None:
            return np.stack([sums, sizes * columns * horizon], 1)
        known = (self.unit > 0).sum(1)[series]  # columns
        return np.stack([sums / horizon, known * sizes], 1) / windows[series][:, None]

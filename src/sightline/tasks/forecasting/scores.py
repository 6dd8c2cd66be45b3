"""Metrics of forecasts, over every window, step and column.

Errors (mse, mae, pinball, interval width) are in the scaled units that a model is trained in, as published tables have
them; mase and smape in the data's own. With e = y - ŷ:

- mse, mae: mean of e² and of |e|
- mase: mean of |e| over the mean |y_t - y_{t-m}| of the column in training, m the season (Hyndman & Koehler 2006, with
  the seasonal naive forecast in place of the plain one, as M4 has it); mean over columns of series
- smape: mean of 2·|e| / (|y| + |ŷ|), 0 where both are 0 (Makridakis et al. 2020, M4, who write it in percent); at most
2
- pinball: mean over quantiles q of max(q·e, (q - 1)·e)
- coverage, width: of the widest interval, the share of values inside it, ends included, and its mean width
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, final

import numpy as np

from sightline.data.series.corpus import ROUNDING, SeriesScaling
from sightline.data.series.panel import Panel

SMALLEST = float(np.finfo(np.float64).tiny) ** 0.5  # where squares, and so the spread of a series, become zero
TABLE_SERIES = 50  # of which `details` have a row each


@final
@dataclass(frozen=True)
class Yardstick:
    """The references that scores need besides forecasts.

    naive: (R, C), the mean |y_t - y_{t-m}| in training; 0 where it is unknown, which leaves the column out of mase
    """

    scaling: SeriesScaling
    naive: np.ndarray
    season: int
    quantiles: tuple[float, ...] = ()


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


@final
class ForecastScores:
    """Sums over windows, kept by column of series and by step of the horizon, and by window."""

    def __init__(self, panel: Panel, horizon: int, yardstick: Yardstick) -> None:
        self.panel, self.horizon, self.yardstick = panel, horizon, yardstick
        columns = len(panel.targets)
        self.shape = (len(panel.records), columns, horizon)
        self.intervals = intervals_of(yardstick.quantiles)
        names = ["squared", "absolute", "relative", *(["pinball"] if yardstick.quantiles else [])]
        names += [f"{what}{i}" for i in range(len(self.intervals)) for what in ("inside", "width")]
        self.sums = {name: np.zeros(self.shape) for name in names}
        self.windows = np.zeros(len(panel.records), dtype=np.int64)
        self.each: dict[str, list[np.ndarray]] = {name: [] for name in [*names, "naive"]}  # (B,), sums of windows

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
        forecast, truth = forecast.astype(np.float64), truth.astype(np.float64)
        point = forecast[..., forecast.shape[3] // 2]
        error = truth - point
        scaling = self.yardstick.scaling
        scales = scales or (scaling.center[record], scaling.spread[record])
        center, spread = (part[:, None] for part in scales)
        actual, predicted = truth * spread + center, point * spread + center
        size = np.abs(actual) + np.abs(predicted)
        relative = np.divide(2 * np.abs(actual - predicted), size, out=np.zeros_like(size), where=size > 0)
        self._sum("squared", record, error**2)
        self._sum("absolute", record, np.abs(error))
        self.each["naive"].append((np.abs(error).sum(1) * self._naive_units[record]).sum(1))
        self._sum("relative", record, relative)
        np.add.at(self.windows, record, 1)
        if not self.yardstick.quantiles:
            return
        levels = np.array(self.yardstick.quantiles)
        each = truth[..., None] - forecast
        self._sum("pinball", record, np.maximum(levels * each, (levels - 1) * each).mean(3))
        for number, (low, high) in enumerate(self.intervals):
            inside = (truth >= forecast[..., low]) & (truth <= forecast[..., high])
            self._sum(f"inside{number}", record, inside.astype(np.float64))
            self._sum(f"width{number}", record, forecast[..., high] - forecast[..., low])

    def _sum(self, name: str, record: np.ndarray, values: np.ndarray) -> None:
        """Adds values (B, H, C)."""
        np.add.at(self.sums[name], record, values.transpose(0, 2, 1))
        self.each[name].append(values.sum((1, 2)))

    @property
    def _naive_units(self) -> np.ndarray:
        """A scaled error of 1 (R, C) as a multiple of the naive forecast's error; 0 where that is unknown."""
        naive = self.yardstick.naive
        return np.divide(self.yardstick.scaling.spread, naive, out=np.zeros_like(naive), where=naive > 0)

    def metrics(self) -> dict[str, float]:
        """Every metric by name."""
        means = {name: self._mean(source) for name, source in self._sources().items()}
        return {**means, "mase": self._mase(self.sums["absolute"].sum(2), self.horizon)}

    def _sources(self) -> dict[str, str]:
        names = {"mse": "squared", "mae": "absolute", "smape": "relative"}
        if self.yardstick.quantiles:
            names["pinball"] = "pinball"
        if self.intervals:
            names |= {"interval_width": "width0", "coverage": "inside0"}
        return names

    def _mean(self, name: str) -> float:
        return float(self.sums[name].sum() / (self.windows.sum() * self.shape[1] * self.horizon))

    def _mase(self, absolute: np.ndarray, steps: int) -> float:
        """Of sums (R, C) of scaled errors over `steps` steps of every window."""
        naive = self.yardstick.naive
        known = (naive > 0) & (self.windows > 0)[:, None]
        if not known.any():
            return float("nan")
        own = absolute * self.yardstick.scaling.spread / np.maximum(self.windows, 1)[:, None] / steps
        return float((own[known] / naive[known]).mean())

    def details(self) -> dict[str, Any]:
        """By step of the horizon, by column of series (the first ones), and each interval, in plain JSON types."""
        count = self.windows.sum() * self.shape[1]
        by_step = {name: (self.sums[of].sum((0, 1)) / count).tolist() for name, of in self._sources().items()}
        by_step["mase"] = [self._mase(self.sums["absolute"][:, :, h], 1) for h in range(self.horizon)]
        rows = []
        for record, column in np.ndindex(self.shape[:2]):
            if self.windows[record] and len(rows) < TABLE_SERIES:
                steps = self.windows[record] * self.horizon
                row = {name: float(self.sums[of][record, column].sum() / steps) for name, of in self._sources().items()}
                row["mase"] = row["mae"] * float(self._naive_units[record, column]) or float("nan")
                rows.append({"series": self.panel.label(record, column), "windows": int(self.windows[record]), **row})
        levels = self.yardstick.quantiles
        return {
            "season": self.yardstick.season,
            "by_step": by_step,
            "by_series": rows,
            "intervals": [
                {
                    "low": levels[low], "high": levels[high], "coverage": self._mean(f"inside{i}"),
                    "width": self._mean(f"width{i}"),
                }
                for i, (low, high) in enumerate(self.intervals)
            ],
        }  # fmt: skip

    def items(self, record: np.ndarray, origin: np.ndarray) -> dict[str, np.ndarray]:
        """For paired statistics, by metric (N, 2): sum of errors and how many, over blocks of windows of one series.

        Neighbouring windows share most of their steps, so they are not independent trials: windows whose origins are in
        the same stretch as long as the horizon are one item together. In the rows of mase each column of series has the
        same weight, as in the metric: errors and counts are divided by the number of the series' windows.
        """
        block = origin // self.horizon
        groups = [list(group) for _, group in groupby(range(len(record)), key=lambda i: (record[i], block[i]))]
        sizes = np.array([len(group) for group in groups])
        series = record[[group[0] for group in groups]]

        def summed(name: str) -> np.ndarray:
            each = np.concatenate(self.each[name])
            return np.array([each[group].sum() for group in groups])

        values = sizes * self.shape[1] * self.horizon
        items = {name: np.stack([summed(source), values], 1) for name, source in self._sources().items()}
        known = (self.yardstick.naive > 0).sum(1)[series]  # columns
        shares = np.stack([summed("naive") / self.horizon, known * sizes], 1) / self.windows[series][:, None]
        return {**items, "mase": shares}

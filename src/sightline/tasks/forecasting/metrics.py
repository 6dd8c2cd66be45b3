"""Metrics of forecasts, over every window, step and column: the errors that each is the mean of.

Errors (mse, mae, pinball, interval width) are in the scaled units that a model is trained in, as published tables have
them; mase and smape in the data's own. With e = y - ŷ:

- mse, mae: mean of e² and of |e|
- mase: mean of |e| over the mean |y_t - y_{t-m}| of the column in training, m the season (Hyndman & Koehler 2006, with
  the seasonal naive forecast instead of the plain one, as M4 has it); mean over columns of series
- smape: mean of 2·|e| / (|y| + |ŷ|), 0 where both are 0 (Makridakis et al. 2020, M4, who write it in percent); at most
2
- pinball: mean over quantiles q of max(q·e, (q - 1)·e)
- coverage, width: of the widest interval, the share of values inside it, ends included, and its mean width
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from sightline.data.series.corpus import SeriesScaling


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


@final
@dataclass(frozen=True)
class Forecasts:
    """Forecasts of B windows, which `core.metrics` has metrics of ("forecasts", "quantiles", "intervals").

    truth, quantiles: scaled, (B, H, C) and (B, H, C, Q)
    center, spread: (B, 1, C), which take scaled values to the data's units
    interval: the places of its two ends among the quantiles
    """

    truth: np.ndarray
    quantiles: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    yardstick: Yardstick
    interval: tuple[int, int] = (0, -1)

    @property
    def error(self) -> np.ndarray:
        """(B, H, C) of the point forecasts, scaled."""
        return self.truth - self.point

    @property
    def point(self) -> np.ndarray:
        """(B, H, C), the forecasts of the middle level, scaled."""
        return self.quantiles[..., self.quantiles.shape[3] // 2]

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper end (B, H, C) of the interval, scaled."""
        low, high = self.interval
        return self.quantiles[..., low], self.quantiles[..., high]


class ByColumn(NamedTuple):
    """Errors (B, H, C) of a metric in which each column of series has the same weight, in units of its own.

    A column's error is multiplied by `spread` (R, C) and divided by `unit` (R, C); it does not count where that is 0.
    """

    errors: np.ndarray
    spread: np.ndarray
    unit: np.ndarray


def squared_errors(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C) of mse."""
    return forecasts.error**2


def absolute_errors(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C) of mae."""
    return np.abs(forecasts.error)


def errors_by_naive(forecasts: Forecasts) -> ByColumn:
    """Those of mase."""
    return ByColumn(np.abs(forecasts.error), forecasts.yardstick.scaling.spread, forecasts.yardstick.naive)


def relative_errors(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C) of smape."""
    actual, predicted = (scaled * forecasts.spread + forecasts.center for scaled in (forecasts.truth, forecasts.point))
    size = np.abs(actual) + np.abs(predicted)
    return np.divide(2 * np.abs(actual - predicted), size, out=np.zeros_like(size), where=size > 0)


def pinball_losses(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C) of pinball."""
    levels = np.array(forecasts.yardstick.quantiles)
    each = forecasts.truth[..., None] - forecasts.quantiles
    return np.maximum(levels * each, (levels - 1) * each).mean(3)


def inside(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C) of coverage: 1 where the interval has the true value."""
    low, high = forecasts.ends
    return ((forecasts.truth >= low) & (forecasts.truth <= high)).astype(np.float64)


def widths(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C) of interval_width."""
    low, high = forecasts.ends
    return high - low

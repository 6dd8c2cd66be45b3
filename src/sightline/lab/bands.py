"""Centres and 95 % intervals over independent rows, for quantities along an axis. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from sightline.lab.panel_results import Band

LEVEL = 0.95
SHARE = 0.01  # of the gradient at distance 1: from there on a gradient no longer reaches
CLOSE = 0.01  # of the loss with the whole context: from there on more context is not used


def median_band(at: Sequence[float] | Sequence[int], values: np.ndarray) -> Band:
    """Medians of values (N, K) over the N rows, with the interval of order statistics.

    The interval assumes no distribution, so that norms over many orders of magnitude, and exact zeros, are as good as
    others (scipy.stats.quantile_test). NaN, where a row has no value, is left out. With fewer than six rows no 95 %
    interval exists: its ends are None.
    """
    centre: list[float | None] = []
    low: list[float | None] = []
    high: list[float | None] = []
    for column in np.asarray(values, float).T:
        column = column[~np.isnan(column)]
        if not len(column):
            for part in (centre, low, high):
                part.append(None)
            continue
        interval = stats.quantile_test(column, q=float(np.median(column)), p=0.5).confidence_interval(LEVEL)
        centre.append(_number(np.median(column)))
        low.append(_number(interval.low))
        high.append(_number(interval.high))
    return Band(list(map(float, at)), centre, low, high)


def mean_band(at: Sequence[float] | Sequence[int], values: np.ndarray) -> Band:
    """Means of values (N, K) over the N rows, with Student's interval."""
    values = np.asarray(values, float)
    centre, rows = values.mean(0), len(values)
    if rows < 2:
        unknown: list[float | None] = [None] * len(centre)
        return Band(list(map(float, at)), centre.tolist(), unknown, unknown)
    half = stats.t.ppf(0.5 + LEVEL / 2, rows - 1) * values.std(0, ddof=1) / np.sqrt(rows)
    return Band(list(map(float, at)), centre.tolist(), (centre - half).tolist(), (centre + half).tolist())


def quartile_band(at: Sequence[float] | Sequence[int], values: Sequence[np.ndarray]) -> Band:
    """Medians and quartiles of the values at each place."""
    lower, middle, upper = np.array([np.quantile(row, (0.25, 0.5, 0.75)) for row in values]).T
    return Band(list(map(float, at)), middle.tolist(), lower.tolist(), upper.tolist())


def reaches(band: Band) -> float:
    """The largest distance at which the centre is at least `SHARE` of that at distance 1, at most the last one."""
    points = [(at, value) for at, value in zip(band.at, band.centre) if at >= 1 and value is not None]
    near = points[0][1] if points else 0.0
    return max((at for at, value in points if value > 0 and value >= SHARE * near), default=0.0)


def uses(band: Band) -> float:
    """The least context with a loss at most `CLOSE` above that with the whole context."""
    known = [(at, value) for at, value in zip(band.at, band.centre) if value is not None]
    limit = (1 + CLOSE) * known[-1][1]
    last = known[-1][0]
    for at, value in reversed(known):
        if value > limit:
            break
        last = at
    return last


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

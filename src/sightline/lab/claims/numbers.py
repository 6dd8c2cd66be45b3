"""Means over trainings with intervals, as numbers, curves and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.lab.bands import mean_band
from sightline.lab.claims.results import ClaimCurve, ClaimNumber


def mean_of(name: str, values: Sequence[float] | np.ndarray, unit: str = "") -> ClaimNumber:
    """The mean of one number per training, with Student's interval where there are two or more."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if not len(values):
        return ClaimNumber(name, None, unit=unit, n=0)
    band = mean_band([0], values[:, None])
    return ClaimNumber(name, band.centre[0], band.low[0], band.high[0], unit, len(values))


def curve_of(
    label: str, x: Sequence[float] | Sequence[int], rows: Sequence[Sequence[float]] | np.ndarray
) -> ClaimCurve:
    """The mean of rows (seeds, K) at each x, with Student's interval."""
    band = mean_band(list(x), np.asarray(rows, float))
    return ClaimCurve(label, list(map(float, x)), band.centre, band.low, band.high)


def in_words(measured: ClaimNumber, digits: int = 2) -> str:
    """The number and its interval, such as "0.37 (0.35 to 0.39)"."""
    if measured.value is None:
        return "undefined"
    text = f"{measured.value:.{digits}f}"
    if measured.low is None or measured.high is None:
        return text
    return f"{text} ({measured.low:.{digits}f} to {measured.high:.{digits}f})"


def points_of(
    label: str, values: Sequence[Sequence[float] | np.ndarray], x: Sequence[float] | Sequence[int] | None = None
) -> ClaimCurve:
    """The mean of each list of numbers with its interval, at each x; without x at 0, 1, …, for a chart over names."""
    means = [mean_of(label, each) for each in values]
    places = list(map(float, range(len(means)) if x is None else x))
    low, high = [one.low for one in means], [one.high for one in means]
    return ClaimCurve(label, places, [one.value for one in means], low, high)

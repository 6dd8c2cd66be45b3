"""The length of the season of series."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from sightline.data.series.markers import unmarked

LEAST = 0.2  # autocorrelation at a season
CHANCE = 0.05  # that noise seems to have a season
MOST_STEPS = 20_000


def find_season(series: Sequence[np.ndarray], usual: int = 1, most: int = 1000) -> int:
    """The season in steps of series (T, C), 1 if there is none. Numbers that mark missing values count as the mean.

    The first lag from 2 on, of at most a third of the longest series, at which the autocorrelation, averaged over all
    columns after a straight line is taken off each, has a peak within a tenth of the highest peak; noise makes several
    peaks of a broad one, of which the highest counts. A peak must reach 0.2, and more than the highest of so many lags
    in noise as long as the longest series (than one of them, at the lag `usual`, which the calendar suggests); and it
    must be so much higher than the lowest autocorrelation before it, or else it is a ripple on a slow curve.
    """
    longest = max((len(rows) for rows in series), default=0)
    lags = min(most, min(longest, MOST_STEPS) // 3)
    if lags < 3:
        return 1
    total, count = np.zeros(lags + 2), 0
    for rows in unmarked(series):
        rows = rows[-MOST_STEPS:]
        if len(rows) < 3 * lags // 2 + 2:
            continue
        time = np.linspace(-1, 1, len(rows))[:, None]
        rest = rows - rows.mean(0)
        rest = rest - time * (time * rest).sum(0) / (time * time).sum()
        spread = (rest**2).sum(0)
        rest, spread = rest[:, spread > 0], spread[spread > 0]
        if not rest.shape[1]:
            continue
        spectrum = np.abs(np.fft.rfft(rest, 2 * len(rows), axis=0)) ** 2
        correlation = np.fft.irfft(spectrum, axis=0)[: lags + 2] / spread  # (lags + 2, C)
        total += correlation.sum(1)
        count += rest.shape[1]
    if not count:
        return 1
    mean = total / count
    several, alone = (NormalDist().inv_cdf(1 - CHANCE / tries) / min(longest, MOST_STEPS) ** 0.5 for tries in (lags, 1))
    lowest = np.minimum.accumulate(mean[1:])  # up to lag i + 1
    peaks = []
    for lag in range(2, lags + 1):
        chance = alone if lag == usual else several
        peak = mean[lag - 1] < mean[lag] >= mean[lag + 1]
        if peak and mean[lag] >= max(LEAST, chance) and mean[lag] - lowest[lag - 2] >= chance:
            peaks.append(lag)
    highest = max((mean[lag] for lag in peaks), default=0.0)
    first = next((lag for lag in peaks if mean[lag] >= 0.9 * highest), 1)
    return max((lag for lag in peaks if first <= lag < 1.5 * first), key=lambda lag: mean[lag], default=1)

"""Thresholds of tests, how often their word is right, and what follows for items whose truth is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from sightline.inspect.faithfulness_results import CallRate

LEVEL = 0.95
RESAMPLES = 2000


class MeanInterval(NamedTuple):
    """The mean of scores over items, its interval, and the number of items that have one."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


def mean_interval(values: Sequence[float] | np.ndarray) -> MeanInterval:
    """The mean with the percentile interval of a bootstrap over items; items without a score (NaN) are left out.

    Of few items the percentiles are farther out, as Student's t is than the normal distribution, and as the variance of
    n resampled items, divided by n and not n - 1, is too small (Hesterberg 2015, "What teachers should know about the
    bootstrap", § 5.3, the expanded percentile interval).
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return MeanInterval(None, None, None, 0)
    mean = float(values.mean())
    if len(values) < 2:
        return MeanInterval(mean, None, None, len(values))
    ends = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=expanded(len(values)), method="percentile",
        vectorized=True, random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return MeanInterval(mean, float(ends.low), float(ends.high), len(values))


def expanded(n: int) -> float:
    """The level of the percentile interval of n values whose mean is in it in `LEVEL` of all samples."""
    return float(1 - 2 * stats.norm.cdf(-((n / (n - 1)) ** 0.5) * stats.t.ppf((1 + LEVEL) / 2, n - 1)))


def rate_of(kind: str, shares: Sequence[float]) -> CallRate:
    """The mean of the shares of items, with the interval of Clopper & Pearson 1934 over as many items.

    An item with several maps has the share of them that the test calls faithful: maps of one item are not independent,
    so that only items count. Of shares between 0 and 1 the interval is too wide rather than too narrow.
    """
    n = len(shares)
    if not n:
        return CallRate(kind)
    share = float(np.mean(shares))
    low = float(stats.beta.ppf((1 - LEVEL) / 2, share * n, n - share * n + 1)) if share > 0 else 0.0
    high = float(stats.beta.ppf((1 + LEVEL) / 2, share * n + 1, n - share * n)) if share < 1 else 1.0
    return CallRate(kind, share, low, high, n)


def calls_faithful(score: float, threshold: float, faithful: Literal["high", "low"]) -> bool:
    """Whether a test with this threshold calls a map faithful; without a score (NaN) it does not."""
    return bool(score >= threshold if faithful == "high" else score <= threshold)


def best_threshold(
    pointing: Sequence[float], others: Sequence[float], faithful: Literal["high", "low"] = "high"
) -> float | None:
    """The threshold with the largest hit rate less false-alarm rate (Youden 1950), in the middle between two scores.

    pointing, others: scores of maps that point at the planted positions, and of maps that do not; None where one of
    them has no score. Of equally good thresholds the middle one.
    """
    sign = 1.0 if faithful == "high" else -1.0
    good, bad = (sign * np.asarray(scores, float) for scores in (pointing, others))
    finite = np.unique(np.concatenate([good[np.isfinite(good)], bad[np.isfinite(bad)]]))
    if not np.isfinite(good).any() or not np.isfinite(bad).any():
        return None
    tried = np.concatenate([[finite[0] - 1e-9], (finite[1:] + finite[:-1]) / 2, [finite[-1] + 1e-9]])
    with np.errstate(invalid="ignore"):
        gain = (good >= tried[:, None]).mean(1) - (bad >= tried[:, None]).mean(1)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(sign * tried[best[len(best) // 2]])


class FaithfulShare(NamedTuple):
    """The estimated share of items in which a map is faithful, with its interval."""

    share: float
    low: float
    high: float


def faithful_share(passed: float, n: int, hit: CallRate, false_alarm: CallRate) -> FaithfulShare | None:
    """(passed - false alarms) / (hits - false alarms), kept within 0 and 1 (Rogan & Gladen 1978, "Estimating
    prevalence from the results of a screening test").

    passed: the share of n items in which a test calls the map faithful. If it is faithful in a share s of them, the
    test says so in s · hits + (1 - s) · false alarms, if its rates on planted maps hold here. The interval is of draws
    of all three from Beta distributions with Jeffreys' prior. None where the rates are not known.
    """
    if hit.share is None or false_alarm.share is None or not n:
        return None
    random = np.random.default_rng(0)

    def drawn(share: float, count: int) -> np.ndarray:
        return random.beta(share * count + 0.5, (1 - share) * count + 0.5, RESAMPLES)

    lower = drawn(false_alarm.share, false_alarm.n)
    gap = np.maximum(drawn(hit.share, hit.n) - lower, 1e-3)
    draws = np.clip((drawn(passed, n) - lower) / gap, 0.0, 1.0)
    share = (passed - false_alarm.share) / max(hit.share - false_alarm.share, 1e-3)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return FaithfulShare(float(np.clip(share, 0.0, 1.0)), float(low), float(high))

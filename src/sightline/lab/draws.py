"""Draws of scores and of their differences: resampled items, the seeds' spread, and one item more at a limit.

See `sightline.lab.stats` for what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np

from sightline.core.metrics import Metric
from sightline.lab.results import Estimate


def estimate_of(mean: float, ends: Iterable[float]) -> Estimate:
    """The mean with the ends of its interval, None where they are NaN."""
    return Estimate(mean, *(None if np.isnan(end) else float(end) for end in ends))


def towards(value: Any, limit: float, share: Any) -> Any:
    """The value with `share` of the way to the limit, where there is one."""
    return value + share * (limit - value) if np.isfinite(limit) else value


class Ends(NamedTuple):
    """Draws (R,) of a score or a difference: those for the lower end of its interval and those for the upper end."""

    low: np.ndarray
    high: np.ndarray
    limits: tuple[float, float]

    def estimate(self, mean: float, level: float) -> Estimate:
        """The mean with its interval at 1 - level, within the limits."""
        low, high = (values[~np.isnan(values)] for values in (self.low, self.high))
        if not len(low):
            return estimate_of(mean, (np.nan, np.nan))
        ends = np.percentile(low, 50 * level), np.percentile(high, 100 - 50 * level)
        return estimate_of(mean, np.clip(ends, *self.limits))

    def p_zero(self) -> float:
        """The two-sided p-value of no difference."""
        return min(1.0, 2 * min(_fraction(self.low <= 0, self.low), _fraction(self.high >= 0, self.high)))

    def p_beyond(self, margin: float) -> float:
        """Twice the larger p-value of the two one-sided tests of a difference beyond the margin."""
        beyond = _fraction(self.low <= -margin, self.low), _fraction(self.high >= margin, self.high)
        return min(1.0, 2 * max(beyond)) if np.isfinite(margin) else 1.0


def _fraction(chosen: np.ndarray, draws: np.ndarray) -> float:
    """The fraction of the defined draws that are chosen, never 0."""
    return (int(chosen.sum()) + 1) / (int((~np.isnan(draws)).sum()) + 1)


@final
@dataclass(frozen=True)
class Draws:
    """Draws (R,) of every architecture's score over the same resampled items, and of what its seeds add.

    extra: the weight of one more item in each draw; spreads: standard errors over seeds and their degrees of freedom
    mixed: the part of the variance over items that is part of the variance over seeds too, see `_mixed`
    """

    items: dict[str, np.ndarray]
    seeds: dict[str, np.ndarray]
    extra: np.ndarray
    spreads: dict[str, tuple[float, float]]
    mixed: dict[str, float]

    def score(self, name: str, limits: tuple[float, float]) -> Ends:
        """The draws of one score."""
        return self._ends(_less_spread(self.items[name], self.mixed[name]), self.seeds[name], limits)

    def difference(self, a: str, b: str, limits: tuple[float, float]) -> Ends:
        """The draws of the score of `a` minus that of `b`."""
        span = limits[1] - limits[0]
        return self._ends(self._items_of(a, b), self.seeds[a] - self.seeds[b], (-span, span))

    def _items_of(self, a: str, b: str) -> np.ndarray:
        return _less_spread(self.items[a] - self.items[b], self.mixed[a] + self.mixed[b])

    def _ends(self, items: np.ndarray, seeds: np.ndarray, limits: tuple[float, float]) -> Ends:
        low, high = (towards(items, limit, self.extra) + seeds for limit in limits)
        return Ends(low, high, limits)

    def item_error(self, a: str, b: str) -> float | None:
        """The standard error of the difference from the test items."""
        delta = _defined(self._items_of(a, b))
        return float(delta.std()) if len(delta) else None

    def seed_spread(self, a: str, b: str, counts: Mapping[str, int]) -> float | None:
        """The standard deviation of the difference of two trainings' scores; None where one seed leaves it unknown."""
        (of_a, _), (of_b, _) = self.spreads[a], self.spreads[b]
        if min(counts[a], counts[b]) < 2:
            return None
        return float(np.sqrt(of_a**2 * counts[a] + of_b**2 * counts[b]))


def draw(
    items: Mapping[str, np.ndarray],
    spreads: Mapping[str, tuple[float, float]],
    metric: Metric,
    resamples: int,
    generator: np.random.Generator,
) -> Draws:
    """Draws of every architecture's score: the same weights of the items for all, and a t draw for the seeds.

    items: rows (seeds, N, K); spreads: see `Draws`
    """
    count = next(iter(items.values())).shape[1]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in items}
    extra = []
    for start in range(0, resamples, 500):  # in chunks: all weights at once would need much memory
        weights = generator.standard_exponential((min(500, resamples - start), count + 1))
        total = weights.sum(1)
        extra.append(weights[:, -1] / total)
        own = weights[:, :-1] * (count / (total - weights[:, -1]))[:, None]
        for name, x in items.items():
            parts[name].append(metric.value(x, own))
    seeds = {
        name: error * generator.standard_t(freedom, resamples) if freedom else np.zeros(resamples)
        for name, (error, freedom) in spreads.items()
    }
    scores = {name: np.concatenate(of, axis=1) for name, of in parts.items()}  # (S, R)
    means = {name: of.mean(0) for name, of in scores.items()}
    mixed = {name: _mixed(of) for name, of in scores.items()}
    return Draws(means, seeds, np.concatenate(extra), dict(spreads), mixed)


def _mixed(scores: np.ndarray) -> float:
    """The variance of the mean of draws (S, R) that comes from how differently trainings answer the same items.

    Both other parts contain it. With variances of items i, of trainings s and of both together m, N items and S
    trainings, the mean has the variance s / S + i / N + m / (S N); trainings differ by s + m / N, from which comes
    s / S + m / (S N); and the draws of the mean vary by i / N + m / (S N). Adding the two would count m twice (Owen
    2007, "The pigeonhole bootstrap"). The draws of one training vary by (i + m) / N, and the difference to those of the
    mean tells m.
    """
    if len(scores) < 2:
        return 0.0
    each = np.mean([_defined(of).var() if len(_defined(of)) else 0.0 for of in scores])
    mean = _defined(scores.mean(0))
    return max(0.0, float(each - mean.var()) / (len(scores) - 1)) if len(mean) else 0.0


def _less_spread(draws: np.ndarray, variance: float) -> np.ndarray:
    """The draws (R,) with so much less variance, around the same mean."""
    defined = _defined(draws)
    if not variance or not len(defined) or not (of_draws := defined.var()):
        return draws
    return defined.mean() + np.sqrt(max(0.0, 1 - variance / of_draws)) * (draws - defined.mean())


def _defined(draws: np.ndarray) -> np.ndarray:
    return draws[~np.isnan(draws)]

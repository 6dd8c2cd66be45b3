"""Uncertainty of a comparison: intervals over seeds and test items, paired differences, Holm, the verdict.

There are two sources of variation: training with another seed gives another model, and another test set has other
items. Two architectures are tested on the same items, so items are resampled for both at once (a paired bootstrap);
their seeds are independent, so each contributes its own spread. One draw of an architecture's score is

    score*(items resampled)  +  s_a / sqrt(seeds_a) * t(nu_a)

where s_a is the standard deviation between its seeds. Resampling two or three seeds with replacement would badly
underestimate their spread (by half with two seeds, with a false positive rate near one in three); Student's t does not.
With few seeds the spread itself is uncertain, so the variances of the architectures are moderated (Smyth 2004, "Linear
models and empirical Bayes methods for assessing differential expression", eq. 1 and section 6.2): variances compatible
with a common value are pooled, and variances that clearly differ stay nearly unchanged. A variance is never reduced
below its observed value, which limits false positives if one architecture is far less stable than the others. Bounded
scores vary less near their bounds, so the moderated quantity is the variance divided by p(1 - p), where p is the
position of the score between its bounds.

Intervals are percentiles of the draws. The p-value of a pair is twice the smaller fraction of draws of the difference
on either side of zero; Holm's step-down procedure limits the probability of any false positive over all pairs to 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import optimize, special
from scipy import stats as distributions

from sightline.core.metrics import Metric
from sightline.lab.results import Estimate, Pair

LEVEL = 0.95
RESAMPLES = 10_000
FEW_RESAMPLES = 2000  # of a metric that is slow to compute
MEAN = Metric("mean", "mean")


class Comparison(NamedTuple):
    """Scores of all architectures, best first, and all pairwise differences (better minus worse)."""

    scores: dict[str, Estimate]
    pairs: list[Pair]


def moderated_variances(variances: np.ndarray, freedoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances between seeds, shrunk towards their common value, and their degrees of freedom.

    `variances` (A,) with `freedoms` (A,) = seeds - 1. With 0 degrees of freedom the moderated variance is the common
    value. If all have 0 degrees of freedom the variances are unknown: NaN, with 0 degrees of freedom.
    """
    variances, freedoms = np.asarray(variances, float), np.asarray(freedoms, float)
    known = freedoms > 0
    total = freedoms.sum()
    if total == 0:
        return np.full(len(variances), np.nan), np.zeros(len(variances))
    pooled = float((variances[known] * freedoms[known]).sum() / total)
    if known.sum() < 2 or pooled == 0.0:
        own = np.where(known, variances, pooled)
        return own, np.where(known, freedoms, total)
    v, d = np.maximum(variances[known], 1e-6 * pooled), freedoms[known]
    e = np.log(v) - special.digamma(d / 2) + np.log(d / 2)
    excess = float(e.var(ddof=1) - special.polygamma(1, d / 2).mean())
    if excess <= 0:
        return np.maximum(pooled, np.where(known, variances, 0.0)), np.full(len(variances), total)
    half: float = optimize.brentq(lambda x: float(special.polygamma(1, x)) - excess, 1e-4, 1e8)  # pyrefly: ignore
    prior_freedom = min(2 * half, total)
    prior = float(np.exp(e.mean() + special.digamma(half) - np.log(half)))
    own = np.where(known, variances, 0.0)
    moderated = (prior_freedom * prior + freedoms * own) / (prior_freedom + freedoms)
    return np.maximum(moderated, own), np.minimum(prior_freedom + freedoms, total)


def _spread_of_means(
    values: Mapping[str, Sequence[float] | np.ndarray], limits: tuple[float, float], items: int = 1000
) -> dict[str, tuple[float, float]]:
    """Standard error of each architecture's mean over its seeds, and its degrees of freedom (0: unknown)."""
    low, high = limits
    counts = np.array([len(seeds) for seeds in values.values()])
    spread = np.array([np.var(seeds, ddof=1) if len(seeds) > 1 else 0.0 for seeds in values.values()])
    if np.isfinite(high - low):  # keep half an item distance from the limits, where p(1 - p) is 0
        position = np.array([(np.mean(seeds) - low) / (high - low) for seeds in values.values()])
        position = (position * items + 0.5) / (items + 1)
        scale = position * (1 - position)
    else:
        scale = np.ones(len(counts))
    variances, freedoms = moderated_variances(spread / scale, counts - 1)
    errors = np.sqrt(variances * scale / counts)
    return {name: (float(e), float(f)) for name, e, f in zip(values, errors, freedoms, strict=True)}


def seed_intervals(
    values: Mapping[str, Sequence[float]], limits: tuple[float, float] = (-np.inf, np.inf)
) -> dict[str, Estimate]:
    """Mean and t interval over the seeds of each architecture, with variances moderated across architectures.

    If all architectures have one seed, low and high are None. Architectures without values are omitted.
    """
    values = {name: seeds for name, seeds in values.items() if len(seeds)}
    intervals = {}
    for name, (error, freedom) in _spread_of_means(values, limits).items():
        mean = float(np.mean(values[name]))
        half = distributions.t.ppf((1 + LEVEL) / 2, freedom) * error if freedom else np.nan
        intervals[name] = _estimate(mean, np.clip(np.array([mean - half, mean + half]), *limits))
    return intervals


def compare_items(
    items: Mapping[str, np.ndarray], metric: Metric = MEAN, *, resamples: int | None = None, seed: int = 0
) -> Comparison:
    """Scores and paired differences of architectures that were tested on the same items.

    `items[name]` is (seeds, N), one number per seed and item whose mean is the score; or (seeds, N, K), rows of which
    `metric.value` is the score. N must be the same for all; the number of seeds may differ. A pair names the better
    architecture first. Interval bounds are clipped to the metric's limits.

    With one seed each, intervals and p-values only cover the variation of the test items. Resamples in which the metric
    is undefined are left out, such as the AUROC of a resample in which all labels are the same.

    Raises:
        ValueError: "architectures were tested on different numbers of items: [90, 100]".
    """
    stacked = {name: np.asarray(x, float) for name, x in items.items() if len(x)}
    stacked = {n: np.stack([x, np.ones_like(x)], -1) if x.ndim == 2 else x for n, x in stacked.items()}
    if len(counts := {x.shape[1] for x in stacked.values()}) > 1:
        raise ValueError(f"architectures were tested on different numbers of items: {sorted(counts)}")
    if not stacked:
        return Comparison({}, [])
    resamples = resamples or (FEW_RESAMPLES if metric.costly else RESAMPLES)
    limits = metric.limits
    with np.errstate(divide="ignore", invalid="ignore"):
        per_seed = {name: metric.value(x) for name, x in stacked.items()}
        draws = _draws(stacked, per_seed, metric, resamples, np.random.default_rng(seed))
    means = {name: float(values.mean()) for name, values in per_seed.items()}
    order = sorted(means, key=lambda name: -means[name] if metric.higher_is_better else means[name])
    tails = (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)

    def interval(mean: float, values: np.ndarray, low: float, high: float) -> Estimate:
        values = values[~np.isnan(values)]
        return _estimate(mean, np.clip(np.percentile(values, tails), low, high) if len(values) else (np.nan, np.nan))

    span = limits[1] - limits[0]
    differences = []
    for first, second in combinations(order, 2):
        delta = draws[first] - draws[second]
        smaller = min(int((delta <= 0).sum()), int((delta >= 0).sum()))
        p = min(1.0, 2 * (smaller + 1) / (int((~np.isnan(delta)).sum()) + 1))
        differences.append((first, second, interval(means[first] - means[second], delta, -span, span), p))
    adjusted = holm([p for *_, p in differences])
    pairs = [Pair(*d, q, shown=q <= 1 - LEVEL) for d, q in zip(differences, adjusted, strict=True)]
    return Comparison({name: interval(means[name], draws[name], *limits) for name in order}, pairs)


def _estimate(mean: float, ends: Iterable[float]) -> Estimate:
    """The mean with the ends of its interval, None where they are NaN."""
    return Estimate(mean, *(None if np.isnan(end) else float(end) for end in ends))


def _draws(
    items: Mapping[str, np.ndarray],
    per_seed: Mapping[str, np.ndarray],
    metric: Metric,
    resamples: int,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draws (R,) of every architecture's score: the same resampled items for all, and a t draw for the seeds."""
    count = next(iter(items.values())).shape[1]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in items}
    for start in range(0, resamples, 500):  # in chunks: all weights at once would need much memory
        weights = generator.multinomial(count, np.full(count, 1 / count), size=min(500, resamples - start))
        for name, x in items.items():
            parts[name].append(metric.value(x, weights.astype(float)).mean(0))
    draws = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    for name, (error, freedom) in _spread_of_means(per_seed, metric.limits, count).items():
        if freedom:
            draws[name] = draws[name] + error * generator.standard_t(freedom, resamples)
    return draws


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Holm 1979): reject where adjusted <= level, over all hypotheses at once."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted

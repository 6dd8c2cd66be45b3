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

How differently trainings answer the same items is part of both spreads, and is taken out of that of the items.

Items are resampled by the Bayesian bootstrap (Rubin 1981). Where a score has limits, every draw towards a limit
contains one item more, at that limit: an item that the test set could have had and does not. So an interval has a width
even where every item is right, and every resample the same. This is the bound of Gaffke (2005, "Three test statistics
for a nonparametric one-sided hypothesis on the mean of a nonnegative variable"; Learned-Miller and Thomas 2019, "A new
confidence interval for the mean of a bounded random variable"); for one training and items that are right or wrong it
is the interval of Clopper and Pearson (1934). It is made for means of items; for other bounded scores, such as BLEU and
F1, the limit has the same weight.

Intervals are percentiles of the draws. The p-value of a difference is twice the smaller fraction of draws on either
side of zero. Two architectures are practically the same where the interval lies within the margin: the p-value is twice
the larger fraction of draws beyond either end of the margin (two one-sided tests, Schuirmann 1987, each at 2.5 %, so
that they agree with the 95 % interval). Holm's step-down procedure limits the probability of any false difference over
all pairs to 5 %, and that of any false equivalence too. A pair that passes both tests is practically the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import optimize, special
from scipy import stats as distributions

from sightline.core.metrics import Metric
from sightline.lab.draws import Draws, draw, estimate_of, towards
from sightline.lab.effects import hedges_g, superiority
from sightline.lab.results import Decision, Estimate, Pair
from sightline.lab.sequential import Look

LEVEL = 0.95
RESAMPLES = 10_000  # at least
FEW_RESAMPLES = 2000  # at least, of a metric that is slow to compute
MEAN = Metric("mean", "mean")


class Sample(NamedTuple):
    """The scores of every architecture's trainings (S,), and draws of their means over the same resampled items."""

    per_seed: dict[str, np.ndarray]
    draws: Draws

    @property
    def counts(self) -> dict[str, int]:
        """The number of trainings of each."""
        return {name: len(values) for name, values in self.per_seed.items()}


class Comparison(NamedTuple):
    """Scores of all architectures, best first, and all pairwise differences (better minus worse).

    margin: the margin of practical equivalence, None where the best score is undefined
    """

    scores: dict[str, Estimate]
    pairs: list[Pair]
    margin: float | None = None


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


def spread_of_means(
    values: Mapping[str, Sequence[float] | np.ndarray], limits: tuple[float, float], items: int = 1000
) -> dict[str, tuple[float, float]]:
    """Standard error of each architecture's mean over its seeds, and its degrees of freedom (0: unknown).

    items: as many as were tested, which bounds how near to a limit a mean can be
    """
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
    values: Mapping[str, Sequence[float]],
    limits: tuple[float, float] = (-np.inf, np.inf),
    items: int | None = None,
) -> dict[str, Estimate]:
    """Mean and t interval over the seeds of each architecture, with variances moderated across architectures.

    If all architectures have one seed, low and high are None. Architectures without values are omitted. Where all seeds
    agree, their spread says nothing: the interval is then that of one more of the `items`
    tested items at each of the limits, as in `compare_items`.
    """
    values = {name: seeds for name, seeds in values.items() if len(seeds)}
    share = 1 - ((1 - LEVEL) / 2) ** (1 / items) if items else 0.0
    intervals = {}
    for name, (error, freedom) in spread_of_means(values, limits).items():
        mean = float(np.mean(values[name]))
        half = distributions.t.ppf((1 + LEVEL) / 2, freedom) * error if freedom else np.nan
        ends = np.clip(np.array([mean - half, mean + half]), *limits)
        if half == 0.0:
            ends = np.array([towards(mean, limit, share) for limit in limits])
        intervals[name] = estimate_of(mean, ends)
    return intervals


def sample(
    items: Mapping[str, np.ndarray], metric: Metric = MEAN, *, resamples: int | None = None, seed: int = 0
) -> Sample:
    """Draws of the scores of architectures that were tested on the same items; arguments as of `compare_items`.

    Raises:
        ValueError: "architectures were tested on different numbers of items: [90, 100]"; no architecture.
    """
    stacked = {name: np.asarray(x, float) for name, x in items.items() if len(x)}
    stacked = {n: np.stack([x, np.ones_like(x)], -1) if x.ndim == 2 else x for n, x in stacked.items()}
    if len(counts := {x.shape[1] for x in stacked.values()}) != 1:
        raise ValueError(f"architectures were tested on different numbers of items: {sorted(counts)}")
    resamples = resamples or (FEW_RESAMPLES if metric.costly else RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_seed = {name: metric.value(x) for name, x in stacked.items()}
        spreads = spread_of_means(per_seed, metric.limits, next(iter(counts)))
        return Sample(per_seed, draw(stacked, spreads, metric, resamples, np.random.default_rng(seed)))


def compare_items(
    items: Mapping[str, np.ndarray],
    metric: Metric = MEAN,
    *,
    margin: float | None = None,
    look: Look | None = None,
    resamples: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Scores and paired differences of architectures that were tested on the same items.

    `items[name]` is (seeds, N), one number per seed and item whose mean is the score; or (seeds, N, K), rows of which
    `metric.value` is the score. N must be the same for all; the number of seeds may differ. A pair names the better
    architecture first. Interval bounds are clipped to the metric's limits.

    `margin`: of practical equivalence, in the metric's own unit; by default the metric's.
    `look`: this look among planned ones at growing numbers of seeds; p-values and intervals are then right for all.

    With one seed each, intervals and p-values only cover the variation of the test items, and no pair is decided.
    Neither is a pair of which one has a single seed: its spread is that of the others.
    Resamples in which the metric is undefined are left out.

    Raises:
        ValueError: "architectures were tested on different numbers of items: [90, 100]".
    """
    if not any(len(x) for x in items.values()):
        return Comparison({}, [])
    resamples = resamples or resamples_for(metric, math.comb(sum(len(x) > 0 for x in items.values()), 2), look)
    per_seed, draws = sampled = sample(items, metric, resamples=resamples, seed=seed)
    means = {name: float(values.mean()) for name, values in per_seed.items()}
    order = sorted(means, key=lambda name: -means[name] if metric.higher_is_better else means[name])
    if margin is None:
        margin = metric.margin_at(means[order[0]])
    level = 1 - LEVEL if look is None else look.level(1 - LEVEL)
    scores = {name: draws.score(name, metric.limits).estimate(means[name], level) for name in order}
    pairs = []
    for a, b in combinations(order, 2):
        delta = draws.difference(a, b, metric.limits)
        sign = 1 if metric.higher_is_better else -1
        pairs.append(
            Pair(
                first=a,
                second=b,
                difference=delta.estimate(means[a] - means[b], level),
                p=_at(look, delta.p_zero()),
                p_holm=1.0,
                shown=False,
                p_same=_at(look, delta.p_beyond(margin)),
                item_error=draws.item_error(a, b),
                seed_spread=draws.seed_spread(a, b, sampled.counts),
                hedges_g=hedges_g(per_seed[a], per_seed[b]),
                superiority=superiority(sign * per_seed[a], sign * per_seed[b]),
            )
        )
    return Comparison(scores, decided(pairs), margin if np.isfinite(margin) else None)


def resamples_for(metric: Metric, pairs: int, look: Look | None = None) -> int:
    """The number of resamples: so many that the smallest possible p-value, 2 / (n + 1), shows a difference.

    Corrected for all pairs and for the looks it is at most half of what Holm's first step allows.
    """
    total = (1 - LEVEL) / max(pairs, 1)
    level = total if look is None else look.level(total)
    return max(FEW_RESAMPLES if metric.costly else RESAMPLES, math.ceil(4 / level))


def _at(look: Look | None, p: float) -> float:
    return p if look is None else look.adjusted(p)


def decided(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with both p-values corrected for their number, and with their outcomes.

    A pair is not decided where one seed leaves the spread between seeds unknown.
    """
    corrected = []
    unequal, same = holm([pair.p for pair in pairs]), holm([1.0 if p.p_same is None else p.p_same for p in pairs])
    for pair, q, q_same in zip(pairs, unequal, same, strict=True):
        shown = q <= 1 - LEVEL
        outcome: Decision = "not decided"
        if pair.seed_spread is not None:
            outcome = "practically the same" if q_same <= 1 - LEVEL else "better" if shown else "not decided"
        corrected.append(replace(pair, p_holm=q, p_same=q_same, shown=shown, outcome=outcome))
    return corrected


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Holm 1979): reject where adjusted <= level, over all hypotheses at once."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted

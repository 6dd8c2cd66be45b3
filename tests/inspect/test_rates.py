"""Thresholds, rates and the estimated share of faithful items equal their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sightline.inspect.faithfulness_results import CallRate
from sightline.inspect.rates import best_threshold, calls_faithful, expanded, faithful_share, mean_interval, rate_of


def test_a_rate_has_the_interval_of_clopper_and_pearson():
    rate = rate_of("hit", [1.0] * 18 + [0.0] * 2)
    exact = stats.binomtest(18, 20).proportion_ci(0.95, "exact")
    assert (rate.share, rate.n) == (0.9, 20)
    assert rate.low == pytest.approx(exact.low)
    assert rate.high == pytest.approx(exact.high)
    assert rate_of("hit", []) == CallRate("hit")
    assert (rate_of("hit", [1.0] * 5).high, rate_of("hit", [0.0] * 5).low) == (1.0, 0.0)


def test_the_threshold_is_the_best_one_by_trying_all():
    random = np.random.default_rng(0)
    right, wrong = random.normal(1.0, 1.0, 40), random.normal(0.0, 1.0, 60)

    def gain(threshold: float) -> float:
        return float((right >= threshold).mean() - (wrong >= threshold).mean())

    threshold = best_threshold(list(right), list(wrong))
    assert threshold is not None
    assert gain(threshold) == pytest.approx(max(gain(tried) for tried in (*right, *wrong)))
    low = best_threshold(list(-right), list(-wrong), "low")
    assert low is not None
    assert gain(-low) == pytest.approx(gain(threshold))


def test_without_scores_of_both_kinds_there_is_no_threshold_and_no_score_is_no_word():
    assert best_threshold([1.0, float("nan")], [float("nan")]) is None
    assert best_threshold([], [1.0]) is None
    assert not calls_faithful(float("nan"), -1.0, "high")
    assert not calls_faithful(float("nan"), 1.0, "low")
    assert calls_faithful(1.0, 1.0, "high")


@pytest.mark.slow
@pytest.mark.parametrize(("n", "least"), [(5, 0.87), (10, 0.91)])
def test_an_interval_of_few_items_has_the_mean_as_often_as_it_says(n: int, least: float) -> None:
    """Plain percentiles have it in 84 % of samples of five, and in 89 % of samples of ten."""
    random, draws = np.random.default_rng(1), 300
    inside = 0
    for _ in range(draws):
        interval = mean_interval(random.normal(size=n))
        assert interval.low is not None
        assert interval.high is not None
        inside += interval.low <= 0.0 <= interval.high
    assert least <= inside / draws <= 0.98


def test_the_interval_of_very_many_items_is_that_of_plain_percentiles() -> None:
    assert expanded(10**6) == pytest.approx(0.95, abs=1e-5)
    values = np.random.default_rng(0).exponential(size=400)
    plain = stats.bootstrap(
        (values,), np.mean, confidence_level=0.95, method="percentile", vectorized=True, rng=np.random.default_rng(1)
    ).confidence_interval
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx((plain.low, plain.high), rel=0.03)


@pytest.mark.parametrize("truth", [0.0, 0.3, 1.0])
def test_the_share_of_faithful_items_is_recovered(truth: float) -> None:
    """A test of these rates, on items of which a known share is faithful (Rogan & Gladen 1978)."""
    hit, false_alarm, n = 0.9, 0.2, 20_000
    rates = rate_of("hit", [1.0] * 900 + [0.0] * 100), rate_of("false alarm", [1.0] * 200 + [0.0] * 800)
    passed = truth * hit + (1 - truth) * false_alarm
    found = faithful_share(passed, n, *rates)
    assert found is not None
    assert found.share == pytest.approx(truth, abs=1e-9)
    assert found.low - 1e-9 <= truth <= found.high + 1e-9
    few = faithful_share(passed, 20, *rates)
    assert few is not None
    assert few.high - few.low > found.high - found.low
    assert faithful_share(0.5, 10, CallRate("hit"), rates[1]) is None


def test_the_mean_leaves_out_items_without_a_score():
    found = mean_interval([1.0, 3.0, float("nan")] * 30)
    assert (found.mean, found.n) == (2.0, 60)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 2.0 < found.high
    assert mean_interval([float("nan")]) == (None, None, None, 0)
    assert mean_interval([2.0]) == (2.0, None, None, 1)

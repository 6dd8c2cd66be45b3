"""What a longer training is expected to reach: scales of metrics, limits, and the pace of two trainings."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.metrics import METRICS, find_metric
from sightline.lab.longer_training import EDGE, LEVEL, RULE, expected, scaled, unscaled

ACCURACY, BITS, BLEU, SMAPE = map(find_metric, ("accuracy", "bits_per_byte", "bleu", "smape"))
MANY = 10**15  # items: no noise of theirs
QUANTILE = 1.2815515655446004  # of the standard normal distribution at 0.9
ON_A_SCALE = [metric for metric in METRICS.values() if metric.decides]


def test_the_interval_of_an_accuracy_written_out():
    """60 % after 10 s, 75 % after 90 s: log odds .405 and 1.099, so the pace to 270 s is half of their difference."""
    pace = (math.log(3) - math.log(1.5)) / 2
    deviation = math.sqrt(RULE.share_floor**2 + (RULE.spread * pace) ** 2)
    odds = [math.log(0.8 / 0.2) + RULE.kept * pace + side * QUANTILE * deviation for side in (-1, 1)]
    interval = expected(ACCURACY, 0.6, 0.75, 0.8, ratio=9, times=3, items=MANY)
    assert LEVEL == 0.8
    assert interval == pytest.approx([1 / (1 + math.exp(-place)) for place in odds])


def test_the_interval_of_an_error_written_out():
    """From 4 to 2 bits per byte in a tripling: the pace is ln 2, the next tripling multiplies by exp(−kept · ln 2)."""
    pace = math.log(2)
    deviation = math.sqrt(RULE.error_floor**2 + (RULE.spread * pace) ** 2)
    interval = expected(BITS, 4.0, 2.0, 2.2, ratio=3, times=3, items=MANY)
    assert interval == pytest.approx(
        [2.2 * math.exp(-RULE.kept * pace + side * QUANTILE * deviation) for side in (-1, 1)]
    )


@pytest.mark.parametrize("metric", ON_A_SCALE, ids=lambda metric: metric.name)
@given(share=st.floats(EDGE, 1 - EDGE))
def test_the_scale_and_back(metric, share):
    low, high = metric.limits
    value = low + share * (high - low) if math.isfinite(high) else low + share / (1 - share)
    assert unscaled(metric, scaled(metric, value)) == pytest.approx(value, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("metric", ON_A_SCALE, ids=lambda metric: metric.name)
def test_better_values_are_higher_on_the_scale(metric):
    low, high = metric.limits
    values = [low + share * (high - low if math.isfinite(high) else 1) for share in (0.2, 0.4, 0.8)]
    places = [scaled(metric, value) for value in values]
    assert places == sorted(places, reverse=not metric.higher_is_better)


@given(
    metric=st.sampled_from([ACCURACY, BLEU, SMAPE, BITS]),
    values=st.tuples(*3 * [st.floats(0, 1)]),
    ratio=st.floats(1.5, 100),
)
def test_the_interval_is_within_the_limits(metric, values, ratio):
    low, high = metric.limits
    shorter, longer, now = (value * (high if math.isfinite(high) else 5.0) for value in values)
    interval = expected(metric, shorter, longer, now, ratio=ratio, times=3, items=MANY)
    if interval is None:
        assert metric is BITS
        assert 0.0 in (shorter, longer, now)
    else:
        assert low <= interval.low < interval.high <= high


def test_a_training_that_gained_nothing_is_expected_to_stay():
    interval = expected(ACCURACY, 0.75, 0.75, 0.75, ratio=3, times=3, items=MANY)
    assert interval is not None
    assert interval.low < 0.75 < interval.high


def test_few_items_widen_the_interval_of_a_share():
    """No gain, 80 of 100 items are right: the log odds have the variance floor² + 1 / (100 · .8 · .2)."""
    interval = expected(ACCURACY, 0.8, 0.8, 0.8, ratio=3, times=3, items=100)
    beside = QUANTILE * math.sqrt(RULE.share_floor**2 + 1 / 16)
    assert interval == pytest.approx([1 / (1 + math.exp(-math.log(4) - side * beside)) for side in (-1, 1)])
    assert expected(BITS, 2.0, 1.9, 1.9, ratio=3, times=3, items=5) == expected(
        BITS, 2.0, 1.9, 1.9, ratio=3, times=3, items=MANY
    )


def test_all_right_is_half_an_item_from_the_limit():
    interval = expected(ACCURACY, 1.0, 1.0, 1.0, ratio=3, times=3, items=50)
    assert interval is not None
    assert 0.98 < interval.low < 1.0


def test_more_pace_more_gain_and_more_doubt():
    slow, fast = (RULE.gain(pace, share=True) for pace in (0.1, 1.0))
    assert slow.mean < fast.mean
    assert slow.deviation < fast.deviation


@pytest.mark.parametrize(
    ("metric", "shorter", "longer", "now", "ratio"),
    [
        (ACCURACY, None, 0.5, 0.5, 3),
        (ACCURACY, 0.4, math.nan, 0.5, 3),
        (ACCURACY, 0.4, 0.5, 0.5, 1.2),  # nearly the same length
        (BITS, 2.0, 0.0, 1.0, 3),  # no logarithm
        (find_metric("coverage"), 0.4, 0.5, 0.5, 3),  # does not decide
        (find_metric("my_metric"), 0.4, 0.5, 0.5, 3),  # no limits are known
    ],
)
def test_no_interval(metric, shorter, longer, now, ratio):
    assert expected(metric, shorter, longer, now, ratio=ratio, times=3, items=MANY) is None


def test_no_interval_without_items():
    assert expected(ACCURACY, 0.4, 0.5, 0.5, ratio=3, times=3, items=0) is None


def test_no_interval_of_a_training_that_diverged():
    """A perplexity of e^500 after one of 5: three times the budget would go beyond the numbers of a float."""
    perplexity = find_metric("perplexity")
    assert expected(perplexity, 5.0, 1e217, 1e217, ratio=1.5, times=30, items=MANY) is None
    assert unscaled(perplexity, -1e4) == math.inf
    assert unscaled(ACCURACY, -1e4) == 0.0


def test_times_must_be_more():
    with pytest.raises(ValueError, match=r"^times must be more than 1, got 1$"):
        expected(ACCURACY, 0.4, 0.5, 0.5, ratio=3, times=1, items=MANY)

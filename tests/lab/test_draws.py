"""Intervals at the limits of a score: Clopper and Pearson's, coverage, and pairs that never differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from sightline.core.metrics import Metric
from sightline.lab.stats import compare_items, seed_intervals

SHARE = Metric("share", "share", limits=(0.0, 1.0), relative_margin=False)


@pytest.mark.parametrize(("right", "of"), [(50, 50), (49, 50), (0, 50), (30, 50), (1000, 1000)])
def test_the_interval_of_right_and_wrong_items_is_clopper_and_pearsons(right: int, of: int) -> None:
    items = np.zeros((1, of))
    items[0, :right] = 1
    expected = distributions.binomtest(right, of).proportion_ci(0.95, "exact")
    actual = compare_items({"gru": items}, SHARE).scores["gru"]
    assert (actual.low, actual.high) == pytest.approx((expected.low, expected.high), abs=0.006 if of < 100 else 3e-4)


def test_all_right_with_every_seed_is_not_certain() -> None:
    items = np.ones((3, 200))
    estimate = compare_items({"gru": items}, SHARE).scores["gru"]
    assert estimate.high == 1.0
    assert estimate.low == pytest.approx(0.025 ** (1 / 200), abs=1e-3)
    other = seed_intervals({"gru": [1.0, 1.0, 1.0]}, SHARE.limits, 200)["gru"]
    assert (other.low, other.high) == pytest.approx((0.025 ** (1 / 200), 1.0))
    assert seed_intervals({"gru": [0.0, 0.0]}, SHARE.limits, 200)["gru"].high == pytest.approx(1 - 0.025 ** (1 / 200))


@pytest.mark.parametrize("chance", [0.995, 0.97])
def test_the_interval_near_a_limit_contains_the_truth_as_often_as_it_says(chance: float) -> None:
    generator = np.random.default_rng(8)
    contained = 0
    for _ in range(300):  # easy and hard items, two trainings that share them
        hard = generator.random(100) < 2 * (1 - chance)
        right = np.where(hard, generator.random((2, 100)) < 0.5, True).astype(float)
        estimate = compare_items({"gru": right}, SHARE, resamples=400).scores["gru"]
        contained += estimate.low <= chance <= estimate.high
    # 95 % gives fewer than 275 of 300 with probability 0.007; the percentiles of the resamples alone give about 170.
    assert contained >= 275


def test_what_varies_between_trainings_and_items_at_once_is_counted_once() -> None:
    generator, seeds, items = np.random.default_rng(9), 8, 2000
    guesses = {name: (generator.random((seeds, items)) < 0.5).astype(float) for name in "ab"}
    (guessed,) = compare_items(guesses, SHARE, resamples=2000).pairs
    both = (2 * 0.25 / (seeds * items)) ** 0.5  # the true standard error, all of which the seeds' spread has
    assert guessed.item_error < 0.4 * both
    assert guessed.seed_spread / seeds**0.5 == pytest.approx(both, rel=0.5)
    fixed = {name: np.repeat(right[:1], seeds, 0) for name, right in guesses.items()}  # only items vary
    (certain,) = compare_items(fixed, SHARE, resamples=2000).pairs
    assert certain.item_error == pytest.approx((2 * 0.25 / items) ** 0.5, rel=0.1)
    assert certain.seed_spread == 0.0


def test_two_that_are_always_right_are_the_same_only_where_there_are_enough_items() -> None:
    few, many = (compare_items({"a": np.ones((3, n)), "b": np.ones((3, n))}, SHARE).pairs[0] for n in (100, 1000))
    assert (few.outcome, many.outcome) == ("not decided", "practically the same")
    for pair, n in ((few, 100), (many, 1000)):
        limit = 1 - 0.025 ** (1 / n)
        assert (pair.difference.low, pair.difference.high) == pytest.approx((-limit, limit), rel=0.1)
        assert pair.p == 1.0

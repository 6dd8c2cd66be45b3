"""Facts about the statistics: known values, other libraries' intervals, coverage and false alarms on simulated data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as distributions

from sightline.core.metrics import Metric
from sightline.lab.sequential import Look
from sightline.lab.stats import compare_items, holm, moderated_variances, seed_intervals

SHARE = Metric("share", "share", limits=(0.0, 1.0))


def simulate(
    generator: np.random.Generator, seeds: int, items: int, accuracy: list[float], spread: list[float]
) -> dict[str, np.ndarray]:
    """Right or wrong (seeds, items) of several architectures; items differ in difficulty, seeds in ability."""
    difficulty = generator.normal(0, 1.5, items)
    answers = {}
    for index, (level, deviation) in enumerate(zip(accuracy, spread, strict=True)):
        ability = np.log(level / (1 - level)) + generator.normal(0, deviation, (seeds, 1))
        right = generator.random((seeds, items)) < 1 / (1 + np.exp(-(ability + difficulty)))
        answers[f"arch{index}"] = right.astype(float)
    return answers


def test_holm_is_the_published_step_down_procedure() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_the_interval_of_one_architecture_is_students() -> None:
    values = [0.91, 0.94, 0.90, 0.95]
    expected = distributions.ttest_1samp(values, 0).confidence_interval(0.95)
    actual = seed_intervals({"gru": values})["gru"]
    assert (actual.low, actual.high) == pytest.approx((expected.low, expected.high))


def test_one_seed_leaves_the_spread_unknown() -> None:
    result = seed_intervals({"gru": [0.5], "lstm": [0.7]})["gru"]
    assert result.mean == 0.5
    assert (result.low, result.high) == (None, None)


def test_interval_ends_stay_within_the_metrics_limits() -> None:
    result = seed_intervals({"gru": [0.99, 1.0]}, limits=(0.0, 1.0))["gru"]
    assert result.high == 1.0
    assert result.low > 0.9


def test_compatible_variances_are_pooled() -> None:
    variances, freedoms = moderated_variances(np.array([1.0, 1.1, 0.9]), np.array([2, 2, 2]))
    assert freedoms.tolist() == [6, 6, 6]
    assert variances == pytest.approx([1.0, 1.1, 1.0])  # none is made smaller than it was seen


def test_a_wild_architecture_keeps_its_own_variance_and_few_degrees_of_freedom() -> None:
    variances, freedoms = moderated_variances(np.array([1e-4, 1e-4, 1e-4, 1.0]), np.array([3, 3, 3, 3]))
    assert variances[3] >= 1.0
    assert variances[0] < 0.01
    assert freedoms[3] < 6


def test_an_architecture_with_one_seed_borrows_the_common_variance() -> None:
    variances, freedoms = moderated_variances(np.array([1.0, 0.0]), np.array([2, 0]))
    assert variances[1] == 1.0
    assert freedoms[1] == 2


def test_over_items_alone_it_agrees_with_scipys_bootstrap() -> None:
    generator = np.random.default_rng(1)
    values = generator.random((1, 400))
    expected = distributions.bootstrap(
        (values[0],), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    actual = compare_items({"gru": values}, resamples=4000).scores["gru"]
    assert actual.mean == pytest.approx(values.mean())
    assert actual.low == pytest.approx(expected.low, abs=0.004)
    assert actual.high == pytest.approx(expected.high, abs=0.004)


def test_pairing_on_the_same_items_shows_what_separate_samples_would_hide() -> None:
    generator = np.random.default_rng(3)
    weaker = (generator.random(500) < 0.5).astype(float)
    stronger = weaker.copy()
    stronger[np.flatnonzero(weaker == 0)[:15]] = 1.0  # 15 items more of 500, none less
    comparison = compare_items({"weaker": weaker[None], "stronger": stronger[None]}, resamples=2000)
    (pair,) = comparison.pairs
    assert (pair.first, pair.second) == ("stronger", "weaker")
    assert pair.difference.mean == pytest.approx(0.03)
    assert pair.difference.low > 0
    apart = comparison.scores
    assert apart["stronger"].low < apart["weaker"].high


def test_statistics_that_are_not_means_are_scored_from_their_sums() -> None:
    generator = np.random.default_rng(4)
    parts = generator.integers(1, 9, (2, 50, 2)).astype(float)  # matches, totals
    comparison = compare_items({"a": parts}, Metric("precision", "precision"), resamples=500)
    expected = (parts[..., 0].sum(1) / parts[..., 1].sum(1)).mean()
    assert comparison.scores["a"].mean == pytest.approx(expected)


def test_where_smaller_is_better_it_is_the_mirror_image() -> None:
    generator = np.random.default_rng(4)
    errors = {"a": generator.random((3, 50)), "b": generator.random((3, 50)) + 0.2}
    result = compare_items(errors, Metric("error", "error", higher_is_better=False))
    turned = compare_items({name: -values for name, values in errors.items()})
    assert list(result.scores) == list(turned.scores) == ["a", "b"]
    (pair,), (mirrored,) = result.pairs, turned.pairs
    assert (pair.first, pair.shown) == (mirrored.first, mirrored.shown) == ("a", True)
    assert pair.difference.mean == pytest.approx(-mirrored.difference.mean)
    low, high = pair.difference.low, pair.difference.high
    assert (low, high) == pytest.approx((-mirrored.difference.high, -mirrored.difference.low), abs=0.02)  # other draws
    assert low < high < 0


def right(shares: Sequence[float], seeds: int = 3) -> dict[str, np.ndarray]:
    """Answers to 300 items by architectures that give so many right ones."""
    generator = np.random.default_rng(0)
    return {f"a{place}": (generator.random((seeds, 300)) < share).astype(float) for place, share in enumerate(shares)}


@pytest.mark.parametrize("count", [5, 8, 12])
@pytest.mark.parametrize("costly", [False, True])
@pytest.mark.parametrize("look", [None, Look(3, 3, 10)], ids=["one look", "first of eight"])
def test_large_differences_are_shown_however_many_pairs_there_are(count: int, costly: bool, look: Look | None) -> None:
    """The smallest p-value that resamples can give is below the level of all pairs and looks."""
    extreme = right([0.02, *[0.98] * (count - 1)])
    metric = Metric("share", "share", limits=(0.0, 1.0), costly=costly)
    pairs = [pair for pair in compare_items(extreme, metric, look=look).pairs if pair.second == "a0"]
    assert {pair.outcome for pair in pairs} == {"better"}
    assert len(pairs) == count - 1


def test_a_single_run_decides_no_pair_of_its_own_and_those_of_no_others() -> None:
    answers = right([0.95, 0.6, 0.2])
    pairs = compare_items(answers | {"a2": answers["a2"][:1]}, SHARE).pairs
    assert {(pair.first, pair.second): pair.outcome for pair in pairs} == {
        ("a0", "a1"): "better", ("a0", "a2"): "not decided", ("a1", "a2"): "not decided",
    }  # fmt: skip


def test_different_test_items_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different numbers of items: \[3, 4\]"):
        compare_items({"a": np.ones((1, 3)), "b": np.ones((1, 4))})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "spread"),
    [(2, [0.0] * 4), (2, [0.4] * 4), (2, [0.05, 0.05, 0.05, 0.8]), (3, [0.02, 0.1, 0.3, 0.8])],
    ids=["no spread", "2 seeds", "2 seeds, one wild", "3 seeds, all unlike"],
)
def test_equal_architectures_seldom_differ(seeds: int, spread: list[float]) -> None:
    generator = np.random.default_rng(5)
    repetitions, alarms, covered, pairs = 100, 0, 0, 0
    for _ in range(repetitions):
        answers = simulate(generator, seeds, 200, [0.8] * 4, spread)
        comparison = compare_items(answers, SHARE, resamples=500)
        alarms += any(pair.shown for pair in comparison.pairs)
        covered += sum(pair.difference.low <= 0 <= pair.difference.high for pair in comparison.pairs)
        pairs += len(comparison.pairs)
    # A family-wise rate of 5 % gives more than 12 of 100 with probability 0.002.
    assert alarms <= 12
    assert covered / pairs >= 0.92


def test_plain_gaps_are_shown_with_two_seeds() -> None:
    generator = np.random.default_rng(6)
    result = 0
    for _ in range(20):
        answers = simulate(generator, 2, 500, [0.99, 0.93, 0.2], [0.1, 0.1, 0.1])
        comparison = compare_items(answers, SHARE, resamples=1000)
        shown = {(pair.first, pair.second): pair.shown for pair in comparison.pairs}
        assert shown["arch0", "arch2"]
        result += shown["arch0", "arch1"]
    assert result >= 14


def test_the_same_seed_gives_the_same_comparison() -> None:
    answers = simulate(np.random.default_rng(7), 2, 100, [0.8, 0.7], [0.1, 0.1])
    assert compare_items(answers, resamples=300) == compare_items(answers, resamples=300)

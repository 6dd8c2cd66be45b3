"""The three outcomes of a pair: by hand, against two one-sided tests, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from sightline.core.metrics import METRICS, Metric
from sightline.lab.sequential import Look
from sightline.lab.stats import compare_items

SCORE = Metric("score", "score", relative_margin=False)  # without limits


def scores(generator: np.random.Generator, means: list[float], seeds: int, items: int = 50) -> dict[str, np.ndarray]:
    """Every item of a seed has the score of the seed: only seeds vary."""
    return {
        f"arch{i}": np.repeat(mean + generator.standard_normal((seeds, 1)), items, 1) for i, mean in enumerate(means)
    }


def test_the_outcome_is_that_of_the_interval_against_the_margin() -> None:
    generator = np.random.default_rng(0)
    same = generator.random((4, 400))
    cases = {
        "practically the same": (same, same + 0.001, 0.5),
        "better": (same, same + 0.6, 0.5),
        "not decided": (same, same + 0.001, 0.001),
    }
    for outcome, (worse, other, margin) in cases.items():
        (pair,) = compare_items({"a": worse, "b": other}, SCORE, margin=margin).pairs
        assert pair.outcome == outcome
        assert (pair.first, pair.second) == ("b", "a")
        if outcome == "practically the same":
            assert -margin < pair.difference.low
            assert pair.difference.high < margin


def test_a_difference_that_is_shown_and_smaller_than_the_margin_is_practically_none() -> None:
    generator = np.random.default_rng(1)
    base = np.repeat(generator.normal(0, 1e-3, (4, 1)), 50, 1)
    (pair,) = compare_items({"a": base, "b": base + 0.05}, SCORE, margin=0.5).pairs
    assert pair.shown
    assert pair.outcome == "practically the same"


def test_the_p_value_is_that_of_two_one_sided_t_tests() -> None:
    first = scores(np.random.default_rng(2), [0.0], 6)["arch0"]
    items = {"a": first, "b": first[::-1] + 0.3}  # the same spread
    (pair,) = compare_items(items, SCORE, margin=3.0).pairs
    a, b = (items[name][:, 0] for name in (pair.first, pair.second))
    tests = [
        distributions.ttest_ind(a - 3.0, b, alternative="less").pvalue,
        distributions.ttest_ind(a + 3.0, b, alternative="greater").pvalue,
    ]
    # The seeds of each have a t draw of their own, which is a little more careful than the t of the difference.
    assert 1.8 * max(tests) <= pair.p_same <= 3 * max(tests)


def test_one_seed_decides_nothing() -> None:
    items = {"a": np.ones((1, 500)), "b": np.zeros((1, 500))}
    (pair,) = compare_items(items, SCORE, margin=0.1).pairs
    assert pair.outcome == "not decided"


@pytest.mark.parametrize("difference", [1.0, -1.0])
def test_a_difference_as_large_as_the_margin_seldom_passes_for_none(difference: float) -> None:
    generator, wrong = np.random.default_rng(3), 0
    for _ in range(200):
        items = {name: x / 10 for name, x in scores(generator, [10 * difference, 0.0], 3, items=5).items()}
        (pair,) = compare_items(items, SCORE, margin=1.0, resamples=400).pairs
        wrong += pair.outcome == "practically the same"
    assert wrong <= 10  # each one-sided test errs in 2.5 %


def test_looks_widen_intervals_and_raise_p_values() -> None:
    items = scores(np.random.default_rng(4), [0.0, 1.5], 4)
    (alone,) = compare_items(items, SCORE, margin=9.0).pairs
    (planned,) = compare_items(items, SCORE, margin=9.0, look=Look(4, 3, 10)).pairs
    assert planned.difference.low < alone.difference.low
    assert alone.difference.high < planned.difference.high
    assert planned.p > alone.p
    assert planned.p_same > alone.p_same
    assert planned.superiority == alone.superiority


def test_every_metric_has_a_margin_that_help_and_page_describe() -> None:
    for metric in METRICS.values():
        best = 0.5
        assert metric.margin_at(best) > 0
        if metric.relative_margin:
            assert metric.margin_at(best) == pytest.approx(0.01 * best)  # 1 % of the best value
        elif metric.unit == "%":
            assert metric.margin_at(best) * metric.factor == pytest.approx(1.0)  # 1 point
        else:
            assert metric.margin_at(best) == {"bleu": 0.5, "chrf": 0.5, "auroc": 0.01}[metric.name]

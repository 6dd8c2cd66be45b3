"""Numbers of seeds against a textbook's, and what test items alone can hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as distributions

from sightline.core.metrics import find_metric
from sightline.lab.power import Spread, power_of
from sightline.lab.results import Estimate, Pair
from sightline.lab.stats import compare_items

PAIR = Pair("a", "b", Estimate(0.01, -0.02, 0.04), 0.3, 0.3, False, "not decided", 0.5, 0.002, 0.02)


@pytest.mark.parametrize(("d", "each"), [(0.5, 64), (0.8, 26), (1.2, 12)])
def test_the_numbers_are_cohens(d: float, each: int) -> None:
    # Cohen 1988, "Statistical power analysis", table 2.4.1: n for power 0.80, two-sided 5 %, two independent groups
    assert Spread(items=0.0, seeds=2**0.5).seeds_needed(d, 0.05) == each


def test_the_smallest_difference_and_the_number_of_seeds_agree() -> None:
    spread = Spread(items=0.003, seeds=0.02)
    smallest = spread.smallest(6, 0.01)
    assert spread.seeds_needed(smallest * 1.0001, 0.01) == 6
    assert spread.seeds_needed(smallest * 0.9999, 0.01) == 7


def test_power_with_noise_of_items_is_that_of_a_simulation() -> None:
    generator, spread, seeds = np.random.default_rng(0), Spread(items=0.5, seeds=2**0.5), 6
    scores = generator.standard_normal((20_000, 2, seeds))
    difference = scores[:, 0].mean(1) - scores[:, 1].mean(1) + 1.5 + 0.5 * generator.standard_normal(20_000)
    of_seeds = scores.var(2, ddof=1).sum(1) / seeds
    error = np.sqrt(of_seeds + 0.25)
    freedom = 10 * (error**2 / of_seeds) ** 2
    shown = 2 * distributions.t.sf(difference / error, freedom) <= 0.05
    assert spread.power(1.5, seeds, 0.05) == pytest.approx(shown.mean(), abs=0.03)


def test_no_number_of_seeds_replaces_test_items() -> None:
    assert Spread(items=0.01, seeds=0.02).seeds_needed(0.01, 0.05) is None
    note = power_of([replace(PAIR, item_error=0.01)], 0.01, seeds=3, level=0.05)
    assert note is not None
    assert note.seeds is None
    assert note.sentence(find_metric("accuracy")).startswith(
        "To show a difference of 1.0 points between a and b takes more test items, not seeds; with these items 3 seeds"
    )


def test_the_note_is_about_the_least_certain_undecided_pair_with_the_best() -> None:
    wild, decided = replace(PAIR, second="c", seed_spread=0.05), replace(PAIR, second="d", outcome="better")
    note = power_of([PAIR, wild, decided, replace(wild, first="b", seed_spread=9.0)], 0.02, seeds=3, level=0.05)
    assert note is not None
    assert (note.first, note.second, note.tried) == ("a", "c", 3)
    assert note.seeds == Spread(0.002, 0.05).seeds_needed(0.02, 0.05 / 4)  # each pair has its part of the level
    assert f"takes about {note.seeds} seeds each; 3 seeds can show" in note.sentence(find_metric("accuracy"))


def test_one_seed_and_no_margin_give_no_note() -> None:
    assert power_of([replace(PAIR, seed_spread=None)], 0.01, seeds=1, level=0.05) is None
    assert power_of([PAIR], 0.0, seeds=3, level=0.05) is None
    assert power_of([], 0.01, seeds=3, level=0.05) is None


def test_where_the_spread_does_not_explain_the_interval_no_number_of_seeds_is_named() -> None:
    same = Pair("gru", "rnn", Estimate(0.0, 0.0, 0.0), 1.0, 1.0, False, "practically the same", 0.0, 0.0, 0.0)
    assert power_of([same], 0.01, seeds=2, level=0.05) is None
    # two of 400 answers are right in each training of one, but not the same ones; none of the other
    rows = {"gru": np.array([np.arange(400) // 2 == seed for seed in (0, 1)], float), "lstm": np.zeros((2, 400))}
    (pair,) = compare_items(rows, find_metric("exact_match")).pairs
    assert pair.outcome == "not decided"
    assert power_of([pair], 0.01, seeds=2, level=0.05) is None
    generator = np.random.default_rng(0)
    rows = {name: (generator.random((3, 400)) < share).astype(float) for name, share in (("gru", 0.4), ("lstm", 0.5))}
    assert power_of(compare_items(rows, find_metric("exact_match")).pairs, 0.01, seeds=3, level=0.05) is not None

"""Laws, intervals, held-out checks and pairs from losses that are drawn from known laws."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.core.metrics import find_metric
from sightline.lab.scaling_fits import SAME, fit_ladder
from tests.lab.planted_sizes import SIZES, broken, planted, power

LOSS = find_metric("loss")
DRAWS = 120
WIDE = [12_500 * 2**step for step in range(8)]


def fitted(law, seed, **changes):
    return fit_ladder(planted(law, np.random.default_rng(seed), **changes), LOSS, resamples=300)


@pytest.mark.slow
def test_the_interval_covers_the_planted_exponent_at_its_rate_and_is_no_wider_than_it_must_be():
    """95 of 100 intervals contain the truth, and their width is about that of 95 % of the estimates."""
    found = [fitted(power(0.08), seed).laws[0] for seed in range(DRAWS)]
    chosen = [one.law.exponent for one in found]
    assert sum(one.low <= 0.08 <= one.high for one in chosen) >= 0.9 * DRAWS
    laws = [one.law if one.law.irreducible is None else one.other for one in found]
    inside = sum(law.exponent.low <= 0.08 <= law.exponent.high for law in laws)
    assert inside >= 0.9 * DRAWS  # less has a chance of 1 in 100 at 95 %
    spread = np.std([law.exponent.mean for law in laws])
    half = np.mean([law.exponent.high - law.exponent.low for law in laws]) / 2
    assert 1.6 <= half / spread <= 3.4
    assert np.mean([law.exponent.mean for law in laws]) == pytest.approx(0.08, abs=3 * spread / DRAWS**0.5)


def test_a_loss_that_rises_with_size_is_decided():
    law = fitted(power(-0.1), 0).laws[0]
    assert law.law.exponent.high < 0
    assert law.decided
    assert not fitted(power(0.0), 0).laws[0].decided


@pytest.mark.slow
def test_held_out_sizes_of_a_law_are_predicted_and_those_of_a_broken_one_are_not():
    held = [fitted(power(0.08), seed).held_out[0] for seed in range(60)]
    assert sum(check.holds for check in held) >= 0.88 * len(held)
    for check in held:
        assert check.holds == (check.predicted.low <= check.measured.mean <= check.predicted.high)
        assert check.error.mean == pytest.approx(check.predicted.mean / check.measured.mean - 1)
        assert check.parameters == SIZES[-1]
    failed = [fitted(broken(0.1), seed).held_out[0] for seed in range(20)]
    assert not any(check.holds for check in failed)
    assert all(check.error.high < 0 for check in failed)  # the loss that was predicted is too low


@pytest.mark.slow
def test_an_irreducible_loss_is_identified_where_the_sizes_show_it_and_not_elsewhere():
    seen = [fitted(power(0.4, 1.0, 1.0), seed, sizes=WIDE).laws[0] for seed in range(20)]
    assert all(law.identified for law in seen)
    inside = [law.law.irreducible.low <= 1.0 <= law.law.irreducible.high for law in seen]
    assert sum(inside) >= 17
    assert sum(law.law.exponent.low <= 0.4 <= law.law.exponent.high for law in seen) >= 17
    unseen = [fitted(power(0.08), seed).laws[0] for seed in range(20)]
    assert sum(law.identified for law in unseen) <= 2
    assert all(law.other is not None for law in unseen)  # the form with E is shown beside


def test_one_form_is_taken_for_all_architectures():
    generator = np.random.default_rng(0)
    both = planted(power(0.4, 1.0, 1.0), generator, arch="a", sizes=WIDE)
    both += planted(power(0.08), generator, arch="b", sizes=WIDE)
    fits = fit_ladder(both, LOSS, resamples=300)
    assert [law.identified for law in fits.laws[:2]] == [True, False]
    assert all(law.law.irreducible is None for law in fits.laws)


def test_a_curve_that_flattens_has_a_negative_bend_and_a_law_none():
    flat = fitted(broken(0.1), 0).laws[0]
    assert flat.bend.high < 0
    straight = [fitted(power(0.1), seed).laws[0].bend for seed in range(20)]
    assert sum(bend.low <= 0 <= bend.high for bend in straight) >= 17


def pairs_of(first, second, seed):
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, 0.3, 100)
    scores = planted(power(first), generator, arch="a", difficulty=difficulty)
    scores += planted(power(second), generator, arch="b", difficulty=difficulty)
    return fit_ladder(scores, LOSS, resamples=300).pairs[0]


@pytest.mark.slow
def test_the_difference_of_exponents_is_decided_where_it_is_there_and_not_where_it_is_not():
    different = [pairs_of(0.04, 0.12, seed) for seed in range(10)]
    assert {(pair.first, pair.outcome) for pair in different} == {("b", "falls faster")}
    equal = [pairs_of(0.08, 0.08, seed) for seed in range(60)]
    assert sum(pair.outcome == "falls faster" for pair in equal) <= 7  # 5 % of 60 are 3
    assert sum(pair.difference.low <= 0 <= pair.difference.high for pair in equal) >= 53


def test_a_steep_curve_falls_faster_than_one_that_is_close_to_its_own_floor():
    generator = np.random.default_rng(0)
    flat = planted(power(1.2, 0.01, 2.75), generator, arch="flat", sizes=WIDE)
    steep = planted(power(0.54, 0.8, 2.5), generator, arch="steep", sizes=WIDE)
    fits = fit_ladder([*flat, *steep], LOSS, resamples=300)
    with_floor = {law.arch: law.law for law in fits.laws if law.along == "parameters"}
    assert all(law.irreducible is not None for law in with_floor.values())
    assert with_floor["flat"].exponent.mean > with_floor["steep"].exponent.mean
    assert [(pair.first, pair.outcome) for pair in fits.pairs] == [("steep", "falls faster")]


def test_exponents_within_the_margin_are_practically_the_same():
    generator = np.random.default_rng(0)
    difficulty = generator.normal(0, 0.3, 100)
    scores = []
    for arch in ("a", "b"):
        scores += planted(power(0.08), generator, arch=arch, noise=1e-4, difficulty=difficulty)
    for one in scores:
        one.rows[..., 0] = one.rows[..., 0].mean(1, keepdims=True) + (difficulty - difficulty.mean())
    assert fit_ladder(scores, LOSS, resamples=300).pairs[0].outcome == "practically the same"
    assert pytest.approx(1.01) == 10.0**SAME  # what it makes of the loss at ten times the size


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"seeds": 1}, "--seeds"), ({"sizes": SIZES[:3]}, "--sizes"), ({"sizes": SIZES[:2]}, "at least two sizes")],
    ids=["one seed", "two fitted sizes", "one fitted size"],
)
def test_too_little_gives_no_interval_and_decides_nothing(changes, words):
    fits = fitted(power(0.1), 0, **changes)
    law = fits.laws[0]
    assert not law.decided
    assert "not decided" in law.note
    assert words in law.note
    if law.law is not None:
        assert law.law.exponent.low is None
        assert [check.holds for check in fits.held_out] == [None]


def test_along_flops_there_is_a_law_where_they_vary():
    scores = planted(power(0.1), np.random.default_rng(0))
    along = {law.along: law.law.exponent.mean for law in fit_ladder(scores, LOSS, resamples=300).laws}
    assert along["flops"] == pytest.approx(along["parameters"], abs=1e-3)  # equal tokens: FLOPs ~ parameters
    fixed = [one._replace(flops=1e13) for one in scores]
    assert {law.along for law in fit_ladder(fixed, LOSS, resamples=300).laws} == {"parameters"}

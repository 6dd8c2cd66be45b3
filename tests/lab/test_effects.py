"""Effect sizes against published formulas and scipy."""

from __future__ import annotations

import pytest
from scipy import stats as distributions

from sightline.lab.effects import hedges_g, superiority

FIRST, SECOND = [3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 3.0]


def test_hedges_g_is_the_corrected_standardised_difference() -> None:
    pooled = ((3 * 5 / 3 + 2 * 1.0) / 5) ** 0.5  # variances 5/3 and 1
    assert hedges_g(FIRST, SECOND) == pytest.approx((4.5 - 2.0) / pooled * (1 - 3 / 19))
    assert hedges_g(SECOND, FIRST) == pytest.approx(-hedges_g(FIRST, SECOND))


def test_hedges_g_needs_a_spread() -> None:
    assert hedges_g([1.0], [2.0, 3.0]) is None
    assert hedges_g([1.0, 1.0], [1.0, 1.0]) is None


def test_superiority_is_mann_and_whitneys_u_over_the_number_of_pairs() -> None:
    u = distributions.mannwhitneyu(FIRST, SECOND).statistic
    assert superiority(FIRST, SECOND) == pytest.approx(u / 12)
    assert superiority(FIRST, FIRST) == 0.5
    assert superiority([2.0], [1.0]) == 1.0

"""Power laws fitted to points that lie on one, with and without an irreducible term."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from sightline.lab.power_law import fit_laws

SIZES = np.array([5e4, 1e5, 2e5, 4e5, 8e5])


@pytest.mark.parametrize("exponent", [-0.2, 0.076, 0.5, 1.9])
def test_points_on_a_law_give_its_exponent_and_coefficient(exponent):
    laws = fit_laws(SIZES, (SIZES / 8.8e13) ** -exponent, with_floor=False)
    assert laws.exponent == pytest.approx(exponent, abs=1e-4)
    assert laws.coefficient == pytest.approx(8.8e13**exponent, rel=2e-3)
    assert laws.at(np.array([1.6e6]))[0] == pytest.approx((1.6e6 / 8.8e13) ** -exponent, rel=1e-4)


@pytest.mark.parametrize(("exponent", "floor"), [(0.34, 1.69), (0.9, 0.3), (1.2, 2.0)])
def test_points_above_an_irreducible_loss_give_all_three(exponent, floor):
    laws = fit_laws(SIZES, floor + 406.4 * SIZES**-exponent, with_floor=True)
    assert laws.exponent == pytest.approx(exponent, abs=1e-3)
    assert laws.floor == pytest.approx(floor, abs=2e-3)
    assert fit_laws(SIZES, floor + 406.4 * SIZES**-exponent, with_floor=False).exponent[0] < exponent


def test_an_irreducible_loss_is_never_negative():
    """A loss that falls ever faster would need E < 0; the best admissible law is the one without E."""
    losses = 2.0 - 0.1 * np.arange(5.0) ** 2 / 8
    with_floor, without = (fit_laws(SIZES, losses, with_floor=form) for form in (True, False))
    assert with_floor.floor == 0
    assert with_floor.exponent == pytest.approx(without.exponent, abs=2e-3)


def test_noisy_points_get_the_least_squares_law_of_scipy():
    generator = np.random.default_rng(0)
    losses = 1.5 + 300 * SIZES**-0.5 + generator.normal(0, 0.02, (20, 5))
    ours = fit_laws(SIZES, losses, with_floor=True)
    for row in range(20):
        start = ours.floor[row] + 0.01, ours.level[row], ours.exponent[row] + 0.01
        limits = ([0, 0, 0.02], [np.inf, np.inf, 3])
        theirs, _ = curve_fit(
            lambda x, e, a, p: e + a * (x / ours.centre) ** -p, SIZES, losses[row], start, bounds=limits, ftol=1e-12
        )
        rest = [np.sum((at - losses[row]) ** 2) for at in (
            ours.at(SIZES)[row], theirs[0] + theirs[1] * (SIZES / ours.centre) ** -theirs[2]
        )]  # fmt: skip
        assert rest[0] <= rest[1] * (1 + 1e-6) + 1e-15


@pytest.mark.parametrize(
    ("sizes", "losses", "with_floor", "message"),
    [
        ([1e5, 1e5], [1.0, 1.0], False, "expected at least 2 different sizes, got 1"),
        ([1e5, 2e5], [1.0, 0.9], True, "expected at least 3 different sizes, got 2"),
        ([1e5, 2e5], [1.0, float("nan")], False, "losses must be finite"),
    ],
)
def test_too_few_sizes_and_losses_that_are_none_are_refused(sizes, losses, with_floor, message):
    with pytest.raises(ValueError, match=message):
        fit_laws(np.array(sizes), np.array(losses), with_floor=with_floor)

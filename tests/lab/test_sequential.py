"""Facts about looks at growing numbers of seeds: known bounds, and false alarms counted independently."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from sightline.lab.sequential import Look


def test_one_look_alone_changes_nothing() -> None:
    look = Look(4, 4, 4)
    assert look.adjusted(0.03) == pytest.approx(0.03, rel=0.05)
    assert look.level(0.05) == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize(("first", "last"), [(2, 10), (3, 10), (3, 30)])
def test_several_looks_cost_more_than_one_and_less_than_one_test_each(first: int, last: int) -> None:
    looks = [Look(seeds, first, last) for seeds in range(first, last + 1)]
    levels = [look.level(0.05) for look in looks]
    assert levels == sorted(levels)
    assert max(levels) < 0.05 < sum(levels)  # the union bound would need their sum to be 5 %
    for look, level in zip(looks, levels, strict=True):
        assert look.adjusted(level) == pytest.approx(0.05, abs=2e-3)
        assert look.adjusted(level / 2) < 0.05 < look.adjusted(2 * level)


def test_the_smallest_p_value_is_not_adjusted_below_itself_or_to_zero() -> None:
    assert Look(3, 3, 10).adjusted(0.0) > 0
    assert Look(10, 3, 10).adjusted(0.9) >= 0.9
    assert Look(10, 3, 10).adjusted(1.0) == 1.0


@pytest.mark.parametrize("item_noise", [0.0, 1.0])
def test_equal_architectures_differ_at_any_look_in_at_most_5_percent(item_noise: float) -> None:
    # Scipy's t-test at every look, on other random numbers; item noise is the same at every look.
    generator = np.random.default_rng(11)
    repetitions, looks = 4000, range(3, 11)
    scores = generator.standard_normal((repetitions, 2, 10))
    shared = item_noise * generator.standard_normal(repetitions)
    alarms = np.zeros(repetitions, bool)
    for n in looks:
        seen = scores[:, :, :n]
        error = np.sqrt(seen.var(2, ddof=1).sum(1) / n + item_noise**2)
        t = (seen[:, 0].mean(1) - seen[:, 1].mean(1) + shared) / error
        alarms |= 2 * distributions.t.sf(abs(t), 2 * (n - 1)) <= Look(n, 3, 10).level(0.05)
    assert alarms.mean() <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / repetitions)
    assert alarms.mean() >= 0.01  # not useless


@pytest.mark.parametrize("planned", [(1, 1, 3), (3, 4, 5), (6, 2, 5)])
def test_looks_that_were_not_planned_are_refused(planned: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected 2 <= first <= seeds <= last"):
        Look(*planned)

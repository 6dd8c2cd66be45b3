"""Extrapolated learning curves, on simulated curves whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

import learning_curve
from learning_curve import Expected

STEPS = np.arange(1, 11) * 40.0


def extrapolate(steps, values, multiple, **how) -> Expected | None:
    return learning_curve.extrapolate([float(s) for s in steps], list(values), multiple, **how)


def power_law(a, b, c, steps):
    return a + b * (np.asarray(steps, dtype=float) / STEPS[-1]) ** -c


def test_a_curve_without_noise_is_continued():
    """v(t) = a + b·t^(−c) is in the family that is fitted."""
    result = extrapolate(STEPS, power_law(1.0, 0.5, 0.7, STEPS), 10, higher_is_better=False)
    assert result is not None
    assert result.steps == 4000
    assert result.value == pytest.approx(power_law(1.0, 0.5, 0.7, 4000), abs=0.01)
    assert result.high - result.low < 0.05


@pytest.mark.parametrize("multiple", [3, 10])
@pytest.mark.parametrize("higher_is_better", [False, True], ids=["loss", "accuracy"])
def test_the_interval_covers_what_follows(multiple, higher_is_better):
    """An interval of 80 % contains the value of 200 simulated curves about as often; 74 % is two deviations below."""
    random = np.random.default_rng(5)
    inside = said_nothing = 0
    for _ in range(200):
        c, a = np.exp(random.uniform(np.log(0.2), np.log(1.5))), random.uniform(0.2, 2)
        sign, b, noise = (-1 if higher_is_better else 1), random.uniform(0.05, 0.5), 10 ** random.uniform(-3, -1.5)
        values = power_law(a, sign * b, c, STEPS) + noise * random.standard_normal(len(STEPS))
        truth = power_law(a, sign * b, c, multiple * STEPS[-1]) + noise * random.standard_normal()
        result = extrapolate(STEPS, values, multiple, higher_is_better=higher_is_better)
        if result is None:
            said_nothing += 1
        else:
            inside += result.low <= truth <= result.high
    assert said_nothing < 10
    assert 0.74 <= inside / (200 - said_nothing) <= 0.97


@pytest.mark.parametrize("higher_is_better", [False, True], ids=["loss", "accuracy"])
def test_more_is_never_expected_to_be_worse(higher_is_better):
    sign = -1 if higher_is_better else 1
    noise = 0.02 * np.random.default_rng(2).standard_normal(len(STEPS))
    values = power_law(0.5, sign * 0.2, 0.5, STEPS) + noise
    results = [extrapolate(STEPS, values, m, higher_is_better=higher_is_better) for m in (1, 2, 3, 5, 10, 100)]
    for name in ("value", "low", "high"):
        assert (np.diff([getattr(result, name) for result in results]) * sign <= 0).all()
    widths = [result.high - result.low for result in results]
    assert widths == sorted(widths)


def test_values_keep_the_limits_of_the_metric():
    values = 0.99 - 0.6 * (STEPS / STEPS[0]) ** -0.2
    result = extrapolate(STEPS, values, 1e6, higher_is_better=True, limits=(0, 1))
    assert result is not None
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_an_undefined_value_is_left_out():
    values = [*power_law(1, 0.5, 0.7, STEPS)]
    with_gap = [None, float("nan"), *values[2:]]
    assert extrapolate(STEPS, with_gap, 3, higher_is_better=False) == extrapolate(
        STEPS[2:], values[2:], 3, higher_is_better=False
    )


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ([], []),
        ([1, 2, 3, 4], [4, 3, 2, 1]),
        ([100, 110, 120, 130, 140, 150], [6, 5, 4, 3, 2, 1]),
        (STEPS, -power_law(1, 0.5, 0.7, STEPS)),
    ],
    ids=["empty", "four points", "a factor of 1.5", "getting worse"],
)
def test_a_curve_that_cannot_say_gives_none(steps, values):
    assert extrapolate(steps, values, 3, higher_is_better=False) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"multiple": 0.5}, "multiple must be at least 1, got 0.5"),
        ({"steps": STEPS[::-1] * [*range(1, 10), 100]}, "steps must be positive and ascending"),
        ({"level": 1.0}, "level must be between 0 and 1, got 1"),
    ],
    ids=["multiple", "steps", "level"],
)
def test_arguments_without_meaning_are_refused(changes, message):
    arguments = {"steps": STEPS, "values": STEPS, "multiple": 2, **changes}
    with pytest.raises(ValueError, match=message):
        extrapolate(**arguments, higher_is_better=True)

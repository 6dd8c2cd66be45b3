"""Seconds become steps: a pure function of measured costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.training.plan import VALIDATION_SHARE, Speed, plan_steps

costs = st.floats(1e-5, 10.0)
budgets = st.floats(1.0, 1e5)


def test_seconds_times_speed_with_two_digits() -> None:
    assert plan_steps(60.0, Speed(0.01)).steps == 6000
    assert plan_steps(60.0, Speed(0.0123)).steps == 4900  # 4878
    assert plan_steps(60.0, Speed(0.01, validation_s=0.5)).steps == 5500  # less ten validations of half a second


@given(budgets, costs, st.floats(0, 100), st.floats(0, 1))
def test_validations_take_their_share_at_most_and_steps_the_rest(
    seconds: float, step_s: float, validation_s: float, save_s: float
) -> None:
    speed = Speed(step_s, validation_s, save_s)
    plan = plan_steps(seconds, speed)
    spent = plan.validations * (plan.validation_share * validation_s + save_s)
    if plan.validation_share > 0.01 and plan.validations > 3:
        assert spent <= VALIDATION_SHARE * seconds * 1.001
    if plan.steps > plan.validations:  # so few steps have no room for all validations that were counted
        assert plan.steps * step_s + spent == pytest.approx(seconds, rel=0.055, abs=step_s + 3 * validation_s * 0.01)


@given(budgets, costs, st.floats(0, 100))
def test_more_seconds_never_buy_fewer_steps_or_validations(seconds: float, step_s: float, validation_s: float) -> None:
    less, more = (plan_steps(s, Speed(step_s, validation_s)) for s in (seconds, 1.5 * seconds))
    assert less.steps <= more.steps
    assert less.validations <= more.validations
    assert less.validation_share <= more.validation_share


def test_a_dear_validation_is_first_rarer_then_a_sample() -> None:
    assert (plan_steps(100.0, Speed(0.1, 1.0)).validations, plan_steps(100.0, Speed(0.1, 3.0)).validations) == (10, 5)
    dear = plan_steps(10.0, Speed(0.1, 60.0))  # one pass alone would take six times the budget
    assert (dear.validations, dear.validation_share) == (3, 0.01)
    assert plan_steps(100.0, Speed(0.1, 60.0)).validation_share == pytest.approx(0.083)


def test_fewer_validations_than_three_stay_fewer() -> None:
    assert plan_steps(60.0, Speed(0.1, 1.0), validations=2).validations == 2
    assert plan_steps(60.0, Speed(0.1, 20.0), validations=1).validations == 1


def test_no_validation_comes_before_a_tenth_of_the_steps() -> None:
    assert plan_steps(1e6, Speed(0.1, 0.001), validations=500).validations == 10


def test_validations_that_the_user_spaces_are_paid_for() -> None:
    plan = plan_steps(100.0, Speed(0.1, 1.0), validate_every=10)
    assert plan.validation_share == 1.0
    assert plan.steps * 0.1 + plan.validations * 1.0 == pytest.approx(100.0, rel=0.05)


@given(budgets, costs)
def test_steps_within_a_tenth_of_the_speed_are_within_a_fifth_of_the_steps(seconds: float, step_s: float) -> None:
    """Two measurements that differ by 10 % give plans that differ by no more than the rounding adds to that."""
    one, other = plan_steps(seconds, Speed(step_s)), plan_steps(seconds, Speed(1.1 * step_s))
    assert other.steps <= one.steps
    assert other.steps >= int(one.steps / 1.1 * 0.9)


def test_at_most_so_many_steps_and_the_schedule_of_the_validations_with_them() -> None:
    free, short = (plan_steps(60.0, Speed(0.01, 0.1), most_steps=most) for most in (None, 150))
    assert (free.steps, short.steps) == (5900, 150)
    assert plan_steps(1.0, Speed(0.01), most_steps=150).steps == 100  # a budget that pays for less
    assert plan_steps(60.0, Speed(0.01), validate_every=50, most_steps=150).validations == 3
    assert "most_epochs" in str(short)
    assert "most_epochs" not in str(free)

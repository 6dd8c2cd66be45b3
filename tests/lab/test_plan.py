"""The arithmetic of budgets, and what a comparison refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.core.processes import available_cores
from sightline.lab.halving import effort
from sightline.lab.plan import CompareConfig, check_used, divide, written
from sightline.lab.rates import EXTRA
from sightline.training.budget import Budget

CONFIG = CompareConfig()


@given(
    amount=st.floats(1, 1e5), seeds=st.integers(1, 9), search=st.floats(0, 0.9), rates=st.integers(2, 7)
)  # fmt: skip
def test_the_longest_search_is_paid_for_out_of_the_budget(amount: float, seeds: int, search: float, rates: int) -> None:
    plan = divide(replace(CONFIG, seeds=seeds, search=search, rates=rates), amount, "seconds")
    each = Budget.parse(plan.search_each).amount if plan.search_each else 0.0
    spent = (effort(rates) + EXTRA if search else 0) * each + seeds * Budget.parse(plan.final_each).amount
    assert spent == pytest.approx(seeds * amount, rel=1e-4)


@pytest.mark.parametrize("text", ["60s", "60s-wall", "500steps", "2Mtok", "1e15flop", "5kJ", "0.5J"])
def test_budgets_are_written_as_they_are_read(text: str) -> None:
    budget = Budget.parse(text)
    assert Budget.parse(written(budget.amount, budget.unit)) == budget


def test_the_plan_says_how_many_rates_are_tried_and_for_how_long() -> None:
    plan = divide(replace(CONFIG, search=0.2, rates=5, seeds=3), 60.0, "seconds")
    assert (plan.search_each, plan.final_each) == ("3s", "48s")  # 36 s for 5 and 1 trials, and 2 of three times 3 s
    assert (
        "5 candidates and 1 more where the best is the largest or the smallest, 3s each, then the best 2 for 3 times"
        in (plan.explained)
    )


def test_without_a_search_each_run_has_the_whole_budget() -> None:
    plan = divide(replace(CONFIG, search=0.0), 60.0, "seconds")
    assert (plan.final_each, plan.search_each, plan.search_rates) == ("60s", None, 0)
    assert "preset" in plan.explained


def test_the_presets_rate_is_among_the_candidates() -> None:
    for rates in range(2, 8):
        factors = replace(CONFIG, rates=rates).factors
        assert len(factors) == rates
        assert 1.0 in factors
        assert factors == sorted(factors)


@pytest.mark.parametrize("workers", [1, 2, 3, 64])
def test_workers_share_the_cores(workers: int) -> None:
    plan = divide(replace(CONFIG, workers=workers), 60.0, "seconds")
    assert plan.workers <= max(workers, 1)
    assert plan.threads >= 1
    assert plan.threads == 1 or plan.workers * plan.threads <= available_cores()


def test_one_run_gets_all_available_cores() -> None:
    plan = divide(replace(CONFIG, archs=("gru",), seeds=1, search=0.0), 60.0, "seconds")
    assert (plan.workers, plan.threads) == (1, available_cores())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"archs": ()}, "--archs: expected at least one architecture"),
        ({"archs": ("gru", "gru")}, "--archs: gru is listed twice"),
        ({"archs": ("../gru",)}, "--archs: '../gru' is not the name of an architecture"),
        ({"search": 1.0}, "--search: expected a share from 0 to below 1, found 1"),
        ({"seeds": 0}, "--seeds: must be at least 1, found 0"),
        ({"rates": 1}, "--rates: must be at least 2, found 1"),
        ({"workers": 0}, "--workers: must be at least 1, found 0"),
        ({"tested": 0}, "--tested: must be at least 1, found 0"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(CONFIG, **changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_seeds": 5}, "--max-seeds: requires --until-decided"),
        ({"rates": 5, "search": 0.0}, "--rates: requires a search, which --search 0 turns off"),
    ],
)
def test_what_changes_nothing_is_refused_where_it_is_given(changes: dict[str, Any], message: str) -> None:
    """And read where an earlier version stored it."""
    with pytest.raises(InputError) as caught:
        check_used(replace(CONFIG, **changes))
    assert str(caught.value) == message
    for used in ({"max_seeds": 5, "until_decided": True}, {"rates": 5, "search": 0.2}, {"search": 0.0}):
        check_used(replace(CONFIG, **used))


@pytest.mark.parametrize("changes", [{"seeds": 1}, {"seeds": 3}, {"search": 0.95}, {"sizes": 3, "rates": 2}])
def test_a_budget_that_cannot_be_divided_is_refused_with_the_least_that_can(changes: dict[str, Any]) -> None:
    config = replace(CONFIG, **changes)
    with pytest.raises(InputError, match=r"^--budget: too small for \d candidate learning rates") as caught:
        divide(config, 1.0, "steps")
    least = int(re.findall(r"give at least (\d+)steps, or --search 0 for no trials$", str(caught.value))[0])
    assert divide(config, float(least), "steps").search_each
    with pytest.raises(InputError):
        divide(config, least - 1.0, "steps")
    assert divide(replace(config, search=0, sizes=1), 1.0, "steps").final_each == "1steps"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("arch", "--arch: unknown flag, did you mean '--archs'?"),
        ("keep", "--keep: a comparison deletes the checkpoints of its runs and keeps best and last: leave it out"),
        ("budget", "--budget: is a key of the comparison itself, not one of the settings that architectures share"),
        ("seed", "--seed: is a key of the comparison itself, not one of the settings that architectures share"),
    ],
)
def test_settings_that_a_comparison_would_not_obey_are_refused(key: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        CompareConfig(settings={key: "1"})
    assert str(caught.value) == message

from __future__ import annotations

import pytest

from sightline.core.errors import InputError
from sightline.training.budget import Budget, Spent


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("60s", 60, "seconds"),
        ("5min", 300, "seconds"),
        ("1.5h", 5400, "seconds"),
        ("500steps", 500, "steps"),
        ("1step", 1, "steps"),
        ("20ksteps", 20_000, "steps"),
        ("2Mtok", 2_000_000, "tokens"),
        ("1_000tokens", 1000, "tokens"),
        ("3Btok", 3_000_000_000, "tokens"),
        ("1e15flop", 10**15, "flops"),
        ("2Tflop", 2 * 10**12, "flops"),
        (" 7 steps ", 7, "steps"),
        (".5s", 0.5, "seconds"),
        ("60s-wall", 60, "wall"),
        ("1.5h-wall", 5400, "wall"),
        ("5kJ", 5000, "joules"),
        ("0.5J", 0.5, "joules"),
        ("1.2MJ", 1_200_000, "joules"),
    ],
)
def test_reads_amounts_with_units(text: str, amount: float, unit: str) -> None:
    budget = Budget.parse(text)
    assert (budget.amount, budget.unit) == (amount, unit)
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", "--budget: expected an amount with a unit, found 'fast'"),
        ("", "expected an amount with a unit"),
        ("60", "'60' has no unit"),
        ("60 parsecs", "unknown unit 'parsecs' in '60 parsecs'"),
        ("ks", "expected an amount with a unit"),
        ("5kmin", "unknown unit 'kmin'"),
        ("5steps-wall", "unknown unit 'steps-wall'"),
        ("0s", "must be positive and finite, found '0s'"),
        ("-3steps", "must be positive and finite"),
        ("1e999flop", "must be positive and finite"),
        ("nan s", "expected an amount"),
        ("1,000steps", "expected an amount"),
        ("६०s", "expected an amount"),
    ],
)
def test_says_what_is_wrong_and_what_to_write(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Budget.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fraction_is_of_its_own_unit_and_at_most_one() -> None:
    spent = Spent(steps=5, tokens=100, seconds=2.0, flops=1000)
    assert Budget.parse("10steps").fraction(spent) == 0.5
    assert Budget.parse("400tok").fraction(spent) == 0.25
    assert Budget.parse("8s").fraction(spent) == 0.25
    assert Budget.parse("8s-wall").fraction(spent) == 0.25
    assert Budget.parse("500flop").fraction(spent) == 1.0

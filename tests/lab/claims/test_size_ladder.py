"""C18: the outcome follows from planted laws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightline.lab.claims.size_ladder import ATTENTION, RECURRENCE, judge
from sightline.lab.results import Estimate
from sightline.lab.scaling_results import ExponentPair, ScaleResults, Trend
from tests.report.synthetic_scale import make_scale

DIFFERENCE = Estimate(0.05, 0.03, 0.07)


@pytest.fixture(scope="module")
def ladder() -> ScaleResults:
    return make_scale()


@pytest.mark.parametrize(
    ("first", "second", "trend", "outcome"),
    [
        (ATTENTION, RECURRENCE, "falls faster", "holds"),
        (RECURRENCE, ATTENTION, "falls faster", "does not hold"),
        (ATTENTION, RECURRENCE, "practically the same", "does not hold"),
        (ATTENTION, RECURRENCE, "not decided", "depends"),
    ],
)
def test_the_outcome_follows_from_the_pair(
    ladder: ScaleResults, first: str, second: str, trend: Trend, outcome: str
) -> None:
    found = judge(replace(ladder, pairs=[ExponentPair(first, second, DIFFERENCE, trend)]))
    assert found[0] == outcome
    assert f"{first} less {second} 0.050 (0.030 to 0.070)" in found[1]


def test_without_a_law_nothing_is_decided(ladder: ScaleResults) -> None:
    assert judge(replace(ladder, pairs=[]))[0] == "depends"

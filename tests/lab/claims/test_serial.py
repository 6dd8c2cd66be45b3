"""C1: the outcome follows from planted counts."""

from __future__ import annotations

import pytest

from sightline.lab.claims.serial import DENSE, RECURRENT, judge
from sightline.lab.panel_results import Chain

GROWING, CONSTANT = [20, 40, 80], [7, 7, 7]


def chains(recurrent, dense, **others):
    rows = {**dict.fromkeys(RECURRENT, recurrent), **dict.fromkeys(DENSE, dense), **others}
    return [Chain(name, "forward", [10, 20, 40], steps, steps, None) for name, steps in rows.items()]


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        (chains(GROWING, CONSTANT), "holds"),
        (chains(GROWING, [7, 7, 8]), "does not hold"),
        (chains([20, 25, 30], CONSTANT), "does not hold"),
        (chains(GROWING, CONSTANT, gru=CONSTANT), "depends"),
        (chains(GROWING, CONSTANT, cross=GROWING), "depends"),
    ],
    ids=["as said", "attention grows", "a scan for all", "a scan for one", "one attention grows"],
)
def test_the_outcome_follows_from_the_counts(counts, outcome):
    assert judge(counts)[0] == outcome


def test_other_mechanisms_are_named_and_do_not_count():
    outcome, text = judge(chains(GROWING, CONSTANT, lru=[10, 11, 12], window=GROWING))
    assert outcome == "holds"
    assert "position in lru too" in text

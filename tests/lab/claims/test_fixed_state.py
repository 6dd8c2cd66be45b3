"""C6: the outcome follows from planted accuracies and sizes of states."""

from __future__ import annotations

import pytest

from sightline.lab.claims import fixed_state as claim
from sightline.lab.claims.claim import Effort
from sightline.lab.panel_results import Recall, RecallPoint
from sightline.lab.results import Estimate

FIXED, GROWING = (1024, 1024), (1024, 4096)
KEEPS, LOSES, UNSURE = (0.97, 0.95, 0.99), (0.40, 0.30, 0.50), (0.88, 0.80, 0.95)


def recalled(name: str, state_bytes: tuple[int, int], last: tuple[float, float, float], learned: bool = True) -> Recall:
    points = [
        RecallPoint(items, 4 * items, size, Estimate(*accuracy), 1.0, 8.0 * items, Estimate(8.0 * items * accuracy[0]))
        for items, size, accuracy in zip((4, 32), state_bytes, ((0.99, 0.98, 1.0), last), strict=True)
    ]
    return Recall(name, "recall", 16, 100, 256, 10, [0], 0.02, [0.02], 0.1, learned, points, 1.0)


ATTENTION = recalled("softmax", GROWING, KEEPS)


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([ATTENTION, recalled("gru", FIXED, LOSES), recalled("linear", FIXED, LOSES)], "holds"),
        ([ATTENTION, recalled("gru", FIXED, KEEPS)], "does not hold"),
        ([ATTENTION, recalled("gru", FIXED, LOSES), recalled("linear", FIXED, KEEPS)], "depends"),
        ([ATTENTION, recalled("gru", FIXED, UNSURE)], "depends"),
        ([ATTENTION, recalled("gru", FIXED, LOSES, learned=False)], "depends"),
        ([recalled("softmax", GROWING, LOSES), recalled("gru", FIXED, LOSES)], "depends"),
    ],
    ids=["as said", "a vector suffices", "one of two", "wide interval", "not learned", "attention fails too"],
)
def test_the_outcome_follows_from_the_accuracies(rows: list[Recall], outcome: str) -> None:
    assert claim.judge(rows)[0] == outcome


def test_what_was_not_learned_is_named_and_does_not_count() -> None:
    rows = [ATTENTION, recalled("linear", FIXED, LOSES), recalled("gru", FIXED, LOSES, learned=False)]
    outcome, text = claim.judge(rows)
    assert outcome == "holds"
    assert "does not count: gru" in text
    assert "linear (256 numbers) recalls 40 % (30 to 50), at least 102 bits at 32 facts" in text


@pytest.mark.slow
def test_small_models_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "QUICK", claim.StateSizes((2, 4), 2, 1))
    monkeypatch.setattr(claim, "WIDTHS", {"softmax": 8, "linear": 8})
    result = claim.fixed_state(Effort(quick=True))
    assert (result.outcome, len(result.charts)) == ("depends", 2)  # nothing is learned in two steps
    sizes = {number.name: number.value for number in result.numbers if number.name.endswith("state at 4 facts")}
    assert set(sizes) == {"softmax: state at 4 facts", "linear: state at 4 facts"}
    assert all(value and value > 0 for value in sizes.values())

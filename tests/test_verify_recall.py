"""The expectations that benchmarks/verify_recall.py checks its results against."""

from __future__ import annotations

import pytest

import verify_recall as benchmark
from sightline.lab.recall_tasks import multi_query_recall


@pytest.fixture(scope="module")
def rows():
    return multi_query_recall(200, 64, 8, vocabulary=8192, seed=5)


def result(model: str, d_model: int, accuracy: float) -> dict[str, object]:
    return {"model": model, "d_model": d_model, "accuracy": accuracy}


def test_a_ceiling_is_what_the_reach_shows_and_a_guess(rows):
    """Counted by hand: window 16 behind a convolution of 3 sees the positions t - 17 … t."""
    seen = asked = 0
    for inputs, labels in zip(rows.inputs.tolist(), rows.labels.tolist(), strict=True):
        for t, value in enumerate(labels):
            if value != -100:
                asked += 1
                seen += inputs.index(value) >= t - 17
    most, chance = benchmark.ceiling(16, rows)
    assert most == pytest.approx(seen / asked + (1 - seen / asked) / 4096, abs=1e-12)
    assert 0 < chance < 0.1


def test_a_window_above_its_ceiling_is_named(rows):
    most, chance = benchmark.ceiling(32, rows)
    assert benchmark.verdicts([result("window_32", 64, most + 0.9 * chance)], rows) == []
    (wrong,) = benchmark.verdicts([result("window_32", 64, most + 1.1 * chance)], rows)
    assert "above its ceiling" in wrong


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ([("softmax", 16, 0.5), ("softmax", 64, 0.995)], []),
        ([("softmax", 64, 0.989)], ["softmax is at 98.90%, below 99%"]),
        ([("softmax", 64, 0.995), ("softmax_2", 64, 0.5)], ["softmax_2 is at 50.00%, below 99%"]),
        ([("linear", 16, 0.1), ("linear", 32, 0.4), ("linear", 64, 0.9)], []),
        ([("delta_net", 16, 0.1), ("delta_net", 32, 0.999), ("delta_net", 64, 0.995)], []),
        ([("gla", 16, 0.3), ("gla", 32, 0.2)], ["gla is worse with a larger state: 30.0%, 20.0%"]),
        ([("gla", 16, 0.1), ("gla", 16, 0.3), ("gla", 32, 0.2)], ["gla is worse with a larger state: 30.0%, 20.0%"]),
    ],
)
def test_the_best_trial_of_a_width_counts(rows, found, wrong):
    assert benchmark.verdicts([result(*one) for one in found], rows) == wrong

"""The sizes that benchmarks/verify_capacity.py compares, and what it makes of their results."""

from __future__ import annotations

import numpy as np
import pytest

import verify_capacity as benchmark
from sightline.lab.capacity import RecallTraining

FEW = RecallTraining(tested=20)


def result(model: str, share: float, rate: float = 0.02, seed: int = 0) -> dict[str, object]:
    draw = np.random.default_rng(seed)
    shown = [draw.binomial(task.items, share, 20) / task.items for task in benchmark.TASKS]
    counts = [benchmark.counts_of(right, task) for task, right in zip(benchmark.TASKS, shown)]
    one = {"model": model, "target_bytes": 4600, "d_head": 16, "rate": rate, "seed": seed, "loss": 0.1}
    return {**one, "valid": share, "right": counts}


@pytest.mark.slow
@pytest.mark.parametrize("target", [2500, 8700])
def test_states_are_of_equal_size(target):
    for name in benchmark.ORDER:
        size = benchmark.bytes_of(benchmark.model_of(name, target), benchmark.COMPARED_TASK)
        assert size == pytest.approx(target, rel=0.12), name


def test_shares_survive_the_file():
    right = np.array([0.0, 0.25, 1.0])
    one = {"right": [benchmark.counts_of(right, task) for task in benchmark.TASKS]}
    for place in range(4):
        assert benchmark.shares_of(one, place).tolist() == right.tolist()


def test_the_rate_with_the_best_validation_rows_is_reported_with_all_seeds():
    trials = [result("linear", share, rate, seed) for share, rate in ((0.5, 0.02), (0.6, 0.007)) for seed in (1, 0)]
    chosen = benchmark.best_rate(trials)
    assert [(one["rate"], one["seed"]) for one in chosen] == [(0.007, 0), (0.007, 1)]


@pytest.mark.slow
def test_the_order_is_told_pair_by_pair_and_a_leaking_window_is_named(monkeypatch):
    monkeypatch.setattr(benchmark, "MODELS", {name: benchmark.MODELS[name] for name in ("softmax", "window_16")})
    monkeypatch.setattr(benchmark, "HEADS", range(16, 18, 2))
    shares = {"softmax": 0.2, "window_16": 0.9}
    found = benchmark.summary([result(name, share, seed=s) for name, share in shares.items() for s in (0, 1, 2)], FEW)
    (pair,) = found["order"]
    assert (pair["first"], pair["outcome"], pair["as_expected"]) == ("window_16", "better", False)
    assert {line.split(":")[0] for line in found["wrong"]} == {"window_16 at 16 pairs", "window_16 at 32 pairs"}

"""Looks into a model in training: when they come, that they change nothing, and that a resumed run has the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sightline.training import TrainConfig, TrainResult, looks, train
from sightline.training.looks import FIRST, MOST, SHARE, planned_looks
from tests.clock import Clock
from tests.training import toy


def norms(model: nn.Module) -> dict[str, Any]:
    return {"norms": [parameter.norm().item() for parameter in model.parameters()]}


def meddling(model: nn.Module) -> dict[str, Any]:
    """A look that does all that it should not."""
    model.train()
    sum(parameter.square().sum() for parameter in model.parameters()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.rand(())
    return {"seen": float("nan")}


def run(place: Path, config: TrainConfig, watch: Any, objective: Any = toy.objective, **options: Any) -> TrainResult:
    model = options.pop("model", None) or toy.Toy()
    return train(model, objective, toy.batches(), config, place, validate=toy.validate, watch=watch, **options)


def watched(place: Path) -> list[dict[str, Any]]:
    """The records of looks without the times of the clock."""
    records = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "cpu_seconds", "watch_s")
    return [{k: v for k, v in record.items() if k not in clock} for record in records if record["event"] == "watch"]


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks as cheap as they need be: the steps of this tiny model are not."""
    monkeypatch.setattr(looks, "SHARE", 1e9)


@pytest.mark.parametrize("watch", [norms, meddling])
def test_a_watched_training_has_the_same_weights_bit_for_bit(tmp_path: Path, watch: Any) -> None:
    plain, looked = toy.Toy(), toy.Toy()
    without = run(tmp_path / "plain", toy.config("40steps"), None, model=plain)
    result = run(tmp_path / "looked", toy.config("40steps"), watch, model=looked)
    assert len(watched(tmp_path / "looked")) >= len(FIRST)
    assert all(map(torch.equal, plain.state_dict().values(), looked.state_dict().values()))
    losses = [[r["loss"] for r in one.history if "loss" in r] for one in (without, result)]
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("stop", [1, 7, 33, 52])
def test_a_resumed_run_has_the_looks_of_the_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    class Enough(Exception):
        pass

    calls = 0

    def objective(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > stop:
            raise Enough
        return toy.objective(*arguments)

    config = toy.config("60steps", validate_every=7)
    run(tmp_path / "whole", config, norms)
    with pytest.raises(Enough):
        run(tmp_path / "parted", config, norms, objective)
    run(tmp_path / "parted", config, norms, resume=True)
    whole = watched(tmp_path / "whole")
    assert [record["steps"] for record in whole][: len(FIRST)] == list(FIRST)
    assert len(whole) > len(FIRST) + 10
    assert watched(tmp_path / "parted") == whole


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("budget", ["100steps", "2000tok"])
def test_looks_come_first_by_doubling_and_last_at_the_end(tmp_path: Path, budget: str) -> None:
    result = run(tmp_path / "run", toy.config(budget, validate_every=1000), norms)
    steps = [record["steps"] for record in watched(tmp_path / "run")]
    assert steps[: len(FIRST)] == list(FIRST)
    assert steps[-1] == result.steps > FIRST[-1]
    assert steps == sorted(set(steps))
    assert len(FIRST) + 10 < len(steps) <= len(FIRST) + MOST + 1


def test_looks_are_not_on_the_clock_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for module in ("loop", "timing"):
        monkeypatch.setattr(f"sightline.training.{module}.time", clock)
    result = run(tmp_path / "run", toy.config("9steps"), clock.slow(5.0, norms), clock.slow(0.25, toy.objective))
    assert result.seconds == 9 * 0.25
    assert [r["watch_s"] for r in result.history if r["event"] == "watch"] == [5.0] * 5  # after 1, 2, 4, 8 and 9 steps


def test_dear_looks_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks as long as half a step: as many as the share pays for, though the first steps were slow."""
    clock = Clock()
    for module in ("loop", "timing"):
        monkeypatch.setattr(f"sightline.training.{module}.time", clock)
    config = toy.config("150steps", validate_every=1000)
    early, late = clock.slow(9.0, toy.objective), clock.slow(1.0, toy.objective)
    steps = iter([early] * 31 + [late] * 119)

    def objective(*batch: Any) -> Any:
        return next(steps)(*batch)

    run(tmp_path / "run", config, clock.slow(0.5, norms), objective)
    assert len(watched(tmp_path / "run")) * 0.5 <= SHARE * 150 * 1.0


@pytest.mark.parametrize("look_s", [0.01, 0.1, 1.0, 7.0])
@pytest.mark.parametrize("first", [0.0001, 0.03, 0.5])
def test_the_plan_keeps_to_the_share(first: float, look_s: float) -> None:
    planned = planned_looks(first, 60.0, look_s)
    assert list(planned) == sorted(set(planned))
    assert all(first < share < 1 for share in planned)
    assert not planned or (len(planned) + len(FIRST) + 1) * look_s <= SHARE * 60.0
    assert len(planned) == max(0, min(MOST, int(SHARE * 60.0 / look_s) - len(FIRST) - 1))


def test_what_is_not_finite_is_null_in_the_log(tmp_path: Path) -> None:
    run(tmp_path / "run", toy.config("2steps"), meddling)
    assert [record["seen"] for record in watched(tmp_path / "run")] == [None, None]

"""A budget by the clock is mostly for steps, however dear a validation of all items is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sightline.training import TrainConfig, TrainResult, train
from sightline.training.measured import Measured
from tests.clock import Clock
from tests.training import toy

Validations = list[float]  # shares of the items


def dear(clock: Clock, whole_s: float, done: Validations) -> Callable[[float], Callable[[Any], Measured]]:
    """Validations that take `whole_s` for all items."""

    def validator(share: float) -> Callable[[Any], Measured]:
        def validate(_: Any) -> Measured:
            clock.now += share * whole_s
            done.append(share)
            return Measured({"loss": 1.0})

        return validate

    return validator


def trained(clock: Clock, whole_s: float, config: TrainConfig, run: Path) -> tuple[TrainResult, Validations]:
    """A training with steps of a quarter of a second, and the validations in it."""
    done: Validations = []
    objective = clock.slow(0.25, toy.objective)
    result = train(toy.Toy(), objective, toy.batches(), config, run, validator=dear(clock, whole_s, done))
    return result, done[-sum(record["event"] == "valid" for record in result.history) :]


def test_validations_of_more_than_the_whole_budget_score_a_sample(tmp_path: Path, clock: Clock) -> None:
    """Of 10 s three validations may take 1.5 s: half a second is more than 15/32 s and less than 15/16 s."""
    result, done = trained(clock, 15.0, toy.config("10s-wall", validate_every=None), tmp_path / "run")
    assert result.seconds <= 12.0
    assert 0.25 * result.steps > 5.0
    assert set(done) == {1 / 32}
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert json.loads((newest / "state.json").read_text())["state"]["validation_share"] == 1 / 32


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_validations_that_are_cheap_score_all_items_that_are_asked_for(
    tmp_path: Path, clock: Clock, share: float
) -> None:
    config = toy.config("10s-wall", validate_every=None, validation_share=share)
    result, done = trained(clock, 0.25, config, tmp_path / "run")
    assert set(done) == {share}
    assert 0.25 * result.steps > 8.0


def test_validations_whose_steps_are_set_are_as_they_are_set(tmp_path: Path, clock: Clock) -> None:
    _, done = trained(clock, 2.0, toy.config("10s-wall", validate_every=8), tmp_path / "run")
    assert set(done) == {1.0}


def test_the_sample_is_never_smaller_than_a_hundredth(tmp_path: Path, clock: Clock) -> None:
    _, done = trained(clock, 1000.0, toy.config("1s-wall", validate_every=None), tmp_path / "run")
    assert set(done) == {1 / 64}

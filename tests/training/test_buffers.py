"""A step that fails, or must not be taken, leaves buffers as they were before it: carried states and batch norm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.core.errors import Diverged, EnvironmentFault
from sightline.training import Loss, TrainConfig, train
from sightline.training.buffers import SavedBuffers
from sightline.training.checkpoint import Checkpoints
from tests.training import toy

STEP = 5  # which fails


class Carried(toy.Toy):
    """Its logits depend on the batches before, by a buffer that it rebinds."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(8))

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        logits = super().forward(source, source_mask, target) + self.out(self.past)
        if self.training:
            self.past = (0.5 * self.past + self.embedding(source).mean((0, 1))).detach()
        return logits


class Normed(toy.Toy):
    """Its batch norm changes buffers in place."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm1d(toy.VOCABULARY)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        return self.batch_norm(super().forward(source, source_mask, target).transpose(1, 2)).transpose(1, 2)


def settings(pieces: int | None = None) -> TrainConfig:
    return toy.config("12steps", validate_every=100, pieces=pieces)


def failing(how: str, calls_of_a_step: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An objective that fails in the last call of a step, or lets the update after it fail."""
    calls = 0
    update = torch.optim.AdamW.step

    def objective(model: nn.Module, batch: Any) -> Loss:
        nonlocal calls
        calls += 1
        loss = toy.objective(model, batch)
        if calls < STEP * calls_of_a_step or how == "memory for the update":
            return loss
        if how == "memory":
            raise MemoryError
        return loss._replace(total=loss.total * torch.nan)

    def updated(self: torch.optim.AdamW, closure: Any = None) -> Any:
        if calls == STEP * calls_of_a_step and how == "memory for the update":
            raise MemoryError
        return update(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", updated)
    return objective


@pytest.mark.parametrize("pieces", [None, 2])
@pytest.mark.parametrize("how", ["memory", "memory for the update", "no finite loss"])
@pytest.mark.parametrize("kind", [Carried, Normed])
def test_a_run_whose_step_failed_resumes_as_if_it_had_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module], how: str, pieces: int | None
) -> None:
    whole, resumed = kind(), kind()
    train(whole, toy.objective, toy.batches(), settings(pieces), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises((EnvironmentFault, Diverged)):
        train(kind(), failing(how, pieces or 1, patch), toy.batches(), settings(pieces), tmp_path / "run")
    checkpoint = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    assert checkpoint is not None
    assert checkpoint.step == STEP - 1
    train(resumed, toy.objective, toy.batches(), settings(pieces), tmp_path / "run", resume=True)
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_a_state_that_is_not_a_number_is_not_kept_as_the_state_before(tmp_path: Path) -> None:
    calls = 0

    def objective(model: nn.Module, batch: Any) -> Loss:
        nonlocal calls
        calls += 1
        loss = toy.objective(model, batch)
        if calls == 3:  # this step's loss does not depend on it
            model.past.fill_(torch.nan)
        return loss

    with pytest.raises(Diverged, match="step 4"):
        train(Carried(), objective, toy.batches(), settings(), tmp_path / "run")
    checkpoint = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    assert checkpoint is not None
    assert checkpoint.step == 0


def test_a_buffer_of_two_modules_stays_one_and_others_are_left_alone() -> None:
    model = nn.Sequential(nn.Module(), nn.Module())
    shared = torch.arange(3.0)
    for module in model:
        module.register_buffer("shared", shared)
        module.register_buffer("unsaved", torch.zeros(1), persistent=False)
    saved = SavedBuffers(model)
    saved.restore()  # nothing is kept yet
    saved.keep()
    model[0].shared.add_(1.0)
    model[1].shared = torch.ones(3)
    model[0].unsaved.add_(1.0)
    saved.restore()
    assert model[0].shared is model[1].shared
    assert model[0].shared.tolist() == [0.0, 1.0, 2.0]
    assert model[0].unsaved.item() == 1.0
    saved.forget()
    model[0].shared.add_(1.0)
    saved.restore()
    assert model[0].shared.tolist() == [1.0, 2.0, 3.0]

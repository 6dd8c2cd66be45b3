"""Evaluation inside a block, and every module's own mode after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from torch import nn

from sightline.core.modes import evaluating
from sightline.training.timing import untouched


def half_frozen(whole: bool) -> nn.Module:
    """A model of two parts whose first one evaluates; `whole`: the mode of the model itself."""
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)), nn.Dropout(0.5))
    model.train()
    model[0].eval()
    model.training = whole
    return model


def modes(model: nn.Module) -> dict[str, bool]:
    return {name: part.training for name, part in model.named_modules()}


@pytest.mark.parametrize("whole", [True, False], ids=["training", "evaluating"])
@pytest.mark.parametrize("block", [evaluating, untouched])
def test_each_module_has_its_own_mode_again(
    block: Callable[[nn.Module], AbstractContextManager[None]], whole: bool
) -> None:
    model = half_frozen(whole)
    before = modes(model)
    with block(model):
        model.eval()
    assert modes(model) == before
    with block(model):
        model.train()  # as a step does
    assert modes(model) == before


def test_nothing_trains_inside_and_all_modes_return_after_an_error() -> None:
    model = half_frozen(whole=True)
    before, inside = modes(model), []

    def fail() -> None:
        with evaluating(model):
            inside.append(modes(model))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not any(inside[0].values())
    assert modes(model) == before


class WithOwnMode(nn.Module):
    """A module that does more than its parent where its mode changes."""

    calls = 0

    def train(self, mode: bool = True) -> WithOwnMode:
        self.calls += 1
        return super().train(mode)


def test_a_modules_own_way_of_changing_its_mode_is_used() -> None:
    model = nn.Sequential(WithOwnMode())
    with evaluating(model):
        pass
    assert model[0].calls == 2

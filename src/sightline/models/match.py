"""Equal parameter budgets: the width at which an architecture has a given number of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.models.sequence_model import SequenceModel
from sightline.parts.front_ends import Source


@runtime_checkable
class ModelConfig(Protocol):
    """What every preset of `ARCHITECTURES` can do."""

    @property
    def d_model(self) -> int: ...

    def resized(self, d_model: int) -> Any: ...

    def build(self, source: Source, outputs: int) -> SequenceModel: ...


@runtime_checkable
class SizedConfig(Protocol):
    """What the presets of every form can do: `build(source, outputs)` makes the model."""

    @property
    def d_model(self) -> int: ...

    def resized(self, d_model: int) -> Any: ...

    @property
    def build(self) -> Callable[..., nn.Module]: ...


C = TypeVar("C", bound=SizedConfig)


def count_parameters(config: SizedConfig, *sizes: Source) -> int:
    """Trainable parameters of `config.build(*sizes)`, counted without allocating it; shared ones count once."""
    with torch.device("meta"):
        model = config.build(*sizes)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def match_parameters(config: C, parameters: int, *sizes: Source, grain: int = 8) -> C:
    """The config at the multiple of `grain` (and of twice its heads) whose parameter count is nearest to `parameters`.

    Raises `InputError` where even the narrowest is more than half again as large: `params=1000 is too small …`.
    """
    grain = math.lcm(grain, 2 * getattr(config, "heads", 1))  # even heads, as rotary positions like them

    def count(multiple: int) -> int:
        return count_parameters(config.resized(multiple * grain), *sizes)

    high = 1
    while count(high) < parameters:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < parameters else (low, middle)
    best = min((multiple for multiple in (low, high) if multiple), key=lambda m: abs(count(m) - parameters))
    if count(best) > 1.5 * parameters:
        raise InputError(
            f"params={parameters} is too small for this input and output: the narrowest model "
            f"(d_model {best * grain}) has {count(best)}",
            where="--match",
        )
    return config.resized(best * grain)

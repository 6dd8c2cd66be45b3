"""Equal parameter budgets: the width at which an architecture has a given number of parameters."""

from __future__ import annotations

import math
from typing import TypeVar

from sightline.core.errors import InputError
from sightline.models.config import SizedConfig
from sightline.models.sizes_only import sizes_only
from sightline.parts.front_ends import Source

C = TypeVar("C", bound=SizedConfig)


def count_parameters(config: SizedConfig, *sizes: Source) -> int:
    """Trainable parameters of `config.build(*sizes)`, counted without allocating it; shared ones count once."""
    with sizes_only():
        model = config.build(*sizes)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def match_parameters(config: C, parameters: int, *sizes: Source, grain: int = 8) -> C:
    """The config at the multiple of `grain` (and of twice its heads) whose parameter count is nearest to `parameters`.

    Raises `InputError` where even the narrowest is more than 1.5 times as large: `params=1000 is too small …`.
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
